import { AsyncLocalStorage } from 'node:async_hooks'
import { PrewarmError } from '../errors.ts'
import { versionText } from '../keyspace/version.ts'
import { callKey, checkOptions } from './calls.ts'
import { CarefulTier } from './careful-tier.ts'
import { closed, Fetcher } from './fetcher.ts'
import { Flights } from './flights.ts'
import { type Form, formsOf } from './forms.ts'
import { LoadGate } from './gate.ts'
import { another, type Item, outcomeOf, type Settled } from './item.ts'
import { Items } from './items.ts'
import { type LoadAll, Loads } from './loaders.ts'
import { type Kept, MemoryLayer } from './memory.ts'
import type { CacheParts } from './parts.ts'
import { checkTags } from './tags.ts'
import type { ChangeListener } from './tier.ts'
import type {
  CacheFacade,
  CacheResult,
  EntryOptions,
  GetOptions,
  LoadMissing,
  SetOptions,
  SetOutcome,
  WrapOptions,
} from './types.ts'
import { unlessAborted } from './until.ts'
import { writeGiven } from './writer.ts'

/** The two-layer cache: memory, then Redis, then the origin. */
export class TieredCache implements CacheFacade, ChangeListener {
  readonly #parts: CacheParts
  readonly #memory: MemoryLayer
  readonly #fetcher: Fetcher
  readonly #formOf: (key: string) => Form
  readonly #loads: Loads
  readonly #items: Items
  readonly #flights = new Flights((item) => this.#fetcher.hurry(item))
  readonly #closing = new AbortController()
  #closed: Promise<void> | undefined

  constructor(parts: CacheParts) {
    const { tier, clock, random, limits, tasks, originOf, observer } = parts
    this.#parts = parts
    this.#formOf = formsOf(tasks)
    this.#loads = new Loads(originOf)
    this.#memory = new MemoryLayer({ ...limits, ttlMs: limits.memoryTtlMs, clock, hearing: () => tier.hearing })
    this.#items = new Items(this.#formOf, this.#memory, limits)
    const onError = () => observer.error({ keyspace: null, tier: 'redis' })
    const careful = new CarefulTier({ tier, clock, timeoutMs: limits.redisTimeoutMs, onError })
    const inLoad = new AsyncLocalStorage<true>()
    const scope = { isInside: () => inLoad.getStore() === true, enter: <T>(work: () => T) => inLoad.run(true, work) }
    const gate = new LoadGate({ ...limits, waitMs: limits.loadTimeoutMs, clock, scope })
    const closing = this.#closing.signal
    this.#fetcher = new Fetcher({ tier: careful, memory: this.#memory, gate, clock, random, limits, observer, closing })
  }

  async get<T = unknown>(key: string, options?: GetOptions<T>): Promise<T | undefined> {
    return (await this.read<T>(key, options)).value
  }

  async read<T = unknown>(key: string, options: GetOptions<T> = {}): Promise<CacheResult<T>> {
    const startNs = this.#parts.clock.nowNs()
    const kept = options.fresh === true ? undefined : this.#memory.get(key)
    if (kept !== undefined) return this.#fromMemory(key, kept, options, startNs)
    const item = this.#begin(key, options)
    const settled = await unlessAborted(item.done, options.signal)
    this.#tell(item, settled, startNs)
    return settled.result as CacheResult<T>
  }

