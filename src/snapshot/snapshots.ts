import type { Clock } from '../clock.ts'
import type { Config } from '../config/load.ts'
import type { HotKey } from '../coordination/types.ts'
import { isPrewarmError, PrewarmError } from '../errors.ts'
import type { Store } from '../store/types.ts'
import type { JobRequest } from '../types.ts'
import { configVersion } from './config-version.ts'
import { formatSnapshot, mayBeHead, parseHeader, parseSnapshot } from './format.ts'
import { keptReason } from './keep.ts'
import { type LoadCounts, type LoadEnd, type LoadParts, loadEntries } from './load.ts'
import { checkTarget } from './target.ts'
import type { Snapshot, SnapshotEntry, SnapshotHeader, SnapshotTarget } from './types.ts'

export interface SnapshotParts extends Omit<LoadParts, 'store'> {
  config: () => Config
  /** Sends what this process has read to where the predictor looks. Never throws. */
  flush: () => Promise<void>
  /** Hottest first. */
  predict: (options: { limit: number; windowMs: number }) => Promise<HotKey[]>
  store: Pick<Store, 'ttlsMs' | 'connect'>
  /** @param isConfigured it stands in the configuration: a file is then beside that, else in the working directory */
  targetOf: (to: string, isConfigured: boolean) => SnapshotTarget
  clock: Clock
}

export interface SaveOptions {
  /** A file, or `redis:NAME`. @default snapshot.to */
  to?: string | undefined
  /** At most this many keys, the hottest. @default snapshot.keys, else 10_000 */
  limit?: number | undefined
  /** Replace also a list that is worth more. @default false */
  force?: boolean
  /** Nothing is replaced once it has aborted. */
  signal?: AbortSignal
}

/** What came of a save. */
export interface SaveOutcome {
  to: string
  /** Hot keys that are known now. */
  keys: number
  /** False: the list that is there was kept. */
  saved: boolean
  /** Why it was. */
  reason: string | null
}

export interface LoadSnapshotOptions {
  /** A file, or `redis:NAME`. @default snapshot.to */
  from?: string | undefined
  /** Bound on the whole load, ms. @default snapshot.timeout, else 120_000 */
  timeoutMs?: number | undefined
  /** Load also what was saved under another configuration. @default false */
  anyConfig?: boolean
  signal?: AbortSignal
  request?: JobRequest
  onProgress?: (counts: Readonly<LoadCounts>) => void
}

/** What came of a load. */
export interface LoadOutcome extends LoadEnd {
  from: string
  /** ISO 8601 */
  savedAt: string
}

const KEYS = 10_000
const TIMEOUT_MS = 120_000
const CONNECT_MS = 5000
/** Why something that is there stays. */
const NO_SNAPSHOT = 'it is no snapshot'
const NEVER = new AbortController().signal

/** Saves the ranked list of hot keys, and warms it again. */
export class Snapshots {
  readonly #parts: SnapshotParts

  constructor(parts: SnapshotParts) {
    this.#parts = parts
  }

  /**
   * Saves what is hot now. A list that is worth more is kept: see `keptReason`.
   *
   * @throws {PrewarmError} `USAGE`, `SNAPSHOT_INVALID` if it can't be written, `STORE_UNREACHABLE`, `STORE_REFUSED`
   */
  async save({ to, limit, force = false, signal = NEVER }: SaveOptions = {}): Promise<SaveOutcome> {
    const { config, clock, flush } = this.#parts
    const target = this.#target(to)
    await flush()
    const most = Math.min(limit ?? config().settings.snapshot?.keys ?? KEYS, target.maxKeys)
    const version = await configVersion(config().tasks)
    const entries = await this.#hottest(most)
    const savedAtMs = clock.nowMs()
    if (!force) {
      const now = { keys: entries.length, limit: most, config: version, nowMs: savedAtMs }
      const reason = await this.#keptReason(target, now)
      if (reason !== null) return { to: target.name, keys: entries.length, saved: false, reason }
    }
    await target.write(formatSnapshot({ config: version, savedAtMs, entries }), signal)
    return { to: target.name, keys: entries.length, saved: true, reason: null }
  }

