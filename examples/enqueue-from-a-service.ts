/**
 * A service that asks for a session, follows it, and uses its result. Needs only Redis: no board, no CLI.
 *
 *     drover up --rehearse                                   # in one terminal; prints the address of its Redis
 *     REDIS_URL=redis://127.0.0.1:… node examples/enqueue-from-a-service.ts
 */
import { createProducer, isDroverError } from 'drover'

const producer = createProducer({
  redisUrl: process.env.REDIS_URL ?? 'redis://127.0.0.1:6379',
  namespace: process.env.DROVER_NAMESPACE ?? 'default',
})

try {
  const session = await producer.spawn({
    agentType: 'architect',
    prompt: 'Write a short specification of a greeting program.',
    workspaceDir: process.cwd(),
    // The same order again, after a crash of this service for example, is the same session.
    idempotencyKey: process.argv[2] ?? `order-${Date.now()}`,
  })
  console.log(`accepted as ${session.sessionId}`)

  for await (const event of producer.events(session.sessionId)) {
    console.log(`${String(event.seq).padStart(4)}  ${event.type}`)
  }

  const result = await producer.result(session.sessionId)
  console.log(result.success ? result.output : `failed: ${result.failureReason}: ${result.message}`)
  console.log(`${result.numTurns} turns, ${result.usage.outputTokens} tokens out, $${result.cost}`)
  process.exitCode = result.success ? 0 : 1
} catch (error) {
  // Every error has a stable code and a sentence that says what to do.
  console.error(isDroverError(error) ? `${error.code}: ${error.message}` : error)
  process.exitCode = 1
} finally {
  await producer.close()
}
