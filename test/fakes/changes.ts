import type { Clock } from '../../src/clock.ts'
import { STAMPS } from '../../src/store/changes.ts'

/** What `prewarm:changes` and `prewarm:filled` hold, in memory; it forgets nothing by itself. */
export class MemoryChanges {
  readonly #clock: Clock
  #created: number | undefined
  #now = 0
  /** A load that began before it is refused. */
  #barrier = 0
  readonly #marks = new Map<string, number>()
  readonly #fills = new Map<string, number>()

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** A ticket larger than any before it. */
  tick(): number {
    this.#now = Math.max(this.#now + 1, this.#clock.nowMs() * 1000)
    this.#created ??= this.#now
    return this.#now
  }

  begin(): string {
    return this.#created === undefined ? '0' : String(this.tick())
  }

  mark(keys: Iterable<string>): void {
    const ticket = this.tick()
    for (const key of keys) this.#marks.set(key, ticket)
  }

  barrier(): void {
    this.#barrier = this.tick()
  }

  markFilled(key: string): void {
    this.#fills.set(key, this.tick())
  }

  /** Nothing of what was before is known any more. */
  forget(): void {
    this.#created = undefined
    this.#barrier = 0
    this.#marks.clear()
    this.#fills.clear()
  }

  isRefused(key: string, ticket: string | undefined): boolean {
    if (ticket === undefined) return false
    if (this.#created === undefined) return ticket !== '0'
    if (ticket !== '0' && Number(ticket) < this.#created) return true
    return Number(ticket) < this.#barrier || (this.#marks.get(key) ?? 0) > Number(ticket)
  }

  /** A reader has filled it since. */
  isFilledLater(key: string, ticket: string | undefined): boolean {
    return ticket !== undefined && (this.#fills.get(key) ?? 0) > Number(ticket)
  }
}

/** When a value expires that warming writes: with its stamp, up to 0.1 s early. */
export function stampedMs(nowMs: number, ttlMs: number): number {
  const at = nowMs + ttlMs
  if (ttlMs < 1000) return at
  const early = at - (at % 100) + STAMPS.warm
  return early > at ? early - 100 : early
}
