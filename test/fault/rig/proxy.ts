/**
 * A TCP proxy between one pod and Redis, that fails as networks do. What it does is switched at run time and holds
 * for open and for new connections.
 *
 * A black hole holds bytes back instead of throwing them away, as TCP does by sending them again: when it is healed
 * they arrive late. What a dead process had sent is dropped with `cut()`.
 */
import { createServer, connect, type AddressInfo, type Socket } from 'node:net'
import type { Random } from './random.ts'

/** `up` is to Redis, `down` is to the pod. */
export type Direction = 'up' | 'down'

export type ProxyMode =
  | { readonly kind: 'pass' }
  /** Nothing comes through and nobody is told. @default both directions */
  | { readonly kind: 'hole'; readonly direction?: Direction | 'both' }
  /** Every connection is broken, by RST or by FIN; new ones too, as soon as they are made. */
  | { readonly kind: 'reset' }
  | { readonly kind: 'close' }
  /** Both ways, in order; `jitterMs` is added at random. */
  | { readonly kind: 'delay'; readonly ms: number; readonly jitterMs?: number }
  /** One write per byte. */
  | { readonly kind: 'slice' }
  /**
   * Commands are applied, their answers lost, and the connection breaks. With `match` only the command whose bytes
   * contain the text (a key, a script's text, an argument); from the `nth` such one on, `times` times.
   * @default nth 1, times 1 with `match`, else without end
   */
  | {
      readonly kind: 'drop-replies'
      readonly match?: string
      readonly nth?: number
      readonly times?: number
    }
  /**
   * Passes until a command contains `match`, then turns into a black hole just before or just after that command:
   * the place for a process to die at. `sprung()` tells.
   */
  | { readonly kind: 'trap'; readonly match: string; readonly at: 'before' | 'after'; readonly nth?: number }

/** What it did so far. */
export interface ProxyCounts {
  connections: number
  bytesUp: number
  bytesDown: number
  /** Connections that were held in a black hole. */
  held: number
  broken: number
  delayedChunks: number
  slicedBytes: number
  repliesDropped: number
  trapsSprung: number
}

export interface Proxy {
  readonly port: number
  readonly counts: Readonly<ProxyCounts>
  /** A kind alone stands for the mode without options. */
  mode(mode: ProxyMode | 'pass' | 'hole' | 'reset' | 'close' | 'slice'): void
  /** Resolves when the trap that was set last has sprung, also when it has already. */
  sprung(): Promise<void>
  /** Breaks all open connections by RST and forgets what was held back; the mode stays. */
  cut(): void
  close(): Promise<void>
}

interface Link {
  readonly client: Socket
  readonly server: Socket
  /** Chunks of a sprung trap: not sent. */
  held: Buffer[]
  /** Delayed chunks, in order, each with the monotonic ms at which it is due. */
  readonly delayed: Record<Direction, { readonly due: number; readonly chunk: Buffer }[]>
  /** The end of what went up, for a match across two chunks. */
  carry: Buffer
  /** The next answer is to be lost. */
  muted: boolean
  /** Redis closed it while nothing could be told. */
  orphaned: boolean
}

