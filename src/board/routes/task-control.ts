/** What is asked of tasks that are there, and how they wait for one another. */
import type { FastifyReply } from 'fastify'
import { z } from 'zod'
import { killBodySchema, dependenciesBodySchema, retryTaskBodySchema } from '../../core/request.ts'
import {
  cancelTaskAnswerSchema,
  dependenciesAnswerSchema,
  retryTaskAnswerSchema,
  taskGraphSchema,
} from '../../core/task-answer.ts'
import type { LedgerReader } from '../../ledger/ledger.ts'
import { requireTask } from '../known.ts'
import { actorOf } from '../principal.ts'
import { graphQuery } from '../query.ts'
import type { TaskControl } from '../task-control.ts'
import { leveled } from '../task-graph.ts'
import { recorded } from '../../core/documents.ts'
import type { BoardApp } from '../zod-routes.ts'

export interface TaskControlRoutesParts {
  readonly ledger: LedgerReader
  readonly taskControl: TaskControl
  /** Aborts when the client has gone, or the board stops. */
  readonly untilGone: (reply: FastifyReply) => AbortSignal
}

const tags = ['Tasks']
const params = z.object({ id: z.string() })
/** Declares them. */
export function taskControlRoutes(app: BoardApp, parts: TaskControlRoutesParts): void {
  const { ledger, taskControl, untilGone } = parts

  app.post(
    '/api/v1/tasks/:id/cancel',
    {
      config: { scope: 'control' },
      schema: {
        tags,
        summary: 'Cancel a task, with its session where it has one; answers when that has ended',
        params,
        body: killBodySchema,
        response: { 200: cancelTaskAnswerSchema },
      },
    },
    async (request, reply) =>
      taskControl.cancel(request.params.id, request.body, {
        actor: actorOf(request),
        signal: untilGone(reply),
      }),
  )

  app.post(
    '/api/v1/tasks/:id/retry',
    {
      config: { scope: 'control' },
      schema: {
        tags,
        summary: 'Run a task again that failed or was cancelled; what it blocked waits again',
        params,
        body: retryTaskBodySchema,
        response: { 202: retryTaskAnswerSchema },
      },
    },
    async (request, reply) => {
      const by = { actor: actorOf(request), signal: untilGone(reply) }
      return await reply.code(202).send(await taskControl.retry(request.params.id, by))
    },
  )

  app.post(
    '/api/v1/tasks/:id/dependencies',
    {
      config: { scope: 'control' },
      schema: {
        tags,
        summary: 'Make a task that has not begun wait for more tasks',
        params,
        body: dependenciesBodySchema,
        response: { 200: dependenciesAnswerSchema },
      },
    },
    async (request, reply) =>
      taskControl.depend(request.params.id, request.body, {
        actor: actorOf(request),
        signal: untilGone(reply),
      }),
  )

  // Not under /tasks, where "graph" is a task's id like any other.
  app.get(
    '/api/v1/task-graph',
    {
      config: { scope: 'read' },
      schema: {
        tags,
        summary: 'Tasks and which waits for which',
        querystring: graphQuery,
        response: { 200: recorded(taskGraphSchema) },
      },
    },
    async ({ query: { task_id: taskId, limit } }) => {
      if (taskId !== undefined) requireTask(ledger, taskId)
      return leveled(ledger.tasks.graph({ taskId, limit }))
    },
  )
}
