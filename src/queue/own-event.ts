import type { OwnEventType } from '../core/envelope.ts'

/** An event of Drover's own, before it has a `seq`. */
export interface OwnEvent {
  readonly type: OwnEventType
  readonly payload: object
}
