import type { Clock } from '../clock.ts'
import type { EventOf, EventType, LoggedEvent, WarmEvent } from './types.ts'

type Listener = (logged: LoggedEvent) => void

/** Which events a subscriber wants. @default all */
export interface Wanted {
  types?: readonly EventType[]
}

export interface EventLogOptions {
  clock: Clock
  /** Events kept for subscribers that come back. @default 1000 */
  capacity?: number
  /** Told what a listener threw: a subscriber's mistake is not the warmer's. */
  onError?: (error: unknown) => void
}

/** What happened lately, and who wants to hear what happens next. Memory is bounded by `capacity`. */
export class EventLog {
  readonly #clock: Clock
  readonly #capacity: number
  readonly #onError: (error: unknown) => void
  readonly #listeners = new Map<object, { listener: Listener; types: ReadonlySet<EventType> | null }>()
  readonly #kept: LoggedEvent[] = []
  #nextId = 1

  constructor({ clock, capacity = 1000, onError = () => {} }: EventLogOptions) {
    this.#clock = clock
    this.#capacity = capacity
    this.#onError = onError
  }

  /** Id of the newest event; 0 before the first. */
  get lastId(): number {
    return this.#nextId - 1
  }

  emit(event: WarmEvent): void {
    const logged = { id: this.#nextId++, at: new Date(this.#clock.nowMs()).toISOString(), event }
    this.#kept.push(logged)
    // Dropped by halves: an array's front is dear to take from.
    if (this.#kept.length >= 2 * this.#capacity) this.#kept.splice(0, this.#kept.length - this.#capacity)
    for (const { listener, types } of [...this.#listeners.values()]) {
      if (types !== null && !types.has(event.type)) continue
      try {
        listener(logged)
      } catch (error) {
        this.#onError(error)
      }
    }
  }

  /** Kept events after `id`, oldest first; `gap`: some after it are gone already, or `id` is of another process. */
  since(id: number): { events: LoggedEvent[]; gap: boolean } {
    const kept = this.#kept.slice(-this.#capacity)
    const first = kept[0]?.id ?? this.#nextId
    if (id > this.lastId) return { events: kept, gap: true }
    return { events: kept.filter((logged) => logged.id > id), gap: id + 1 < first }
  }

  /** Somebody hears events of this type: what nobody hears need not be built. */
  isHeard(type: EventType): boolean {
    for (const { types } of this.#listeners.values()) if (types === null || types.has(type)) return true
    return false
  }

  /** Calls `listener` with the wanted events from now on; the returned function ends that. */
  subscribe(listener: Listener, { types }: Wanted = {}): () => void {
    const place = {}
    this.#listeners.set(place, { listener, types: types === undefined ? null : new Set(types) })
    return () => void this.#listeners.delete(place)
  }

  /** Calls `listener` with every event of one type; the returned function ends that. */
  on<T extends EventType>(type: T, listener: (event: EventOf<T>) => void): () => void {
    return this.subscribe(({ event }) => listener(event as EventOf<T>), { types: [type] })
  }
}
