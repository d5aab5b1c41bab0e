import { PrewarmError } from '../errors.ts'
import { isOwnKey } from '../keyspace/known.ts'
import { STAMPS } from '../store/changes.ts'
import { prefixOf } from '../store/redis-errors.ts'
import { fieldsOf, heldEntry, peek } from './peek.ts'
import {
  ABSENT_PREFIX,
  BARRIER,
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
/** Keys of one script that writes where reads are tracked: before Redis 7.2 each of its commands that reads is paid for per key. */
const TRACKED_CHUNK = 25
/** Scripts that write at once: the server has others to serve. */
const WRITES_AT_ONCE = 4
/** Keys that a script may declare before that costs more than to have them watched apart. */
const DECLARED = 3

/** A {@linkcode SharedTier} in Redis: every method is one script for each chunk of keys. */
export class RedisTier implements SharedTier {
  readonly #link: CacheLink
  readonly #leaseMs: number
  readonly #name: string
  #leases = 0
  #canPeek = true

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
    return inTurns(chunksOf(fills, this.#writeChunk), async (chunk) => {
      const args = [lease.ticket, lease.token, replace ? 'o' : 'a', STAMPS[filledBy], ...chunk.flatMap(partsOf)]
      return filledOf(await this.#link.script(FILL, keysOf(chunk), args), chunk)
    })
  }

  async set(sets: Parameters<SharedTier['set']>[0], { filledBy }: { filledBy: FilledBy }): Promise<Filled[]> {
    return inTurns(chunksOf(sets, this.#writeChunk), async (chunk) => {
      const keys = keysOf(chunk)
      const args = [STAMPS[filledBy], JSON.stringify(keys), ...chunk.flatMap(partsOf)]
      return filledOf(await this.#link.script(SET, keys, args), chunk)
    })
  }

  async delete(keys: readonly string[]): Promise<number> {
    const deleted = chunksOf(keys, DELETE_CHUNK).map((chunk) =>
      this.#link.script(DELETE, chunk, [JSON.stringify(chunk)]),
    )
    return (await Promise.all(deleted)).reduce((sum: number, count) => sum + Number(count), 0)
  }

  async barrier(): Promise<void> {
    await this.#link.script(BARRIER, [], [])
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
    const literal = `${prefix.replace(/[*?[\]\\]/g, '\\$&')}*`
    for await (const page of this.#link.scan(literal)) {
      const keys = page.filter((key) => !isOwnKey(key))
      if (keys.length > 0) yield keys
    }
    // What the origin is known not to have: deleting the key forgets that, too.
    for await (const page of this.#link.scan(ABSENT_PREFIX + literal)) {
      const keys = page.filter((key) => key.startsWith(ABSENT_PREFIX)).map((key) => key.slice(ABSENT_PREFIX.length))
      if (keys.length > 0) yield keys
    }
  }

  close(): Promise<void> {
    return this.#link.close()
  }

  get #writeChunk(): number {
    return this.hearing === 'tracking' ? TRACKED_CHUNK : CHUNK
  }

  #token(): string {
    return `${this.#name}${(this.#leases++).toString(36)}`
  }

  /** By plain commands what is simply there, by the script the rest. */
  async #readChunk(asks: readonly Ask[], token: string): Promise<Found[]> {
    const { run } = this.#link
    if (run === undefined || !this.#canPeek || asks.some(({ isTagged }) => isTagged)) return this.#ask(asks, token)
    const found = await peek(run.bind(this.#link), asks)
    if (found === null) this.#canPeek = false
    const rest = asks.filter((_, index) => found?.[index] === undefined)
    if (rest.length === 0) return found as Found[]
    const asked = await this.#ask(rest, token)
    let at = 0
    return asks.map((_, index) => found?.[index] ?? (asked[at++] as Found))
  }

  async #ask(asks: readonly Ask[], token: string): Promise<Found[]> {
    let letters = ''
    for (const { form, wantsLease } of asks) {
      const letter = form === 'hash' ? 'h' : 's'
      letters += wantsLease ? letter.toUpperCase() : letter
    }
    const keys = keysOf(asks)
    const args = [this.#leaseMs, token, letters]
    const reply = await (keys.length <= DECLARED || this.hearing !== 'tracking'
      ? this.#link.script(READ, keys, args)
      : this.#link.script(READ, [], [...args, ...keys], keys))
    const [nowMs, ticket, ...rest] = reply as [number, string, ...unknown[]]
    return asks.map((_, index) => foundOf(rest[2 * index], Number(rest[2 * index + 1]), nowMs, { token, ticket }))
  }
}

function foundOf(value: unknown, note: number, nowMs: number, lease: Lease): Found {
  if (value === MISSING.absent) return { state: 'absent', leftMs: note }
  if (value === MISSING.missing) return { state: 'missing' }
  if (value === MISSING.leased) return { state: 'leased', lease }
  if (value === MISSING.waiting) return { state: 'waiting', leftMs: Math.max(0, note) }
  return heldEntry(heldOf(value), note, nowMs)
}

function heldOf(value: unknown): HeldValue {
  if (!Array.isArray(value)) return { type: 'string', value: String(value) }
  return { type: 'hash', fields: fieldsOf(value) }
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

/** Works through chunks, a few at a time; the first error ends it, as soon as those that are on their way have ended. */
async function inTurns<C, R>(chunks: readonly C[], work: (chunk: C) => Promise<R[]>): Promise<R[]> {
  const results: R[] = []
  for (let from = 0; from < chunks.length; from += WRITES_AT_ONCE) {
    const ended = await Promise.allSettled(chunks.slice(from, from + WRITES_AT_ONCE).map(work))
    for (const end of ended) {
      if (end.status === 'rejected') throw end.reason
      for (const result of end.value) results.push(result)
    }
  }
  return results
}

function chunksOf<T>(list: readonly T[], size: number): T[][] {
  return Array.from({ length: Math.ceil(list.length / size) }, (_, at) => list.slice(at * size, (at + 1) * size))
}
