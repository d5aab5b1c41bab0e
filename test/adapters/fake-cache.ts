import type { CacheFacade, CacheResult, GetOptions } from '../../src/cache/types.ts'
import { parseDuration } from '../../src/config/duration.ts'
import { type FakeClock, turn } from '../fakes/clock.ts'

interface Entry {
  text: string
  freshUntilMs: number
  staleUntilMs: number
  tags: readonly string[]
}

/** What a middleware needs of a cache: single-flight, TTL, grace with a refresh in the background, values that went through JSON. */
export class FakeCache implements Pick<CacheFacade, 'read'> {
  readonly entries = new Map<string, Entry>()
  readonly asked: { key: string; options: GetOptions<unknown> }[] = []
  readonly refreshing = new Set<Promise<void>>()
  /** Refreshes hits, too, as a cache does that is ahead of expiry: before it gives the value, or after that. */
  refreshesHits: 'before' | 'after' | null = null
  /** What every read rejects with. */
  failure: unknown
  readonly #clock: FakeClock
  readonly #loading = new Map<string, Promise<CacheResult<unknown>>>()

  constructor(clock: FakeClock) {
    this.#clock = clock
  }

  async read<T>(key: string, options: GetOptions<T> = {}): Promise<CacheResult<T>> {
    this.asked.push({ key, options: options as GetOptions<unknown> })
    if (this.failure !== undefined) throw this.failure
    const entry = this.entries.get(key)
    const ttlMs = (entry?.freshUntilMs ?? 0) - this.#clock.nowMs()
    if (entry !== undefined && options.fresh !== true && entry.staleUntilMs > this.#clock.nowMs()) {
      if (ttlMs <= 0 || this.refreshesHits !== null) this.#refresh(key, options)
      const status = ttlMs > 0 ? 'hit' : 'stale'
      return { value: JSON.parse(entry.text), tier: 'redis', status, filledBy: 'read', ttlMs }
    }
    if (options.load === undefined)
      return { value: undefined, tier: 'origin', status: 'miss', filledBy: 'read', ttlMs: 0 }
    let loading = options.fresh === true ? undefined : this.#loading.get(key)
    if (loading === undefined) {
      loading = this.#load(key, options).finally(() => this.#loading.delete(key))
      this.#loading.set(key, loading)
    }
    return (await loading) as CacheResult<T>
  }

  #refresh<T>(key: string, options: GetOptions<T>): void {
    const loaded =
      this.refreshesHits === 'after' ? turn().then(() => this.#load(key, options)) : this.#load(key, options)
    const work: Promise<void> = loaded
      .then(() => {})
      .catch(() => {})
      .finally(() => this.refreshing.delete(work))
    this.refreshing.add(work)
  }

  async #load<T>(key: string, { load, ttl = 60_000, grace = 0, tags = [] }: GetOptions<T>): Promise<CacheResult<T>> {
    const value = await load?.(key, { signal: new AbortController().signal })
    const miss = { tier: 'origin', status: 'miss', filledBy: 'read' } as const
    if (value === undefined || value === null) return { ...miss, value: undefined, ttlMs: 0 }
    const text = JSON.stringify(value)
    const ttlMs = parseDuration(ttl) as number
    const freshUntilMs = this.#clock.nowMs() + ttlMs
    this.entries.set(key, { text, freshUntilMs, staleUntilMs: freshUntilMs + (parseDuration(grace) as number), tags })
    return { ...miss, value: JSON.parse(text), ttlMs }
  }
}
