import { TAG_PREFIX, TAGGED } from '../../src/cache/scripts.ts'
import type { Ask, Fill, Filled, Found, HeldValue, Lease } from '../../src/cache/tier.ts'
import type { FilledBy } from '../../src/cache/types.ts'
import type { Clock } from '../../src/clock.ts'
import { isOwnKey } from '../../src/keyspace/known.ts'
import { isOlderVersion } from '../../src/keyspace/version.ts'
import { filledByOf, STAMPS } from '../../src/store/changes.ts'
import { MemoryChanges } from './changes.ts'

interface Expiring {
  expiresAtMs: number
}

/** Told of keys that somebody changed; null: all. */
export type Told = (keys: readonly string[] | null, by: object | null) => void

/** What several instances of a memory tier share, and Redis would hold. Does what the scripts do, by the clock it is given. */
export class MemoryTierState {
  readonly changes: MemoryChanges
  readonly told = new Set<Told>()
  readonly #clock: Clock
  readonly #held = new Map<string, Expiring & { value: HeldValue; version: string | undefined }>()
  readonly #absent = new Map<string, Expiring>()
  readonly #leases = new Map<string, Expiring & { token: string }>()
  readonly #tags = new Map<string, string>()
  /** Key -> ticket of its last change. */
  readonly #changed = new Map<string, number>()

  constructor(clock: Clock) {
    this.#clock = clock
    this.changes = new MemoryChanges(clock)
  }

