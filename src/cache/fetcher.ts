import type { Clock } from '../clock.ts'
import { PrewarmError } from '../errors.ts'
import type { CarefulTier } from './careful-tier.ts'
import { isDueEarly, LoadTimes } from './early-refresh.ts'
import { decode } from './forms.ts'
import type { LoadGate } from './gate.ts'
import { type Item, missed } from './item.ts'
import type { Got, LoadAll } from './loaders.ts'
import type { MemoryLayer } from './memory.ts'
import type { CacheLimits } from './options.ts'
import type { Ask, Found, Lease } from './tier.ts'
import type { CacheObserver, Tier } from './types.ts'
import { Wakers } from './wakers.ts'
import { type Loaded, writeLoaded } from './write-loaded.ts'

export interface FetcherOptions {
  tier: CarefulTier
  memory: MemoryLayer
  gate: LoadGate
  clock: Clock
  random: () => number
  limits: CacheLimits
  observer: CacheObserver
  /** Aborts when the cache is closed. */
  closing: AbortSignal
}

interface LoadOptions {
  /** Over what is there. */
  replace: boolean
}

/** First and longest pause of a reader that waits for another process's load, ms. */
const FIRST_PAUSE_MS = 4
const MAX_PAUSE_MS = 40

/** Finds what is not in memory: asks Redis, waits for others' loads, loads. Settles every item that it is given. */
export class Fetcher {
  readonly #options: FetcherOptions
  readonly #times = new LoadTimes()
  readonly #wakers: Wakers
  readonly #refreshing = new Set<string>()
  readonly #maxRefreshes: number
  /** Pieces of work on their way, and who waits for the last one. */
  #running = 0
  readonly #idle: (() => void)[] = []