  /** @throws {PrewarmError} `NOT_FOUND` if there is none, `SNAPSHOT_INVALID`, `USAGE`, `STORE_UNREACHABLE` */
  async read(from?: string): Promise<Snapshot & { from: string }> {
    const target = this.#target(from)
    const text = await target.read()
    if (text === null) {
      throw new PrewarmError(
        'NOT_FOUND',
        `There is no snapshot ${target.name}: write one with \`prewarm snapshot save\``,
      )
    }
    return { ...parseSnapshot(text, target.name), from: target.name }
  }

  /** The head alone; null: there is none. @throws as {@linkcode read} */
  async readHeader(from?: string): Promise<SnapshotHeader | null> {
    const target = this.#target(from)
    const line = await target.readHead()
    return line === null ? null : parseHeader(line, target.name)
  }

  /**
   * Warms the keys of a snapshot through the normal loaders: see `loadEntries`.
   *
   * @throws {PrewarmError} as {@linkcode read}; `SNAPSHOT_MISMATCH` where it was saved under another configuration
   */
  async load({ from, timeoutMs, anyConfig = false, ...options }: LoadSnapshotOptions = {}): Promise<LoadOutcome> {
    const { config, store } = this.#parts
    const snapshot = await this.read(from)
    if (!anyConfig) await this.#assertSame(snapshot)
    await store.connect(CONNECT_MS)
    const settled = timeoutMs ?? config().settings.snapshot?.timeoutMs ?? TIMEOUT_MS
    const end = await loadEntries(snapshot.entries, this.#parts, { ...options, timeoutMs: settled })
    return { from: snapshot.from, savedAt: new Date(snapshot.savedAtMs).toISOString(), ...end }
  }

  #target(to: string | undefined): SnapshotTarget {
    const { config, targetOf } = this.#parts
    const place = to ?? config().settings.snapshot?.to
    if (place === undefined) {
      const fix = 'name a file or redis:NAME, or set `snapshot.to` in the configuration'
      throw new PrewarmError('USAGE', `No place for the snapshot is given: ${fix}`)
    }
    return targetOf(checkTarget(place), to === undefined)
  }

  async #assertSame({ config: saved, from }: Snapshot & { from: string }): Promise<void> {
    const now = await configVersion(this.#parts.config().tasks)
    if (saved === now) return
    const what = `${from} was saved under the configuration ${saved}, this one is ${now}: its keys may mean something else now`
    throw new PrewarmError('SNAPSHOT_MISMATCH', `${what}. Load it all the same with --any-config, or save another`)
  }

  /** The hottest keys that have a task, and what they have left to live. */
  async #hottest(limit: number): Promise<SnapshotEntry[]> {
    const { config, predict, tasksOf, store } = this.#parts
    const { windowMs } = config().settings.prediction
    let hot: HotKey[] = []
    let known: HotKey[] = []
    // Keys of no task are left out; where they are many, what is below them is asked for as well.
    for (let wanted = limit; ; wanted *= 4) {
      hot = await predict({ limit: wanted, windowMs })
      const unmatched = new Set(tasksOf(hot.map(({ key }) => key)).unmatched)
      known = hot.filter(({ key }) => !unmatched.has(key))
      if (known.length >= limit || hot.length < wanted) break
    }
    known = known.slice(0, limit)
    if (known.length > 0) await store.connect(CONNECT_MS)
    const ttls = await store.ttlsMs(known.map(({ key }) => key))
    return known.map(({ key, score }, index) => {
      const ttlMs = ttls[index] as number
      return { key, score, ttlMs: ttlMs === -2 ? null : ttlMs }
    })
  }

  async #keptReason(target: SnapshotTarget, now: Parameters<typeof keptReason>[1]): Promise<string | null> {
    try {
      const line = await target.readHead()
      if (line !== null && !mayBeHead(line)) return NO_SNAPSHOT
      const reason = keptReason(line === null ? null : parseHeader(line, target.name), now)
      // One that can't be loaded is worth nothing.
      if (reason !== null) parseSnapshot((await target.read()) ?? '', target.name)
      return reason
    } catch (error) {
      if (isPrewarmError(error) && error.code === 'SNAPSHOT_INVALID')
        return error.detail === 'other' ? NO_SNAPSHOT : null
      throw error
    }
  }
}
