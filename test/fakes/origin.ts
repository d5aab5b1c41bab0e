import type { Origin, ReadOptions, ReadResult, Work } from '../../src/origin/types.ts'

/** An {@linkcode Origin} that answers each key with what `valueOf` says; what it has read is on record. */
export class FakeOrigin implements Origin {
  readonly reads: { work: Work; options: ReadOptions }[] = []
  isClosed = false
  /** The value of a key; null for none; an error fails the whole read. */
  valueOf: (key: string) => unknown = (key) => `value of ${key}`
  /** Keys that may come another time. */
  isAway: (key: string) => boolean = () => false
  /** Runs at the start of each read. */
  onRead: (work: Work, options: ReadOptions) => Promise<void> | void = () => {}

  async read(work: Work, options: ReadOptions): Promise<ReadResult> {
    this.reads.push({ work, options })
    await this.onRead(work, options)
    const result: ReadResult = { records: [], failures: [], duplicates: 0, requests: 1, done: true }
    for (const key of work.kind === 'keys' ? work.keys : []) {
      const value = this.valueOf(key)
      const retryable = this.isAway(key)
      if (!retryable && value !== null) result.records.push({ key, value })
      else {
        const code = retryable ? 'ORIGIN_UNREACHABLE' : 'ORIGIN_NO_VALUE'
        result.failures.push({ key, failure: { code, message: `nothing for ${key}`, key }, retryable })
      }
    }
    return result
  }

  async close(): Promise<void> {
    this.isClosed = true
  }
}
