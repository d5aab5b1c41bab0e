import type { RowRange, Work } from '../origin/types.ts'
import type { TaskPlan } from './plan.ts'

/** What a lane has not begun of its plan: keys in their order, or ranges. A stream gives pages by itself, and has none here. */
export class Supply {
  #keys: readonly string[] = []
  #at = 0
  /** Of the keys before that, those that wait for nothing but a batch: places in `#keys`. */
  #cleared: number[] = []
  #priorities: number | ArrayLike<number> | undefined
  #ranges: { range: RowRange; rows: number }[] = []

  add(plan: TaskPlan): void {
    if (plan.kind === 'keys') {
      this.#keys = plan.keys
      this.#priorities = plan.priorities
      return
    }
    if (plan.kind === 'ranges') this.#ranges = [...plan.ranges].reverse()
    this.#priorities = plan.priority
  }

  get isEmpty(): boolean {
    return this.#ranges.length === 0 && this.#cleared.length === 0 && this.#at >= this.#keys.length
  }

  /** Keys and rows. */
  get left(): number {
    let left = this.#cleared.length + this.#keys.length - this.#at
    for (const { rows } of this.#ranges) left += rows
    return left
  }

  /** Of the next batch: that of its first key, which is its highest; undefined: the plan tells none. */
  get priority(): number | undefined {
    if (typeof this.#priorities !== 'object') return this.#priorities
    return this.#priorities[this.#cleared[0] ?? Math.min(this.#at, this.#keys.length - 1)]
  }

  /** Keys of the next batch, or its rows. */
  next(batchSize: number): number {
    const rows = this.#ranges.at(-1)?.rows
    return rows ?? Math.min(batchSize, this.#cleared.length || this.#keys.length - this.#at)
  }

  /** Keys that `sift` has let through and that no batch has taken. */
  get cleared(): number {
    return this.#cleared.length
  }

  /** The next keys that were not sifted, at most `count`; none where there are ranges. */
  upcoming(count: number): readonly string[] {
    return this.#keys.slice(this.#at, this.#at + count)
  }

  /** Takes the next `count` of them out but for those that `mayStay`; how many went. */
  sift(count: number, mayStay: (key: string) => boolean): number {
    const from = this.#at
    this.#at = Math.min(this.#keys.length, from + count)
    let gone = 0
    for (let at = from; at < this.#at; at++) {
      if (mayStay(this.#keys[at] as string)) this.#cleared.push(at)
      else gone++
    }
    return gone
  }

  /** Takes the next batch. */
  take(batchSize: number): { work: Work; keys: number } {
    const range = this.#ranges.pop()
    if (range !== undefined) return { work: { kind: 'range', range: range.range }, keys: range.rows }
    const cleared = this.#cleared.splice(0, batchSize)
    if (cleared.length > 0) {
      const keys = cleared.map((at) => this.#keys[at] as string)
      return { work: { kind: 'keys', keys }, keys: keys.length }
    }
    const keys = this.#keys.slice(this.#at, this.#at + batchSize)
    this.#at += keys.length
    return { work: { kind: 'keys', keys }, keys: keys.length }
  }

  /** Gives all back; how many keys and rows that was. */
  clear(): number {
    const { left } = this
    this.#at = this.#keys.length
    this.#cleared = []
    this.#ranges = []
    return left
  }
}
