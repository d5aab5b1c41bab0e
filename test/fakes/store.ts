import type { Clock } from '../../src/clock.ts'
import type { Encoded } from '../../src/codec/types.ts'
import { versionText } from '../../src/keyspace/version.ts'
import type {
  Entry,
  KeyHeat,
  Store,
  StoredValue,
  StoreHeat,
  StoreStats,
  WriteOptions,
  WriteResult,
} from '../../src/store/types.ts'
import type { Outcome } from '../../src/types.ts'
import { MemoryChanges, stampedMs } from './changes.ts'

interface Held {
  value: StoredValue
  /** For values that can't hold it themselves. */
  version: string | undefined
  expiresMs: number
  /** When it was last read or written. */
  touchedMs: number
}

/** What a fault does to one entry. */
export interface Fault {
  outcome: 'failed' | 'unknown'
  retryable: boolean
  needsFreshRead?: boolean
}

/** A {@linkcode Store} in memory that expires by the clock it is given, with hooks for faults. */
export class MemoryStore implements Store {
  readonly #clock: Clock
  readonly #held = new Map<string, Held>()
  readonly #fences = new Map<string, number>()
  readonly #changes: MemoryChanges
  /** Every call of `write`, as it came. */
  readonly writes: { keys: string[]; options: WriteOptions }[] = []
  isClosed = false
  /** As under an LFU policy: counters by key, 5 where none is set. Undefined: idle times, as under any other. */
  counters: Map<string, number> | undefined
  /** What it tells of its memory: it drops nothing by itself. */
  memory = { usedMemoryBytes: 0, maxMemoryBytes: 0, evictionPolicy: 'noeviction', evictedKeys: 0 }
  /** Runs at the start of each `stats`. */
  onStats: () => Promise<void> | void = () => {}
  /** Runs at the start of each `connect`. */
  onConnect: () => Promise<void> | void = () => {}
  /** Runs at the start of each `begin`. */
  onBegin: () => Promise<void> | void = () => {}
  /** Runs at the start of each `write`. */
  onWrite: (entries: readonly Entry[]) => Promise<void> | void = () => {}
  /** Asked for each entry: what goes wrong with it, if anything. */
  faultOf: (entry: Entry) => Fault | undefined = () => undefined

  constructor(clock: Clock) {
    this.#clock = clock
    this.#changes = new MemoryChanges(clock)
  }

  async connect(): Promise<void> {
    await this.onConnect()
  }

  async begin(): Promise<string> {
    await this.onBegin()
    return this.#changes.begin()
  }

