/** Which session a change is for; every event of it carries these. */
export interface SessionRef {
  readonly sessionId: string
  readonly agentType: string
}

/** Which agent (process) of it: a change with an old epoch is refused. */
export interface AgentRef extends SessionRef {
  readonly agentId: string
  readonly epoch: string
}
