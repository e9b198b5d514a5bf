/** Every Redis key of a namespace (CONTRACT §9). One hash tag, so that a script may touch any of them. */
export interface Keys {
  readonly namespace: string
  /** BullMQ's prefix, apart from our own keys. */
  readonly queuePrefix: string
  /** The durable event stream. */
  readonly events: string
  /** Stream id up to which the ledger has everything; also the channel on which it is announced. */
  readonly recorded: string
  /** How many entries of the stream are recorded and still there (`backlog.ts`). */
  readonly kept: string
  readonly recorderLease: string
  /** Highest epoch given out so far. */
  readonly epoch: string
  /** Counter of agents per type and day. */
  readonly agentCounters: string
  /** Known agent types: name → summary as JSON. */
  readonly agentTypes: string
  /**
   * The server's `run_id` for which everything that the ledger knows was written back: only then leases are given.
   * Any other value means that Redis was restarted, failed over or emptied since (DESIGN §4, "Redis loss").
   */
  readonly seeded: string
  /** Since when the present server is in quarantine: `<run_id> <Redis time in ms>`. */
  readonly quarantine: string
  /**
   * `<run_id> <stream id> <Redis time in ms>`: what the ledger had at that stream id, and more, is written back; pods
   * send again what came after it. The time is the quarantine's start, so that each loss says something new. Also the
   * channel on which it is announced.
   */
  readonly restored: string
  /** `<run_id> <Redis time in ms> <stream id>`: how far the ledger was when the quarantine of that start was noticed. */
  readonly recordedBefore: string
  /** `<run_id> new|intact`: what whoever started the server (or made the namespace) knows of its data. */
  readonly vouched: string
  /** Pub/sub channel: the id of a session whose hash has a new request (kill, restart, interrupt). */
  readonly doorbell: string
  /** Session id → agent type: jobs for which a pod found no hash (`recorder/lost-sessions.ts`). */
  readonly noRecord: string
  /** Session id → how often in a row its claim failed, as JSON (`failed-claims.ts`). */
  readonly failedClaims: string
  /** Ids of the pods that were seen lately. */
  readonly pods: string
  /** What a pod says of itself; goes by itself when the pod does. */
  pod(podId: string): string
  /** The packed transcript of a session. */
  transcript(sessionId: string): string
  /** The pieces of it that the agent of this epoch is about to put in its place. */
  transcriptPieces(sessionId: string, epoch: string): string
  /** The sorted sets of a queue that the accept script looks into for the position. */
  waiting(agentType: string): string
  prioritized(agentType: string): string
  /** The lease of one slot of an agent type. */
  lease(agentType: string, slot: number): string
  /** The hash of a live session; the session script is its only writer. */
  session(sessionId: string): string
  /** What is said to a session, and what it asks (`talk-script.ts`). */
  talk(sessionId: string): string
  /** What is remembered of a session that has ended (`ended-session.ts`). */
  ended(sessionId: string): string
  /** A message between agents (`mail.ts`). */
  message(messageId: string): string
  /** The messages that wait in an inbox: `session:<id>`, `type:<agent type>`, `operator`. */
  inbox(box: string): string
  /** Pub/sub channel of a session's live events. */
  live(sessionId: string): string
  /** Which session's agent waits for which session (`waits.ts`). */
  readonly waits: string
  /** Prompts of tasks as they were given (`unredacted.ts`). */
  readonly unredacted: string
  /** Of a session that has just ended (`tidying.ts`). */
  tidying(sessionId: string): string
  /** A lock by name (`lock.ts`). */
  lock(name: string): string
}

export function keysOf(namespace: string): Keys {
  const tag = `{drover:${namespace}}`
  const queuePrefix = `${tag}:q`
  return {
    namespace,
    queuePrefix,
    events: `${tag}:events`,
    recorded: `${tag}:recorded`,
    kept: `${tag}:kept`,
    recorderLease: `${tag}:recorder`,
    epoch: `${tag}:epoch`,
    agentCounters: `${tag}:agent-counters`,
    agentTypes: `${tag}:agent-types`,
    seeded: `${tag}:seeded`,
    quarantine: `${tag}:quarantine`,
    restored: `${tag}:restored`,
    recordedBefore: `${tag}:recorded-before`,
    vouched: `${tag}:vouched`,
    doorbell: `${tag}:doorbell`,
    noRecord: `${tag}:no-record`,
    failedClaims: `${tag}:failed-claims`,
    pods: `${tag}:pods`,
    waits: `${tag}:waits`,
    unredacted: `${tag}:unredacted`,
    pod: (podId) => `${tag}:pod:${podId}`,
    transcript: (sessionId) => `${tag}:transcript:${sessionId}`,
    transcriptPieces: (sessionId, epoch) => `${tag}:transcript:${sessionId}:${epoch}`,
    waiting: (agentType) => `${queuePrefix}:${agentType}:wait`,
    prioritized: (agentType) => `${queuePrefix}:${agentType}:prioritized`,
    lease: (agentType, slot) => `${tag}:lease:${agentType}:${slot}`,
    session: (sessionId) => `${tag}:session:${sessionId}`,
    talk: (sessionId) => `${tag}:talk:${sessionId}`,
    ended: (sessionId) => `${tag}:ended:${sessionId}`,
    message: (messageId) => `${tag}:message:${messageId}`,
    inbox: (box) => `${tag}:inbox:${box}`,
    live: (sessionId) => `${tag}:live:${sessionId}`,
    tidying: (sessionId) => `${tag}:tidying:${sessionId}`,
    lock: (name) => `${tag}:lock:${name}`,
  }
}