  async getMany<T = unknown>(
    keys: readonly string[],
    loadMissing?: LoadMissing<T>,
    options: Omit<GetOptions<T>, 'load'> = {},
  ): Promise<Map<string, T>> {
    const startNs = this.#parts.clock.nowNs()
    const values = new Map<string, T>()
    const waiting: Item[] = []
    const missing: string[] = []
    for (const key of new Set(keys)) {
      const kept = options.fresh === true ? undefined : this.#memory.get(key)
      if (kept !== undefined) {
        const { value } = this.#fromMemory<T>(key, kept, options, startNs)
        if (value !== undefined) values.set(key, value)
        continue
      }
      const joined = options.fresh === true ? undefined : this.#flights.join(key, true)
      if (joined === undefined) missing.push(key)
      else waiting.push(joined)
    }
    const mine = this.#items.all(missing, options)
    for (const [load, items] of this.#loads.group(mine, loadMissing)) this.#fetch(items, load, options.fresh === true)
    waiting.push(...mine)
    if (waiting.length === 0) return values
    const ends = await unlessAborted(Promise.allSettled(waiting.map(({ done }) => done)), options.signal)
    for (const [index, item] of waiting.entries()) {
      const end = ends[index]
      if (end?.status !== 'fulfilled') continue
      this.#tell(item, end.value, startNs)
      if (end.value.result.value !== undefined) values.set(item.key, end.value.result.value as T)
    }
    const failed = ends.find((end) => end.status === 'rejected')
    if (failed !== undefined) throw failed.reason
    return values
  }

  async set(key: string, value: unknown, options: SetOptions = {}): Promise<SetOutcome> {
    const version = options.version === undefined ? undefined : versionText(options.version)
    return (await this.#write([[key, value]], options, version))[0] as SetOutcome
  }

  async setMany(entries: Iterable<readonly [string, unknown]>, options: EntryOptions = {}): Promise<void> {
    await this.#write([...new Map(entries)], options, undefined)
  }

  delete(...keys: (string | readonly string[])[]): Promise<number> {
    return this.#delete(keys.flat())
  }

  async #delete(keys: readonly string[]): Promise<number> {
    for (const key of keys) this.#formOf(key)
    if (keys.length === 0) return 0
    this.#forget(keys)
    try {
      return await this.#parts.tier.delete([...new Set(keys)])
    } finally {
      // What was on its way meanwhile.
      this.#forget(keys)
      this.#parts.observer.invalidated(keys.length)
    }
  }

  async has(key: string): Promise<boolean> {
    const kept = this.#memory.get(key)
    if (kept !== undefined) return kept.value !== undefined
    const [found] = await this.#parts.tier.read([{ key, form: this.#formOf(key).type, wantsLease: false }])
    return found?.state === 'held'
  }

  async invalidateTags(...tags: (string | readonly string[])[]): Promise<void> {
    const checked = checkTags(tags.flat())
    if (checked.length === 0) return
    try {
      await this.#parts.tier.invalidateTags(checked)
    } finally {
      for (const tag of checked) this.#memory.dropTag(tag)
      this.#flights.forget(null)
      this.#parts.observer.invalidated(checked.length)
    }
  }

  async clear(prefix: string): Promise<number> {
    if (typeof prefix !== 'string' || prefix === '') {
      throw new PrewarmError(
        'USAGE',
        `prefix is '${prefix}', expected text that is not empty: all keys are not only this cache's`,
      )
    }
    await this.#parts.tier.barrier()
    // What is not there is being loaded, or known to be nowhere.
    let deleted = await this.#delete(this.#flights.keys(prefix).concat(this.#memory.keys(prefix)))
    for await (const page of this.#parts.tier.scan(prefix)) deleted += await this.#delete(page)
    return deleted
  }

  async warm<T>(key: string, options: Omit<GetOptions<T>, 'fresh'>): Promise<SetOutcome | 'no_value'> {
    const item = this.#items.one(key, options, 'warm')
    const load = this.#loads.for(item.form, options.load)
    if (load === null) throw new PrewarmError('USAGE', `Nothing loads '${key}': give load, or a key of a keyspace`)
    this.#fetch([item], load, true)
    const outcome = outcomeOf(key, await unlessAborted(item.done, options.signal))
    if (outcome === 'written')
      this.#parts.observer.warmed?.({ keyspace: item.form.keyspace, ttlMs: item.ttlMs + item.graceMs })
    return outcome
  }

  wrap<A extends readonly unknown[], R>(
    fn: (...args: A) => PromiseLike<R> | R,
    { key = callKey(fn), ...options }: WrapOptions<A> = {},
  ): (...args: A) => Promise<R | undefined> {
    return (...args) => this.get<R>(key(...args), { ...options, load: () => fn(...args) })
  }

  close(): Promise<void> {
    this.#closed ??= (async () => {
      this.#closing.abort(closed())
      await this.#fetcher.settled()
      for (const cleanUp of this.#parts.cleanUps) await (async () => cleanUp())().catch(() => {})
      this.#memory.drop(null)
    })()
    return this.#closed
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }

  onChanged(keys: readonly string[] | null): void {
    this.#memory.drop(keys)
    this.#flights.forget(keys)
    this.#fetcher.wake(keys)
  }

  onDeleted(keys: readonly string[]): void {
    this.#forget(keys)
    this.#parts.tier.heard(keys).catch(() => this.#parts.observer.error({ keyspace: null, tier: 'redis' }))
  }

  /** What is on its way: all 0 at rest. */
  get pending() {
    return { flights: this.#flights.size, questions: this.#memory.asking, work: this.#fetcher.running }
  }

  #fromMemory<T>(key: string, kept: Kept, options: GetOptions<T>, startNs: number): CacheResult<T> {
    const { clock, observer } = this.#parts
    const { value, filledBy, keyspace, expiresAtMs } = kept
    const ttlMs = kept.freshUntilMs - clock.nowMs()
    if (this.#fetcher.isDue(ttlMs, keyspace)) this.#refresh(key, options)
    const durationNs = clock.nowNs() - startNs
    observer.read({ key, keyspace, tier: 'memory', status: 'hit', filledBy, durationNs, expiresAtMs })
    return { value: value as T, tier: 'memory', status: 'hit', filledBy, ttlMs }
  }

  /** A read of one key: one that is on its way already, or a new one. */
  #begin<T>(key: string, options: GetOptions<T>): Item {
    checkOptions(options)
    // What a stampede does a thousand times over comes first.
    const met = options.load !== undefined && options.fresh !== true && this.#flights.join(key, true)
    if (met) return met
    const form = this.#formOf(key)
    const load = this.#loads.for(form, options.load)
    const isFresh = options.fresh === true && load !== null
    const joined = !isFresh && this.#flights.join(key, load !== null)
    if (joined) return joined
    const item = this.#items.one(key, options)
    this.#fetch([item], load, isFresh)
    return item
  }

  #fetch(items: readonly Item[], load: LoadAll | null, isFresh: boolean): void {
    for (const item of items) {
      if (!isFresh) this.#flights.add(item, load !== null)
      void item.done
        .catch(() => {})
        .then(() => {
          this.#memory.done(item.asked)
          this.#flights.end(item, load !== null)
        })
    }
    if (this.#closing.signal.aborted) for (const item of items) item.fail(closed())
    else if (isFresh && load !== null) this.#fetcher.reload(items, load)
    else this.#fetcher.read(items, load, (item) => this.#again(item, load))
  }

  #again(item: Item, load: LoadAll | null): void {
    if (load !== null) this.#fetcher.refresh(another(item, this.#memory.ask(item.key)), load)
  }

