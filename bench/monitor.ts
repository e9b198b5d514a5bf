/**
 * Redis's MONITOR over a socket of its own. ioredis's breaks on a busy server: it takes what is monitored for a reply to
 * a command when it arrives together with the OK ("Command queue state error"), and ends the process.
 */
import { once } from 'node:events'
import { createConnection } from 'node:net'
import { createInterface } from 'node:readline'

/** One command that the server ran. */
export interface Monitored {
  /** When, in milliseconds since 1970, by the server's clock. */
  readonly at: number
  readonly source: 'client' | 'script'
  /** Its words as MONITOR prints them: quoted, in one line. */
  readonly words: string
}

/** Calls `onCommand` for all that the server at `redisUrl` runs, until it is called to stop. */
export async function monitor(
  redisUrl: string,
  onCommand: (command: Monitored) => void,
): Promise<() => Promise<void>> {
  const { hostname, port } = new URL(redisUrl)
  const socket = createConnection({ host: hostname, port: Number(port) })
  await once(socket, 'connect')
  const lines = createInterface({ input: socket })
  const accepted = once(lines, 'line')
  socket.write('MONITOR\r\n')
  const [answer] = (await accepted) as [string]
  if (answer !== '+OK') throw new Error(`Redis refused MONITOR: ${answer}`)
  // +1795225991.019889 [0 lua] "TIME" · +1795225991.019889 [0 127.0.0.1:40000] "get" "a key"
  lines.on('line', (line) => {
    const parts = /^\+(?<at>[\d.]+) \[\d+ (?<from>[^\]]+)\] (?<words>.*)$/su.exec(line)?.groups
    if (parts === undefined) throw new Error(`MONITOR said what is not a command: ${line.slice(0, 200)}`)
    onCommand({
      at: Number(parts['at']) * 1000,
      source: parts['from'] === 'lua' ? 'script' : 'client',
      words: parts['words'] ?? '',
    })
  })
  return async () => {
    const closed = once(socket, 'close')
    socket.destroy()
    await closed
  }
}