  async write(entries: readonly Entry[], options: WriteOptions): Promise<WriteResult> {
    this.writes.push({ keys: entries.map(({ key }) => key), options })
    await this.onWrite(entries)
    const result: WriteResult = { outcomes: [], failures: new Map() }
    for (const [index, entry] of entries.entries()) {
      const fault: Fault | undefined = options.signal.aborted
        ? { outcome: 'failed' as const, retryable: true }
        : this.faultOf(entry)
      if (fault === undefined && this.#isFenced(options)) fenced(result, index, entry.key)
      else if (fault === undefined) result.outcomes.push(this.#write(entry, options))
      else {
        const code = fault.outcome === 'unknown' ? 'WRITE_UNCONFIRMED' : 'STORE_REFUSED'
        result.outcomes.push(fault.outcome)
        const failure = { code, message: `no luck with '${entry.key}'`, key: entry.key } as const
        const { retryable, needsFreshRead = false } = fault
        result.failures.set(index, { failure, retryable, needsFreshRead })
      }
    }
    return result
  }

  async ttlsMs(keys: readonly string[]): Promise<number[]> {
    return keys.map((key) => {
      const held = this.#get(key)
      return held === undefined ? -2 : held.expiresMs - this.#clock.nowMs()
    })
  }

  async read(keys: readonly string[]): Promise<(StoredValue | null)[]> {
    for (const key of keys) this.touch(key)
    return keys.map((key) => this.#get(key)?.value ?? null)
  }

  /** As a read does. */
  touch(key: string): void {
    const held = this.#get(key)
    if (held !== undefined) held.touchedMs = this.#clock.nowMs()
  }

  async bytesOf(keys: readonly string[]): Promise<number[]> {
    return keys.map((key) => {
      const held = this.#get(key)
      return held === undefined ? 0 : key.length + JSON.stringify(held.value).length
    })
  }

  async heatOf(keys: readonly string[]): Promise<StoreHeat> {
    const nowMs = this.#clock.nowMs()
    const { counters } = this
    const heat = keys.map((key): KeyHeat | null => {
      const held = this.#get(key)
      if (held === undefined) return null
      const expiresAtMs = Number.isFinite(held.expiresMs) ? held.expiresMs : null
      if (counters !== undefined) return { counter: counters.get(key) ?? 5, idleMs: null, expiresAtMs }
      const idleMs = (Math.floor(nowMs / 1000) - Math.floor(held.touchedMs / 1000)) * 1000
      return { counter: null, idleMs, expiresAtMs }
    })
    return { by: counters === undefined ? 'idle' : 'counter', nowMs, exact: true, keys: heat }
  }

  async randomKeys(count: number): Promise<string[]> {
    const { keys } = this
    return keys.length === 0 ? [] : Array.from({ length: count }, (_, at) => keys[(at * 7919) % keys.length] as string)
  }

  async *scan(glob: string): AsyncGenerator<string[]> {
    const pattern = new RegExp(`^${glob.replace(/[.+^${}()|[\]\\]/g, '\\$&').replaceAll('*', '[^]*')}$`)
    yield this.keys.filter((key) => pattern.test(key))
  }

  async unlink(keys: readonly string[]): Promise<number> {
    const there = new Set(keys.filter((key) => this.#get(key) !== undefined))
    for (const key of there) this.#held.delete(key)
    if (keys.length > 0) this.#changes.mark(keys)
    return there.size
  }

  async stats(): Promise<StoreStats> {
    await this.onStats()
    return { version: '0.0.0', ...this.memory, keyspaceHits: 0, keyspaceMisses: 0 }
  }

  async close(): Promise<void> {
    this.isClosed = true
  }

  /** The keys that are there and unexpired. */
  get keys(): string[] {
    return [...this.#held.keys()].filter((key) => this.#get(key) !== undefined)
  }

  drop(key: string): void {
    this.#held.delete(key)
  }

  /** Writes what a reader has loaded. */
  fill(key: string, value: string, ttlMs: number): void {
    const expiresMs = this.#clock.nowMs() + ttlMs
    this.#held.set(key, {
      value: { type: 'string', value },
      version: undefined,
      expiresMs,
      touchedMs: this.#clock.nowMs(),
    })
    this.#changes.markFilled(key)
  }

  /** As FLUSHALL does. */
  empty(): void {
    this.#held.clear()
    this.#fences.clear()
    this.#changes.forget()
  }

  expiresAtMs(key: string): number | undefined {
    return this.#get(key)?.expiresMs
  }

  /** The newest token that was given out for a fence's key. */
  setFence(key: string, token: number): void {
    this.#fences.set(key, token)
  }

  fenceOf(key: string): number | undefined {
    return this.#fences.get(key)
  }

  #isFenced({ fence }: WriteOptions): boolean {
    return fence !== undefined && (this.#fences.get(fence.key) ?? 0) > fence.token
  }

  #get(key: string): Held | undefined {
    const held = this.#held.get(key)
    return held === undefined || held.expiresMs <= this.#clock.nowMs() ? undefined : held
  }

  #write({ key, ttlMs, encoded, version }: Entry, { mode, versionField, ticket }: WriteOptions): Outcome {
    const held = this.#get(key)
    if (this.#changes.isRefused(key, ticket)) return 'skipped_newer'
    if (held !== undefined && mode === 'add') return 'skipped_present'
    if (held !== undefined) {
      const theirs = mode === 'newer' ? versionOf(held, versionField) : null
      const isOlder = theirs === null ? this.#changes.isFilledLater(key, ticket) : isNewer(theirs, version ?? '0')
      if (isOlder) return 'skipped_newer'
    }
    const nowMs = this.#clock.nowMs()
    this.#held.set(key, { value: stored(encoded), version, expiresMs: stampedMs(nowMs, ttlMs), touchedMs: nowMs })
    return 'written'
  }
}

function fenced(result: WriteResult, index: number, key: string): void {
  const failure = { code: 'LOCK_LOST', message: `'${key}' was not written: somebody else holds the lock`, key } as const
  result.outcomes.push('failed')
  result.failures.set(index, { failure, retryable: false })
}

function stored(encoded: Encoded): StoredValue {
  if (encoded.type === 'string') return encoded
  const fields: Record<string, string> = {}
  for (let at = 0; at < encoded.fields.length; at += 2)
    fields[encoded.fields[at] as string] = encoded.fields[at + 1] as string
  return { type: 'hash', fields }
}

function versionOf({ value, version }: Held, field: string | null): string | null {
  return field === null ? (version ?? null) : versionIn(value, field)
}

function versionIn(value: StoredValue, field: string): string | null {
  try {
    if (value.type === 'hash') return versionText(value.fields[field])
    return value.type === 'string' ? versionText(JSON.parse(value.value)[field]) : null
  } catch {
    return null
  }
}

function isNewer(a: string, b: string): boolean {
  return a.length === b.length ? a > b : a.length > b.length
}
