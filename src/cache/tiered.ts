import { PrewarmError } from '../errors.ts'
import { versionText } from '../keyspace/version.ts'
import { CarefulTier } from './careful-tier.ts'
import { closed, Fetcher } from './fetcher.ts'
import { type Form, formsOf, hashTags } from './forms.ts'
import { LoadGate } from './gate.ts'
import { createItem, type Item, type Settled } from './item.ts'
import { type LoadAll, Loads } from './loaders.ts'
import { type Kept, MemoryLayer } from './memory.ts'
import { type CacheLimits, entryTimes } from './options.ts'
import type { CacheParts } from './parts.ts'
import { checkTags } from './tags.ts'
import type { ChangeListener } from './tier.ts'
import type {
  CacheFacade,
  CacheResult,
  EntryOptions,
  FilledBy,
  GetOptions,
  LoadMissing,
  ReadTold,
  SetOptions,
  SetOutcome,
  WrapOptions,
} from './types.ts'
import { unlessAborted } from './until.ts'
import { writeGiven } from './writer.ts'

/** What a call says of how its keys are kept. */
type Given = EntryOptions & Pick<GetOptions<unknown>, 'negativeTtl'>

/** The two-layer cache: memory, then Redis, then the origin. */
export class TieredCache implements CacheFacade, ChangeListener {
  readonly #parts: CacheParts
  readonly #limits: CacheLimits
  readonly #memory: MemoryLayer
  readonly #fetcher: Fetcher
  readonly #formOf: (key: string) => Form
  readonly #loads: Loads
  /** Reads on their way, for others to join: those that load what is missing, and those that only look. */
  readonly #loading = new Map<string, Item>()
  readonly #looking = new Map<string, Item>()
  readonly #closing = new AbortController()
  #closed: Promise<void> | undefined

  constructor(parts: CacheParts) {
    const { tier, clock, random, limits, tasks, originOf, observer } = parts
    this.#parts = parts
    this.#limits = limits
    this.#formOf = formsOf(tasks)
    this.#loads = new Loads(originOf)
    this.#memory = new MemoryLayer({ ...limits, ttlMs: limits.memoryTtlMs, clock, hearing: () => tier.hearing })
    const careful = new CarefulTier({
      tier,
      clock,
      timeoutMs: limits.redisTimeoutMs,
      onError: () => observer.error({ keyspace: null, tier: 'redis' }),
    })
    const gate = new LoadGate(limits)
    const closing = this.#closing.signal
    this.#fetcher = new Fetcher({ tier: careful, memory: this.#memory, gate, clock, random, limits, observer, closing })
  }

