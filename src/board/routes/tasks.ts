/** `/api/v1/tasks`: adding them, lists and single ones. */
import type { FastifyInstance } from 'fastify'
import { parseRequest, tasksFileSchema } from '../../core/request.ts'
import { TASK_STATES } from '../../core/state.ts'
import type { LedgerReader } from '../../ledger/ledger.ts'
import type { AddTasks } from '../add-tasks.ts'
import { requireTask } from '../known.ts'
import { createListQueryParser } from '../query.ts'
import { actorOf } from './sessions.ts'

export interface TaskRoutesParts {
  readonly ledger: LedgerReader
  readonly addTasks: AddTasks
}

export function taskRoutes(app: FastifyInstance, { ledger, addTasks }: TaskRoutesParts): void {
  const parseList = createListQueryParser(TASK_STATES)

  app.post('/api/v1/tasks', async (request, reply) => {
    const { tasks } = parseRequest(tasksFileSchema, request.body)
    const answer = await addTasks(tasks, actorOf(request))
    return await reply.code(answer.added > 0 ? 202 : 200).send(answer)
  })

  app.get('/api/v1/tasks', (request) => {
    const { rows, nextCursor } = ledger.tasks.list(parseList(request.query))
    return { success: true, tasks: rows, next_cursor: nextCursor }
  })

  app.get<{ Params: { id: string } }>('/api/v1/tasks/:id', (request) => {
    const task = requireTask(ledger, request.params.id)
    return { success: true, task, dependents: ledger.tasks.dependentsOf(task.task_id) }
  })
}
