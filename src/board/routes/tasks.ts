/** `/api/v1/tasks`: adding them, lists and single ones. */
import { z } from 'zod'
import { listDocument, recorded } from '../../core/documents.ts'
import { tasksFileSchema } from '../../core/request.ts'
import { TASK_STATES } from '../../core/state.ts'
import { addedTasksSchema, taskDocumentSchema, taskViewSchema } from '../../core/task-view.ts'
import type { LedgerReader } from '../../ledger/ledger.ts'
import type { AddTasks } from '../add-tasks.ts'
import { requireTask } from '../known.ts'
import { actorOf, askingSession } from '../principal.ts'
import { listQuery } from '../query.ts'
import { isKnownSession } from './sessions.ts'
import type { SessionStore } from '../../queue/session-store.ts'
import type { BoardApp } from '../zod-routes.ts'

export interface TaskRoutesParts {
  readonly ledger: LedgerReader
  readonly addTasks: AddTasks
  readonly store: Pick<SessionStore, 'read'>
}

const tags = ['Tasks']

/** Declares them. */
export function taskRoutes(app: BoardApp, parts: TaskRoutesParts): void {
  const { ledger, addTasks } = parts

  app.post(
    '/api/v1/tasks',
    {
      config: { scope: 'submit' },
      schema: {
        tags,
        summary: 'Add tasks, all or none (202; 200 where all were there already)',
        body: tasksFileSchema,
        response: { 200: addedTasksSchema, 202: addedTasksSchema },
      },
    },
    async (request, reply) => {
      const asking = askingSession(request)
      // One of another Drover is named as who asks, and is nobody's parent here.
      const createdBy = asking !== null && (await isKnownSession(parts, asking)) ? asking : null
      const answer = await addTasks(request.body, { actor: actorOf(request), createdBy })
      return await reply.code(answer.added > 0 ? 202 : 200).send(answer)
    },
  )

  app.get(
    '/api/v1/tasks',
    {
      config: { scope: 'read' },
      schema: {
        tags,
        summary: 'Tasks, newest first',
        querystring: listQuery(TASK_STATES),
        response: { 200: recorded(listDocument('tasks', taskViewSchema)) },
      },
    },
    async (request) => {
      const { rows, nextCursor } = ledger.tasks.list(request.query)
      return { success: true as const, tasks: rows, next_cursor: nextCursor }
    },
  )

  app.get(
    '/api/v1/tasks/:id',
    {
      config: { scope: 'read' },
      schema: {
        tags,
        summary: 'One task, and what waits for it',
        params: z.object({ id: z.string() }),
        response: { 200: recorded(taskDocumentSchema) },
      },
    },
    async (request) => {
      const task = requireTask(ledger, request.params.id)
      return { success: true as const, task, dependents: ledger.tasks.dependentsOf(task.task_id) }
    },
  )
}
