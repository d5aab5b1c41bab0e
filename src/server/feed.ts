import type { Clock } from '../clock.ts'
import type { EventLog } from '../events/event-log.ts'
import type { EventType, LoggedEvent } from '../events/types.ts'

export interface FeedOptions {
  events: EventLog
  clock: Clock
  random: () => number
  /** @default all */
  types?: readonly EventType[] | undefined
  /** Share of the events of single keys, 0 to 1. */
  keySample: number
  /** The last event that the client has; undefined: only what happens from now on. */
  lastId?: number | undefined
  /** Events that wait for the client. @default 1000 */
  capacity?: number
}

export const ALL_TYPES = [
  'job_started',
  'job_ended',
  'batch',
  'key',
  'emergency_stop',
  'emergency_resume',
  'config_changed',
  'schedule_fired',
  'schedule_skipped',
  'schedule_changed',
] as const satisfies readonly EventType[]

/** Under the 5 s that the API promises; servers close silent connections, Bun after 10 s. */
const HEARTBEAT_MS = 4000
/** How long a client that fell behind may take to read that it did. */
const LAG_GRACE_MS = 10_000

/**
 * One client's events, as the text of Server-Sent Events. What it has not taken is bounded: a client that falls behind
 * is told so (`event: lagged`), and that is the end.
 */
export class Feed {
  readonly #options: FeedOptions
  readonly #unsubscribe: () => void
  readonly #capacity: number
  #waiting: string[] = []
  #state: 'open' | 'lagged' | 'closed' = 'open'
  #wake: () => void = () => {}
  #takeBackGrace: () => void = () => {}
  /** Called when a client that fell behind does not take even that: cut it off. */
  onStall: () => void = () => {}

  constructor(options: FeedOptions) {
    const { events, types = ALL_TYPES, keySample, lastId, capacity = 1000 } = options
    this.#options = options
    this.#capacity = capacity
    // Events of keys are dear: where nobody wants them they are not even built.
    const wanted = types.filter((type) => type !== 'key' || keySample > 0)
    this.#waiting.push('retry: 3000\n\n')
    if (lastId !== undefined) this.#replay(lastId, wanted)
    this.#unsubscribe = events.subscribe((logged) => this.#take(logged), { types: wanted })
  }

  #replay(lastId: number, wanted: readonly EventType[]): void {
    const { events, gap } = this.#options.events.since(lastId)
    if (gap) {
      const data = { last_event_id: lastId, next_event_id: events[0]?.id ?? null }
      this.#waiting.push(`event: gap\ndata: ${JSON.stringify(data)}\n\n`)
    }
    for (const logged of events) if (wanted.includes(logged.event.type)) this.#push(logged)
  }

  #take(logged: LoggedEvent): void {
    if (this.#state !== 'open') return
    if (this.#waiting.length >= this.#capacity) {
      this.#state = 'lagged'
      this.#unsubscribe()
      this.#waiting = [`event: lagged\ndata: ${JSON.stringify({ capacity: this.#capacity })}\n\n`]
      this.#takeBackGrace = this.#options.clock.after(LAG_GRACE_MS, () => this.onStall())
    } else this.#push(logged)
    this.#wake()
  }

  #push({ id, at, event }: LoggedEvent): void {
    const { keySample, random } = this.#options
    if (event.type === 'key' && keySample < 1 && random() >= keySample) return
    this.#waiting.push(`id: ${id}\nevent: ${event.type}\ndata: ${JSON.stringify({ ...event, at })}\n\n`)
  }

  /** What to send next: events, or a heartbeat; null when it is over. */
  async next(): Promise<string | null> {
    if (this.#waiting.length === 0 && this.#state === 'open') await this.#somethingOrHeartbeat()
    const text = this.#waiting.join('')
    this.#waiting = []
    if (text !== '') return text
    return this.#state === 'open' ? ': heartbeat\n\n' : null
  }

  #somethingOrHeartbeat(): Promise<void> {
    return new Promise((resolve) => {
      const takeBack = this.#options.clock.after(HEARTBEAT_MS, resolve)
      this.#wake = () => {
        takeBack()
        resolve()
      }
    })
  }

  /** Lets go of everything. Safe to call twice. */
  close(): void {
    this.#state = 'closed'
    this.#waiting = []
    this.#unsubscribe()
    this.#takeBackGrace()
    this.#wake()
  }
}