  async get<T = unknown>(key: string, options: GetOptions<T> = {}): Promise<T | undefined> {
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
    const mine: Item[] = []
    for (const key of new Set(keys)) {
      const kept = options.fresh === true ? undefined : this.#memory.get(key)
      if (kept !== undefined) {
        const { value } = this.#fromMemory<T>(key, kept, options, startNs)
        if (value !== undefined) values.set(key, value)
        continue
      }
      const joined = options.fresh === true ? undefined : this.#loading.get(key)
      const item = joined ?? this.#item(key, options)
      waiting.push(item)
      if (joined === undefined) mine.push(item)
    }
    for (const [load, items] of this.#loads.group(mine, loadMissing)) this.#fetch(items, load, options.fresh === true)
    for (const item of waiting) {
      const settled = await unlessAborted(item.done, options.signal)
      this.#tell(item, settled, startNs)
      if (settled.result.value !== undefined) values.set(item.key, settled.result.value as T)
    }
    return values
  }

  async set(key: string, value: unknown, options: SetOptions = {}): Promise<SetOutcome> {
    const version = options.version === undefined ? undefined : versionText(options.version)
    const [outcome] = await this.#write([[key, value]], options, version)
    return outcome as SetOutcome
  }

  async setMany(entries: Iterable<readonly [string, unknown]>, options: EntryOptions = {}): Promise<void> {
    await this.#write([...new Map(entries)], options, undefined)
  }

  async delete(...keys: string[]): Promise<number> {
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

  async invalidateTags(...tags: string[]): Promise<void> {
    const checked = checkTags(tags)
    if (checked.length === 0) return
    try {
      await this.#parts.tier.invalidateTags(checked)
    } finally {
      for (const tag of checked) this.#memory.dropTag(tag)
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
    let deleted = 0
    for await (const page of this.#parts.tier.scan(prefix)) deleted += await this.delete(...page)
    return deleted
  }

  async warm<T>(key: string, options: Omit<GetOptions<T>, 'fresh'>): Promise<SetOutcome | 'no_value'> {
    const item = this.#item(key, options, 'warm')
    const load = this.#loads.for(item.form, options.load)
    if (load === null) throw new PrewarmError('USAGE', `Nothing loads '${key}': give load, or a key of a keyspace`)
    this.#fetch([item], load, true)
    const { result, outcome } = await unlessAborted(item.done, options.signal)
    if (result.value === undefined) return 'no_value'
    if (outcome === undefined)
      throw new PrewarmError('STORE_UNREACHABLE', `'${key}' was loaded, and could not be written`)
    if (outcome !== 'written') return 'skipped_newer'
    this.#parts.observer.warmed?.({ keyspace: item.form.keyspace, ttlMs: item.ttlMs + item.graceMs })
    return 'written'
  }

  wrap<A extends readonly unknown[], R>(
    fn: (...args: A) => PromiseLike<R> | R,
    { key, ...options }: WrapOptions<A>,
  ): (...args: A) => Promise<R | undefined> {
    return (...args) => this.get<R>(key(...args), { ...options, load: () => fn(...args) })
  }

  close(): Promise<void> {
    this.#closed ??= (async () => {
      this.#closing.abort(closed())
      await this.#fetcher.settled()
      for (const cleanUp of this.#parts.cleanUps) await Promise.resolve(cleanUp()).catch(() => {})
    })()
    return this.#closed
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }

  onChanged(keys: readonly string[] | null): void {
    this.#memory.drop(keys)
    this.#fetcher.wake(keys)
  }

  onDeleted(keys: readonly string[]): void {
    this.#forget(keys)
    this.#parts.tier.heard(keys).catch(() => this.#parts.observer.error({ keyspace: null, tier: 'redis' }))
  }

  #fromMemory<T>(key: string, kept: Kept, options: GetOptions<T>, startNs: number): CacheResult<T> {
    const { clock, observer } = this.#parts
    const { value, filledBy, keyspace, expiresAtMs } = kept
    const ttlMs = kept.freshUntilMs - clock.nowMs()
    if (this.#fetcher.isDue(ttlMs, keyspace)) this.#refresh(key, options)
    const told: ReadTold = { key, keyspace, tier: 'memory', status: 'hit', filledBy, durationNs: 0, expiresAtMs }
    told.durationNs = clock.nowNs() - startNs
    observer.read(told)
    return { value: value as T, tier: 'memory', status: 'hit', filledBy, ttlMs }
  }

  /** A read of one key: one that is on its way already, or a new one. */
  #begin<T>(key: string, options: GetOptions<T>): Item {
    const form = this.#formOf(key)
    const load = this.#loads.for(form, options.load)
    const isFresh = options.fresh === true && load !== null
    const joined = isFresh ? undefined : (load === null ? this.#looking : this.#loading).get(key)
    if (joined !== undefined) return joined
    const item = this.#item(key, options)
    this.#fetch([item], load, isFresh)
    return item
  }

  #fetch(items: readonly Item[], load: LoadAll | null, isFresh: boolean): void {
    const flights = load === null ? this.#looking : this.#loading
    for (const item of items) {
      if (!isFresh) flights.set(item.key, item)
      void item.done
        .catch(() => {})
        .then(() => {
          this.#memory.done(item.asked)
          if (flights.get(item.key) === item) flights.delete(item.key)
        })
    }
    if (this.#closing.signal.aborted) for (const item of items) item.fail(closed())
    else if (isFresh && load !== null)
      for (const item of items) void this.#fetcher.reload(item, load).catch((error) => item.fail(error))
    else void this.#fetcher.fetch(items, load, (item) => this.#again(item, load))
  }

  #again({ key, form, ttlMs, graceMs, negativeTtlMs, tags }: Item, load: LoadAll | null): void {
    if (load === null) return
    const asked = this.#memory.ask(key)
    const times = { ttlMs, graceMs, negativeTtlMs }
    this.#fetcher.refresh(createItem(key, form, times, this.#limits, asked, { tags }), load)
  }

  #refresh<T>(key: string, options: GetOptions<T>): void {
    const load = this.#loads.for(this.#formOf(key), options.load)
    if (load !== null) this.#fetcher.refresh(this.#item(key, options), load)
  }

  /** @throws {PrewarmError} `KEY_INVALID`, `USAGE` */
  #item(key: string, options: Given, filledBy: FilledBy = 'read'): Item {
    const form = this.#formOf(key)
    const tags = checkTags(options.tags ?? [])
    if (tags.length > 0 && form.type === 'hash') throw hashTags(key, form.type)
    return createItem(key, form, entryTimes(options), this.#limits, this.#memory.ask(key), { tags, filledBy })
  }

  async #write(
    entries: readonly (readonly [string, unknown])[],
    options: EntryOptions,
    version: string | undefined,
  ): Promise<SetOutcome[]> {
    const items = entries.map(([key]) => this.#item(key, options, 'unknown'))
    try {
      this.#forget(items.map(({ key }) => key))
      const given = entries.map(([, value], index) => ({ item: items[index] as Item, value, version }))
      return await writeGiven(given, { ...this.#parts, memory: this.#memory })
    } finally {
      this.#forget(
        items.map(({ key }) => key),
        { keepMemory: true },
      )
      for (const { asked } of items) this.#memory.done(asked)
    }
  }

  /** Nothing of what was known, or is on its way, is for readers that come from here on. */
  #forget(keys: readonly string[], { keepMemory = false } = {}): void {
    if (!keepMemory) this.#memory.drop(keys)
    for (const key of keys) {
      this.#loading.delete(key)
      this.#looking.delete(key)
    }
  }

  #tell({ key, form }: Item, { result, expiresAtMs }: Settled, startNs: number): void {
    const { tier, status, filledBy } = result
    const durationNs = this.#parts.clock.nowNs() - startNs
    this.#parts.observer.read({ key, keyspace: form.keyspace, tier, status, filledBy, durationNs, expiresAtMs })
  }
}
