import { PrewarmError } from '../errors.ts'
import { isOwnKey } from '../keyspace/known.ts'
import { filledByOf, STAMPS } from '../store/changes.ts'
import { prefixOf } from '../store/redis-errors.ts'
import {
  DELETE,
  FILL,
  HEARD,
  INVALIDATE_TAGS,
  LEASE,
  MISSING,
  READ,
  RELEASE,
  SET,
  TAG_PREFIX,
  TAG_VERSIONS,
  TICKET,
} from './scripts.ts'
import type { Ask, CacheLink, Fill, Filled, Found, HeldValue, Lease, SharedTier } from './tier.ts'
import type { FilledBy } from './types.ts'

export interface RedisTierOptions {
  link: CacheLink
  /** How long a load may take before another process may begin the same one, ms. */
  leaseMs: number
  /** 0 to 1: tells this instance's leases from others'. */
  random: () => number
}

/** Keys of one script that reads or writes values, and of one that deletes. */
const CHUNK = 250
const DELETE_CHUNK = 500

/** A {@linkcode SharedTier} in Redis: every method is one script for each chunk of keys. */
export class RedisTier implements SharedTier {
  readonly #link: CacheLink
  readonly #leaseMs: number
  readonly #name: string
  #leases = 0

  constructor({ link, leaseMs, random }: RedisTierOptions) {
    this.#link = link
    this.#leaseMs = leaseMs
    this.#name = Array.from({ length: 3 }, () => random().toString(36).slice(2)).join('')
  }

  get hearing(): CacheLink['hearing'] {
    return this.#link.hearing
  }