  #refresh<T>(key: string, options: GetOptions<T>): void {
    const load = this.#loads.for(this.#formOf(key), options.load)
    if (load !== null) this.#fetcher.refresh(this.#items.one(key, options), load)
  }

  async #write(
    entries: readonly (readonly [string, unknown])[],
    options: EntryOptions,
    version: string | undefined,
  ): Promise<SetOutcome[]> {
    const keys = entries.map(([key]) => key)
    const items = this.#items.all(keys, options, 'unknown')
    try {
      this.#forget(keys)
      const given = entries.map(([, value], index) => ({ item: items[index] as Item, value, version }))
      return await writeGiven(given, { ...this.#parts, memory: this.#memory })
    } catch (error) {
      // It may have been carried out, after somebody read the old value.
      this.#memory.drop(keys)
      throw error
    } finally {
      this.#flights.forget(keys)
      for (const { asked } of items) this.#memory.done(asked)
    }
  }

  /** Nothing of what was known, or is on its way, is for readers that come from here on. */
  #forget(keys: readonly string[]): void {
    this.#memory.drop(keys)
    this.#flights.forget(keys)
  }

  #tell({ key, form }: Item, { result, expiresAtMs }: Settled, startNs: number): void {
    const { tier, status, filledBy } = result
    const durationNs = this.#parts.clock.nowNs() - startNs
    this.#parts.observer.read({ key, keyspace: form.keyspace, tier, status, filledBy, durationNs, expiresAtMs })
  }
}