/** Listens on a free port of the loopback. `targetPort` is asked for each connection: Redis may be restarted. */
export async function createProxy(targetPort: () => number, random: Random): Promise<Proxy> {
  const counts: ProxyCounts = {
    connections: 0,
    bytesUp: 0,
    bytesDown: 0,
    held: 0,
    broken: 0,
    delayedChunks: 0,
    slicedBytes: 0,
    repliesDropped: 0,
    trapsSprung: 0,
  }
  const links = new Set<Link>()
  const timers = new Set<NodeJS.Timeout>()
  let mode: ProxyMode = { kind: 'pass' }
  let matches = 0
  let sprung = Promise.withResolvers<void>()

  const isHeld = (direction: Direction): boolean =>
    mode.kind === 'hole' && (mode.direction ?? 'both') !== (direction === 'up' ? 'down' : 'up')

  function hold(link: Link): void {
    for (const [socket, direction] of [
      [link.client, 'up'],
      [link.server, 'down'],
    ] as const) {
      if (isHeld(direction)) socket.pause()
      else socket.resume()
    }
    if (mode.kind === 'hole') counts.held++
  }

  function sever(link: Link): void {
    counts.broken++
    links.delete(link)
    if (mode.kind === 'close') link.client.end()
    else link.client.resetAndDestroy()
    // What was sent arrives: FIN comes after it.
    link.server.end()
    link.server.resume()
  }

  function write(link: Link, direction: Direction, chunk: Buffer): void {
    const to = direction === 'up' ? link.server : link.client
    if (to.destroyed || to.writableEnded) return
    counts[direction === 'up' ? 'bytesUp' : 'bytesDown'] += chunk.length
    to.write(chunk)
  }

  function writeLater(link: Link, direction: Direction, chunk: Buffer, waitMs: number): void {
    const queue = link.delayed[direction]
    queue.push({ due: Math.max(queue.at(-1)?.due ?? 0, performance.now() + waitMs), chunk })
    if (queue.length === 1) writeDue(link, direction)
  }

  /** One timer per direction, for the first in the queue: two would not keep the order. */
  function writeDue(link: Link, direction: Direction): void {
    const queue = link.delayed[direction]
    for (let first = queue[0]; first !== undefined; first = queue[0]) {
      const waitMs = first.due - performance.now()
      if (waitMs > 0) {
        const timer = setTimeout(() => {
          timers.delete(timer)
          writeDue(link, direction)
        }, waitMs)
        return void timers.add(timer)
      }
      queue.shift()
      write(link, direction, first.chunk)
    }
  }

  /** Whether this chunk completes the nth command that the mode waits for. */
  function isMatch(link: Link, chunk: Buffer, match: string, nth: number): boolean {
    const seen = Buffer.concat([link.carry, chunk])
    const found = seen.includes(match)
    link.carry = found ? Buffer.alloc(0) : seen.subarray(Math.max(0, seen.length - match.length + 1))
    if (found) matches++
    return found && matches >= nth
  }

  function up(link: Link, chunk: Buffer): void {
    if (mode.kind === 'trap' && isMatch(link, chunk, mode.match, mode.nth ?? 1)) {
      if (mode.at === 'after') write(link, 'up', chunk)
      else link.held.push(chunk)
      counts.trapsSprung++
      mode = { kind: 'hole' }
      for (const other of links) hold(other)
      return sprung.resolve()
    }
    if (mode.kind === 'drop-replies') {
      const { match, nth = 1, times = match === undefined ? Number.POSITIVE_INFINITY : 1 } = mode
      if (isMatch(link, chunk, match ?? '', nth) && matches < nth + times) link.muted = true
    }
    pass(link, 'up', chunk)
  }

  function down(link: Link, chunk: Buffer): void {
    // What Redis still sends on a connection that is broken already.
    if (!links.has(link)) return
    if (!link.muted) return pass(link, 'down', chunk)
    counts.repliesDropped++
    sever(link)
  }

  function pass(link: Link, direction: Direction, chunk: Buffer): void {
    if (mode.kind === 'slice') {
      counts.slicedBytes += chunk.length
      for (let at = 0; at < chunk.length; at++) write(link, direction, chunk.subarray(at, at + 1))
    } else if (mode.kind === 'delay') {
      counts.delayedChunks++
      writeLater(link, direction, chunk, mode.ms + random.next() * (mode.jitterMs ?? 0))
    } else {
      writeLater(link, direction, chunk, 0)
    }
  }

  function cut(): void {
    for (const link of links) {
      counts.broken++
      link.held = []
      link.client.resetAndDestroy()
      link.server.destroy()
    }
    links.clear()
  }

  const listener = createServer({ noDelay: true }, (client) => {
    counts.connections++
    client.on('error', () => undefined)
    if (mode.kind === 'reset' || mode.kind === 'close') {
      counts.broken++
      if (mode.kind === 'reset') client.resetAndDestroy()
      else client.end()
      // Unread, what the peer has sent would keep its end, and so this socket, from ever being seen.
      client.resume()
      return
    }
    const server = connect({ host: '127.0.0.1', port: targetPort(), noDelay: true })
    server.on('error', () => undefined)
    const link: Link = {
      client,
      server,
      held: [],
      delayed: { up: [], down: [] },
      carry: Buffer.alloc(0),
      muted: false,
      orphaned: false,
    }
    links.add(link)
    client.on('data', (chunk: Buffer) => up(link, chunk))
    server.on('data', (chunk: Buffer) => down(link, chunk))
    client.on('close', () => {
      links.delete(link)
      server.end()
      server.resume()
    })
    server.on('close', () => {
      if (isHeld('down')) link.orphaned = true
      else client.destroy()
    })
    hold(link)
  })
  await new Promise<void>((done) => listener.listen(0, '127.0.0.1', done))
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- a TCP server that listens has a port
  const { port } = listener.address() as AddressInfo

  return {
    port,
    counts,
    mode(next) {
      mode = typeof next === 'string' ? { kind: next } : next
      matches = 0
      if (mode.kind === 'trap') sprung = Promise.withResolvers<void>()
      for (const link of links) {
        link.carry = Buffer.alloc(0)
        link.muted = false
        if (mode.kind === 'reset' || mode.kind === 'close') {
          sever(link)
          continue
        }
        if (!isHeld('up')) for (const chunk of link.held.splice(0)) write(link, 'up', chunk)
        if (!isHeld('down') && link.orphaned) link.client.destroy()
        hold(link)
      }
    },
    sprung: () => sprung.promise,
    cut,
    async close() {
      for (const timer of timers) clearTimeout(timer)
      cut()
      await new Promise((done) => listener.close(done))
    },
  }
}