  read({ key, wantsLease }: Ask, leaseMs: number, token: string, ticketOf: () => string): Found {
    const held = this.#valid(key)
    if (held !== undefined) {
      const { value, expiresAtMs } = held
      if (expiresAtMs === Number.POSITIVE_INFINITY)
        return { state: 'held', value, leftMs: expiresAtMs, expiresAtMs: 0, filledBy: 'unknown' }
      return { state: 'held', value, leftMs: this.#left(held), expiresAtMs, filledBy: filledByOf(expiresAtMs) }
    }
    const absent = this.#alive(this.#absent, key)
    if (absent !== undefined) return { state: 'absent', leftMs: this.#left(absent) }
    if (!wantsLease) return { state: 'missing' }
    const ticket = ticketOf()
    const other = this.#alive(this.#leases, key)
    if (other !== undefined) return { state: 'waiting', leftMs: this.#left(other) }
    this.#leases.set(key, { token, expiresAtMs: this.#clock.nowMs() + leaseMs })
    return { state: 'leased', lease: { token, ticket } }
  }

  lease(key: string, leaseMs: number, token: string): Lease | null {
    if (this.#alive(this.#leases, key) !== undefined) return null
    this.#leases.set(key, { token, expiresAtMs: this.#clock.nowMs() + leaseMs })
    return { token, ticket: String(this.changes.tick()) }
  }

  release(keys: readonly string[], token: string): void {
    for (const key of keys) if (this.#alive(this.#leases, key)?.token === token) this.#leases.delete(key)
  }

  fill(fill: Fill, lease: Lease, replace: boolean, filledBy: FilledBy, by: object): Filled {
    const { key, version } = fill
    const outcome = this.#verdict(fill, lease, replace)
    const isMine = this.#alive(this.#leases, key)?.token === lease.token
    if (isMine || (outcome === 'written' && lease.token === '')) this.#leases.delete(key)
    if (outcome !== 'written') return { outcome, expiresAtMs: 0 }
    const expiresAtMs = this.#put(fill, version, filledBy)
    this.changes.markFilled(key)
    this.#tell([key], by)
    return { outcome, expiresAtMs }
  }

  set(fill: Fill, filledBy: FilledBy, by: object): Filled {
    const { key, version } = fill
    this.#mark([key])
    if (isOlderVersion(version, this.#alive(this.#held, key)?.version))
      return { outcome: 'skipped_newer', expiresAtMs: 0 }
    const expiresAtMs = this.#put(fill, version, filledBy)
    this.#leases.delete(key)
    this.#tell([key], by)
    return { outcome: 'written', expiresAtMs }
  }

  delete(keys: readonly string[], by: object | null): number {
    let deleted = 0
    for (const key of keys) {
      if (this.#alive(this.#held, key) !== undefined) deleted++
      for (const map of [this.#held, this.#absent, this.#leases]) map.delete(key)
    }
    this.#mark(keys)
    this.#tell(keys, by)
    return deleted
  }

  heard(keys: readonly string[], by: object): void {
    const recent = this.changes.tick() - 1_000_000
    for (const key of keys) {
      if ((this.#changed.get(key) ?? 0) >= recent) continue
      for (const map of [this.#held, this.#leases]) map.delete(key)
      this.#tell([key], by)
    }
    this.#mark(keys)
  }

  tagVersion(tag: string): string {
    const version = this.#tags.get(tag) ?? String(this.changes.tick())
    this.#tags.set(tag, version)
    return version
  }

  invalidateTags(tags: readonly string[], by: object): void {
    for (const tag of tags) this.#tags.set(tag, String(this.changes.tick()))
    this.#tell(
      tags.map((tag) => TAG_PREFIX + tag),
      by,
    )
  }

  /** All keys that are there, without those that stand beside them. */
  keys(): string[] {
    return [...this.#held.keys()].filter((key) => this.#alive(this.#held, key) !== undefined && !isOwnKey(key))
  }

  /** As another program writes. Without a TTL it stays. */
  put(key: string, value: HeldValue, ttlMs = Number.POSITIVE_INFINITY): void {
    this.#held.set(key, { value, version: undefined, expiresAtMs: this.#clock.nowMs() + ttlMs })
    this.#tell([key], null)
  }

  /** As another program deletes: nothing is marked. */
  drop(key: string): void {
    this.#held.delete(key)
    this.#tell([key], null)
  }

  /** The lease of a key runs out. */
  expireLease(key: string): void {
    this.#leases.delete(key)
  }

  /** FLUSHALL. */
  flush(): void {
    for (const map of [this.#held, this.#absent, this.#leases, this.#tags]) map.clear()
    this.changes.forget()
    this.#changed.clear()
    this.#tell(null, null)
  }

  #verdict({ key, version }: Fill, { ticket, token }: Lease, replace: boolean): Filled['outcome'] {
    if (this.changes.isRefused(key, ticket)) return 'skipped_newer'
    const holder = this.#alive(this.#leases, key)?.token
    const there = replace ? this.#alive(this.#held, key) : this.#valid(key)
    if (holder !== undefined && holder !== token && (token !== '' || !replace)) return 'skipped_newer'
    if (holder === undefined && token !== '' && there !== undefined) return 'skipped_newer'
    if (!replace) return there === undefined ? 'written' : 'skipped_present'
    if (there !== undefined && this.changes.isFilledLater(key, ticket)) return 'skipped_newer'
    return isOlderVersion(version, there?.version) ? 'skipped_newer' : 'written'
  }

  #put({ key, encoded, ttlMs }: Fill, version: string | undefined, filledBy: FilledBy): number {
    const nowMs = this.#clock.nowMs()
    if (encoded === null) {
      this.#held.delete(key)
      this.#absent.set(key, { expiresAtMs: nowMs + ttlMs })
      return nowMs + ttlMs
    }
    const { type } = encoded
    const value: HeldValue =
      type === 'string' ? { type, value: encoded.value } : { type, fields: fieldsOf(encoded.fields) }
    const expiresAtMs = stampedMs(nowMs + ttlMs, ttlMs, filledBy)
    this.#held.set(key, { value, version, expiresAtMs })
    this.#absent.delete(key)
    return expiresAtMs
  }

  /** What is held and may be served: its tags are still of the versions that it bears. */
  #valid(key: string) {
    const held = this.#alive(this.#held, key)
    if (held?.value.type !== 'string') return held
    const tags = tagsOf(held.value.value)
    return tags.every(([tag, version]) => this.#tags.get(tag) === version) ? held : undefined
  }

  #alive<T extends Expiring>(map: Map<string, T>, key: string): T | undefined {
    const one = map.get(key)
    if (one === undefined || one.expiresAtMs > this.#clock.nowMs()) return one
    map.delete(key)
    return undefined
  }

  #mark(keys: readonly string[]): void {
    this.changes.mark(keys)
    const ticket = this.changes.tick()
    for (const key of keys) this.#changed.set(key, ticket)
  }

  #left({ expiresAtMs }: Expiring): number {
    return expiresAtMs - this.#clock.nowMs()
  }

  #tell(keys: readonly string[] | null, by: object | null): void {
    for (const tell of this.told) tell(keys, by)
  }
}

function stampedMs(atMs: number, ttlMs: number, filledBy: FilledBy): number {
  if (ttlMs < 1000) return atMs
  const early = atMs - (atMs % 100) + STAMPS[filledBy]
  return early > atMs ? early - 100 : early
}

function fieldsOf(list: readonly string[]): Record<string, string> {
  const pairs = Array.from({ length: list.length / 2 }, (_, at) => [list[2 * at], list[2 * at + 1]])
  return Object.fromEntries(pairs) as Record<string, string>
}

function tagsOf(text: string): [string, string][] {
  const end = text.startsWith(`${TAGGED}{`) ? text.indexOf('\n') : -1
  if (end === -1) return []
  try {
    return Object.entries(JSON.parse(text.slice(1, end)) as Record<string, string>)
  } catch {
    return []
  }
}