  async read(asks: readonly Ask[]): Promise<Found[]> {
    const token = this.#token()
    const chunks = chunksOf(asks, CHUNK)
    const results = await Promise.allSettled(chunks.map((chunk) => this.#readChunk(chunk, token)))
    const failed = results.find((result) => result.status === 'rejected')
    const found = results.flatMap((result) => (result.status === 'fulfilled' ? result.value : []))
    if (failed === undefined) return found
    // Nobody learns of these, so that nobody would load.
    for (const [index, result] of results.entries()) {
      if (result.status === 'rejected') continue
      const leased = (chunks[index] as Ask[]).filter((_, at) => result.value[at]?.state === 'leased')
      if (leased.length > 0) {
        void this.release(
          leased.map(({ key }) => key),
          { token, ticket: '' },
        )
      }
    }
    throw failed.reason
  }

  async lease(key: string): Promise<Lease | null> {
    const token = this.#token()
    const ticket = String(await this.#link.script(LEASE, [key], [this.#leaseMs, token]))
    return ticket === '' ? null : { token, ticket }
  }

  async ticket(): Promise<Lease> {
    return { token: '', ticket: String(await this.#link.script(TICKET, [], [])) }
  }

  async release(keys: readonly string[], { token }: Lease): Promise<void> {
    if (token === '') return
    // Those that fail end by themselves.
    await Promise.allSettled(chunksOf(keys, DELETE_CHUNK).map((chunk) => this.#link.script(RELEASE, chunk, [token])))
  }

  async fill(
    fills: readonly Fill[],
    { lease, replace, filledBy }: { lease: Lease; replace: boolean; filledBy: FilledBy },
  ): Promise<Filled[]> {
    const filled = chunksOf(fills, CHUNK).map(async (chunk) => {
      const args = [lease.ticket, lease.token, replace ? 'o' : 'a', STAMPS[filledBy], ...chunk.flatMap(partsOf)]
      return filledOf(await this.#link.script(FILL, keysOf(chunk), args), chunk)
    })
    return (await Promise.all(filled)).flat()
  }

  async set(sets: Parameters<SharedTier['set']>[0], { filledBy }: { filledBy: FilledBy }): Promise<Filled[]> {
    const filled = chunksOf(sets, CHUNK).map(async (chunk) => {
      const keys = keysOf(chunk)
      const args = [STAMPS[filledBy], JSON.stringify(keys), ...chunk.flatMap(partsOf)]
      return filledOf(await this.#link.script(SET, keys, args), chunk)
    })
    return (await Promise.all(filled)).flat()
  }

  async delete(keys: readonly string[]): Promise<number> {
    const deleted = chunksOf(keys, DELETE_CHUNK).map((chunk) =>
      this.#link.script(DELETE, chunk, [JSON.stringify(chunk)]),
    )
    return (await Promise.all(deleted)).reduce((sum: number, count) => sum + Number(count), 0)
  }

  async heard(keys: readonly string[]): Promise<void> {
    await Promise.all(chunksOf(keys, DELETE_CHUNK).map((chunk) => this.#link.script(HEARD, chunk, [])))
  }

  async tagVersions(tags: readonly string[]): Promise<string[]> {
    if (tags.length === 0) return []
    return (await this.#link.script(TAG_VERSIONS, [], tags)) as string[]
  }

  async invalidateTags(tags: readonly string[]): Promise<void> {
    if (tags.length === 0) return
    await this.#link.script(INVALIDATE_TAGS, [], [JSON.stringify(tags.map((tag) => TAG_PREFIX + tag)), ...tags])
  }

  /** Keys that begin with `prefix`, without prewarm's own records. */
  async *scan(prefix: string): AsyncIterable<string[]> {
    for await (const page of this.#link.scan(`${prefix.replace(/[*?[\]\\]/g, '\\$&')}*`)) {
      const keys = page.filter((key) => !isOwnKey(key))
      if (keys.length > 0) yield keys
    }
  }

  close(): Promise<void> {
    return this.#link.close()
  }

  #token(): string {
    return `${this.#name}${(this.#leases++).toString(36)}`
  }

  async #readChunk(asks: readonly Ask[], token: string): Promise<Found[]> {
    const letters = asks.map(({ form, wantsLease }) => {
      const letter = form === 'hash' ? 'h' : 's'
      return wantsLease ? letter.toUpperCase() : letter
    })
    const reply = await this.#link.script(READ, keysOf(asks), [this.#leaseMs, token, ...letters])
    const [nowMs, ticket, ...rest] = reply as [number, string, ...unknown[]]
    return asks.map((_, index) => foundOf(rest[2 * index], Number(rest[2 * index + 1]), nowMs, { token, ticket }))
  }
}

function foundOf(value: unknown, note: number, nowMs: number, lease: Lease): Found {
  if (value === MISSING.absent) return { state: 'absent', leftMs: note }
  if (value === MISSING.missing) return { state: 'missing' }
  if (value === MISSING.leased) return { state: 'leased', lease }
  if (value === MISSING.waiting) return { state: 'waiting', leftMs: Math.max(0, note) }
  const held = heldOf(value)
  if (note < 0)
    return { state: 'held', value: held, leftMs: Number.POSITIVE_INFINITY, expiresAtMs: 0, filledBy: 'unknown' }
  return { state: 'held', value: held, leftMs: note - nowMs, expiresAtMs: note, filledBy: filledByOf(note) }
}

function heldOf(value: unknown): HeldValue {
  if (!Array.isArray(value)) return { type: 'string', value: String(value) }
  // Not an object's own assignment: a field may be called `__proto__`.
  const pairs = Array.from({ length: value.length / 2 }, (_, at) => [value[2 * at], value[2 * at + 1]] as const)
  return { type: 'hash', fields: Object.fromEntries(pairs) as Record<string, string> }
}

/** Version, kind, TTL, number of parts, parts. */
function partsOf({ encoded, ttlMs, version = '' }: Fill): (string | number)[] {
  if (encoded === null) return [version, 'n', ttlMs, 0]
  return encoded.type === 'string'
    ? [version, 's', ttlMs, 1, encoded.value]
    : [version, 'h', ttlMs, encoded.fields.length, ...encoded.fields]
}

/** @throws {PrewarmError} `STORE_REFUSED` if Redis refused one of them; the others are written all the same */
function filledOf(reply: unknown, fills: readonly Fill[]): Filled[] {
  const list = reply as (string | number)[]
  return fills.map(({ key }, index) => {
    const [letter, note] = [list[2 * index], list[2 * index + 1]]
    if (letter === 'w') return { outcome: 'written', expiresAtMs: Number(note) }
    if (letter === 'n') return { outcome: 'skipped_newer', expiresAtMs: 0 }
    if (letter === 'p') return { outcome: 'skipped_present', expiresAtMs: 0 }
    throw new PrewarmError('STORE_REFUSED', `Redis refused to write '${key}': ${note}`, {
      detail: prefixOf(String(note)),
    })
  })
}

function keysOf(list: readonly { key: string }[]): string[] {
  return list.map(({ key }) => key)
}

function chunksOf<T>(list: readonly T[], size: number): T[][] {
  return Array.from({ length: Math.ceil(list.length / size) }, (_, at) => list.slice(at * size, (at + 1) * size))
}