  constructor(options: FetcherOptions) {
    const { clock, limits, closing } = options
    this.#options = options
    this.#wakers = new Wakers(clock)
    // Readers come first.
    this.#maxRefreshes = Math.ceil(limits.maxLoads / 2)
    closing.addEventListener('abort', () => this.#wakers.wake(null), { once: true })
  }

  get running(): number {
    return this.#running
  }

  /** Settles each item; `loadAll` null: nothing is loaded, what is not there is a miss. */
  read(items: readonly Item[], loadAll: LoadAll | null, again: (item: Item) => void): void {
    this.#track(items, () => this.#find(items, loadAll, again))
  }

  /** Loads items in any case, together, over what is there. */
  reload(items: readonly Item[], loadAll: LoadAll): void {
    this.#track(items, () => this.#reload(items, loadAll))
  }

  /** Runs work that settles items. */
  #track(items: readonly Item[], work: () => Promise<void>): void {
    this.#running++
    void work()
      .catch((error) => {
        for (const item of items) item.fail(error)
      })
      .finally(() => {
        this.#running--
        if (this.#running === 0) for (const tell of this.#idle.splice(0)) tell()
      })
  }

  async #find(items: readonly Item[], loadAll: LoadAll | null, again: (item: Item) => void): Promise<void> {
    const { tier } = this.#options
    const wantsLease = loadAll !== null
    const found = await tier.readAll(items.map((item) => askOf(item, wantsLease)))
    const ours: { item: Item; lease: Lease | null }[] = []
    const unreadable: Item[] = []
    const waiting: Promise<void>[] = []
    for (const [index, item] of items.entries()) {
      const one = found[index] as Found | null
      if (this.#serve(item, one, again)) continue
      if (loadAll === null) item.settle({ result: missed(), expiresAtMs: 0 })
      else if (one?.state === 'waiting') waiting.push(this.#wait(item, loadAll, again))
      else if (one?.state === 'held') unreadable.push(item)
      else ours.push({ item, lease: one?.state === 'leased' ? one.lease : null })
    }
    if (unreadable.length > 0) waiting.push(this.#reload(unreadable, loadAll as LoadAll))
    if (ours.length > 0) waiting.push(this.#load(ours, loadAll as LoadAll, { replace: false }))
    await Promise.all(waiting)
  }

  /** Loads items and writes them under the lease that each has; without one nothing is written. */
  async #load(
    ours: readonly { item: Item; lease: Lease | null }[],
    loadAll: LoadAll,
    { replace }: LoadOptions,
  ): Promise<void> {
    const { tier, gate, clock } = this.#options
    const items = ours.map(({ item }) => item)
    const keyspace = items[0]?.form.keyspace ?? null
    // Before the load: what is invalidated from here on must not be served.
    const tags = [...new Set(items.flatMap((item) => item.tags))]
    const versions = tags.length === 0 ? [] : await tier.tagVersions(tags)
    let got: Map<string, Got>
    try {
      got = await gate.run(async () => {
        const startNs = clock.nowNs()
        const brought = await this.#bounded(items, loadAll)
        this.#times.add(keyspace, (clock.nowNs() - startNs) / 1e6)
        return brought
      }, items)
    } catch (error) {
      this.#failed(ours, keyspace, 'origin')
      for (const { item } of ours) item.fail(error)
      return
    }
    // Without the tags' versions nothing can be written.
    if (versions === null) for (const { item, lease } of ours) if (lease !== null) void tier.release([item.key], lease)
    const loaded: Loaded[] = []
    for (const { item, lease: held } of ours) {
      const lease = versions === null ? null : held
      const one = got.get(item.key) ?? { value: undefined }
      if ('error' in one) {
        this.#failed([{ item, lease }], item.form.keyspace, 'origin')
        item.fail(one.error)
      } else loaded.push({ item, lease, got: one })
    }
    const versionOf = new Map(tags.map((tag, index) => [tag, versions?.[index] ?? '']))
    await writeLoaded(loaded, versionOf, replace, this.#options)
  }

  async #reload(items: readonly Item[], loadAll: LoadAll): Promise<void> {
    const { tier } = this.#options
    const ours = items.map(async (item) => ({ item, lease: (await tier.lease(item.key)) ?? (await tier.ticket()) }))
    await this.#load(await Promise.all(ours), loadAll, { replace: true })
  }

  /**
   * Refreshes in the background what is there and due; one reader of all processes does. It never queues up before readers:
   * where half of the loads are refreshes already it is left to a later read.
   */
  refresh(item: Item, loadAll: LoadAll): void {
    const { tier, memory, closing } = this.#options
    const { key } = item
    if (this.#refreshing.has(key) || this.#refreshing.size >= this.#maxRefreshes || closing.aborted) {
      memory.done(item.asked)
      return
    }
    this.#refreshing.add(key)
    this.#track([item], async () => {
      try {
        const lease = await tier.lease(key)
        if (lease !== null) await this.#load([{ item, lease }], loadAll, { replace: true })
      } finally {
        memory.done(item.asked)
        this.#refreshing.delete(key)
      }
    })
  }

  /** Whether something fresh for so long is refreshed already. */
  isDue(leftMs: number, keyspace: string | null): boolean {
    return isDueEarly(leftMs, this.#times.of(keyspace), this.#options.limits.beta, this.#options.random())
  }

  /** Somebody waits for an item of another's; it may be a load that holds up others. */
  hurry(item: Item): void {
    this.#options.gate.hurry(item)
  }

  /** Whoever waits for these keys looks again. */
  wake(keys: readonly string[] | null): void {
    this.#wakers.wake(keys)
  }

  /** Resolves when nothing runs any more, in the background neither, and every lease has been given back. */
  async settled(): Promise<void> {
    if (this.#running > 0) await new Promise<void>((resolve) => void this.#idle.push(resolve))
    await this.#options.tier.settled()
  }

  /** Settles an item with what Redis holds; false if it holds nothing, or nothing that can be read. */
  #serve(item: Item, found: Found | null, again: (item: Item) => void): boolean {
    const { memory, clock, observer } = this.#options
    if (found?.state !== 'held' && found?.state !== 'absent') return false
    const { keyspace } = item.form
    const nowMs = clock.nowMs()
    if (found.state === 'absent') {
      const result = { value: undefined, tier: 'redis', status: 'hit', filledBy: 'read', ttlMs: found.leftMs } as const
      const freshUntilMs = nowMs + found.leftMs
      memory.keep(item.asked, { ...result, freshUntilMs, expiresAtMs: 0, keyspace, tags: [] }, 0)
      item.settle({ result, expiresAtMs: 0 })
      return true
    }
    const { leftMs, expiresAtMs, filledBy } = found
    try {
      const { value, tags, bytes } = decode(item.form, found.value)
      const freshMs = leftMs - (filledBy === 'unknown' ? item.ownGraceMs : item.graceMs)
      const status = freshMs > 0 ? 'hit' : 'stale'
      const kept = { value, freshUntilMs: nowMs + freshMs, expiresAtMs, filledBy, keyspace, tags }
      memory.keep(item.asked, kept, bytes)
      item.settle({ result: { value, tier: 'redis', status, filledBy, ttlMs: freshMs }, expiresAtMs })
      if (status === 'stale' || this.isDue(freshMs, keyspace)) again(item)
      return true
    } catch {
      observer.error({ keyspace, tier: 'redis' })
      return false
    }
  }

  /** Looks again until the value has landed, its loader has given up, or the wait has been long enough. */
  async #wait(item: Item, loadAll: LoadAll, again: (item: Item) => void): Promise<void> {
    const { tier, clock, limits, closing } = this.#options
    const { key } = item
    const untilNs = clock.nowNs() + limits.waitMs * 1e6
    const leftMs = () => (untilNs - clock.nowNs()) / 1e6
    for (let pauseMs = FIRST_PAUSE_MS; leftMs() > 0; pauseMs = Math.min(2 * pauseMs, MAX_PAUSE_MS)) {
      await this.#wakers.pause(key, Math.min(pauseMs, leftMs()))
      if (closing.aborted) throw closed()
      const [found = null] = await tier.readAll([askOf(item, true)])
      if (this.#serve(item, found, again)) return
      if (found?.state === 'waiting') continue
      if (found?.state === 'held') return this.#reload([item], loadAll)
      return this.#load([{ item, lease: found?.state === 'leased' ? found.lease : null }], loadAll, { replace: false })
    }
    await this.#load([{ item, lease: await tier.ticket() }], loadAll, { replace: false })
  }

  /** One load, for as long as it may take. */
  #bounded(items: readonly Item[], loadAll: LoadAll): Promise<Map<string, Got>> {
    const { clock, limits, closing } = this.#options
    const timeoutMs = loadAll.timeoutMs ?? limits.loadTimeoutMs
    const abort = new AbortController()
    return new Promise((resolve, reject) => {
      const stop = (error: PrewarmError) => {
        abort.abort(error)
        finish()
        reject(error)
      }
      const what = `loading '${items[0]?.key}'${items.length > 1 ? ` and ${items.length - 1} more` : ''}`
      const takeBack = clock.after(timeoutMs, () =>
        stop(new PrewarmError('ORIGIN_TIMEOUT', `${what} took longer than ${timeoutMs} ms`)),
      )
      const onClose = () => stop(closed())
      const finish = () => {
        takeBack()
        closing.removeEventListener('abort', onClose)
      }
      if (closing.aborted) return onClose()
      closing.addEventListener('abort', onClose, { once: true })
      // A function that throws at once is like one that rejects.
      void Promise.resolve()
        .then(() =>
          loadAll(
            items.map(({ key }) => key),
            abort.signal,
          ),
        )
        .then(resolve, reject)
        .finally(finish)
    })
  }

  #failed(ours: readonly { item: Item; lease: Lease | null }[], keyspace: string | null, tier: Tier): void {
    this.#options.observer.error({ keyspace, tier })
    for (const { item, lease } of ours) if (lease !== null) void this.#options.tier.release([item.key], lease)
  }
}

function askOf({ key, form, tags }: Item, wantsLease: boolean): Ask {
  return { key, form: form.type, wantsLease, isTagged: tags.length > 0 }
}

export function closed(): PrewarmError {
  return new PrewarmError('STOPPED', 'The cache was closed: create another')
}
