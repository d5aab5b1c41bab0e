/** One batch of 1000 into Redis: what does the script cost beside plain pipelines, and what each mode, a fence, the look at changes? */
import { Redis } from 'ioredis'
import { measure } from 'mitata'
import { systemClock } from '../src/clock.ts'
import type { Fence } from '../src/coordination/types.ts'
import { CHANGES_KEY, FILLED_KEY, KEPT_CHANGES } from '../src/store/changes.ts'
import { RedisStore } from '../src/store/redis.ts'
import type { Entry, WriteOptions } from '../src/store/types.ts'
import type { WriteMode } from '../src/types.ts'
import { check, setting } from './support/check.ts'
import { makeProfiles, PROFILE_TTL_MS, profileKey } from './support/profiles.ts'
import { expectTtl, openRedis } from './support/redis.ts'
import { median } from './support/rounds.ts'

const COUNT = 1000
const profiles = makeProfiles(COUNT)
const fieldsOf = (value: object) => Object.entries(value).flatMap(([name, field]) => [name, String(field)])
const entry = (value: (typeof profiles)[number], encoded: Entry['encoded']): Entry => ({
  key: profileKey(value.id),
  ttlMs: PROFILE_TTL_MS,
  encoded,
  version: '7',
})
const strings = profiles.map((value) => entry(value, { type: 'string', value: JSON.stringify(value) }))
const hashes = profiles.map((value) => entry(value, { type: 'hash', fields: fieldsOf({ ...value, version: 7 }) }))

const redis = await openRedis()
const bare = new Redis(redis.url)
const store = new RedisStore({ url: redis.url, clock: systemClock(Bun.nanoseconds) })
await store.connect(5000)
const signal = new AbortController().signal
/** The newest number: nothing is refused. */
const FENCE: Fence = { key: 'cache:warmup:fence:bench', token: 1 }

/** The ticket that guarded writes bear: of the moment after all changes. */
let ticket = '0'
interface Guards {
  fence?: Fence
  /** Refuses what was changed after the ticket; else nobody looks. */
  isGuarded?: boolean
}

const write =
  (entries: Entry[], mode: WriteMode, versionField: string | null, { fence, isGuarded = true }: Guards = {}) =>
  async () => {
    const options: WriteOptions = { mode, versionField, timeoutMs: 5000, signal, fence }
    const { outcomes } = await store.write(entries, isGuarded ? { ...options, ticket } : options)
    const expected = mode === 'add' ? 'skipped_present' : 'written'
    check(
      outcomes.every((outcome) => outcome === expected),
      `${mode}: outcomes are ${new Set(outcomes)}`,
    )
  }

/** As many changes, and fills by readers, as Redis remembers: of other keys, and before the ticket. */
async function makeChanges(): Promise<void> {
  for (let at = 0; at < KEPT_CHANGES - 500; at += 500)
    await store.unlink(Array.from({ length: 500 }, (_, index) => `changed:${at + index}`))
  const fills = Array.from({ length: 20_000 }, (_, index) => ['1', `filled:${index}`])
  await bare.zadd(FILLED_KEY, ...fills.flat())
  check((await bare.zcard(CHANGES_KEY)) > KEPT_CHANGES - 1000, 'the changes are not there')
  ticket = await store.begin()
}

const pipeline = (entries: Entry[], isMulti: boolean) => async () => {
  const pipe = bare.pipeline()
  for (const { key, ttlMs, encoded } of entries) {
    if (isMulti) pipe.call('MULTI')
    if (encoded.type === 'string') pipe.set(key, encoded.value, 'PX', ttlMs)
    else
      pipe
        .del(key)
        .hset(key, ...encoded.fields)
        .pexpire(key, ttlMs)
    if (isMulti) pipe.call('EXEC')
  }
  for (const [error] of (await pipe.exec()) ?? []) check(error === null, String(error))
}

/** Redis is left as the variant before left it, with all keys there, unless `cold`. */
interface Variant {
  name: string
  run: () => Promise<void>
  type: 'string' | 'hash'
  cold?: boolean
  /** Redis knows as many changes as it may. */
  changes?: boolean
}
const both = (type: Variant['type'], entries: Entry[], rest: Variant[]): Variant[] => [
  {
    name: `${type}: prewarm, overwrite, unguarded`,
    type,
    run: write(entries, 'overwrite', null, { isGuarded: false }),
  },
  { name: `${type}: prewarm, overwrite (nothing was changed)`, type, run: write(entries, 'overwrite', null) },
  { name: `${type}: prewarm, overwrite (50,000 changes)`, type, changes: true, run: write(entries, 'overwrite', null) },
  { name: `${type}: prewarm, overwrite under a lock`, type, run: write(entries, 'overwrite', null, { fence: FENCE }) },
  ...rest,
  { name: `${type}: prewarm, add (all there)`, type, run: write(entries, 'add', null) },
]
const variants: Variant[] = [
  { name: 'string: SET PX, a pipeline', type: 'string', run: pipeline(strings, false) },
  ...both('string', strings, [
    { name: 'string: prewarm, newer (version beside)', type: 'string', run: write(strings, 'newer', null) },
  ]),
  { name: 'hash: DEL HSET PEXPIRE, a pipeline, not atomic', type: 'hash', run: pipeline(hashes, false) },
  { name: 'hash: MULTI DEL HSET PEXPIRE EXEC, a pipeline', type: 'hash', run: pipeline(hashes, true) },
  ...both('hash', hashes, [
    { name: 'hash: prewarm, overwrite (none there)', type: 'hash', cold: true, run: write(hashes, 'overwrite', null) },
    { name: 'hash: prewarm, newer (version in a field)', type: 'hash', run: write(hashes, 'newer', 'version') },
  ]),
]

async function expectBatch({ name, type }: Variant) {
  for (let id = 0; id < COUNT; id += 50) {
    const key = profileKey(id)
    const stored =
      type === 'string' ? await redis.client.get(key) : Object.entries(await redis.client.hgetall(key)).flat()
    const { encoded } = (type === 'string' ? strings : hashes)[id] as Entry
    const expected = encoded.type === 'string' ? encoded.value : encoded.fields
    check(Bun.deepEquals(stored, expected), `${name}: '${key}' holds ${stored}`)
    expectTtl(key, await redis.client.pttl(key), PROFILE_TTL_MS - 60_000, PROFILE_TTL_MS)
  }
}

/** CPU time that Redis has taken so far, ns. */
async function cpuOfRedis(): Promise<number> {
  const info = await bare.info('cpu')
  const seconds = (name: string) => Number(new RegExp(`^${name}:([\\d.]+)`, 'm').exec(info)?.[1])
  return (seconds('used_cpu_user') + seconds('used_cpu_sys')) * 1e9
}

/** CPU time for one run, ns: of this process, the client's share, and of Redis, which others wait for as well. */
async function cpuOf(run: () => Promise<void>): Promise<{ client: number; server: number }> {
  const serverBefore = await cpuOfRedis()
  const before = process.cpuUsage()
  for (let times = 0; times < 20; times++) await run()
  const { user, system } = process.cpuUsage(before)
  return { client: ((user + system) * 1000) / 20, server: ((await cpuOfRedis()) - serverBefore) / 20 }
}

const rounds = setting('BENCH_ROUNDS', 5)
const results = variants.map(() => ({ wall: [] as number[], client: [] as number[], server: [] as number[] }))
for (let round = 0; round < rounds; round++) {
  for (const [index, variant] of variants.entries()) {
    await redis.empty()
    ticket = '0'
    if (variant.changes) await makeChanges()
    await variants.find(({ type }) => type === variant.type)?.run()
    const run = async () => {
      if (variant.cold) await redis.empty()
      await variant.run()
    }
    const { p50 } = await measure(run, { min_samples: 20, min_cpu_time: 100e6 })
    results[index]?.wall.push(p50)
    const { client, server } = await cpuOf(run)
    results[index]?.client.push(client)
    results[index]?.server.push(server)
    await expectBatch(variant)
  }
}

console.log(`one batch of ${COUNT}; median of ${rounds} rounds, taken in turns\n`)
console.log(`${''.padEnd(48)} wall, beside the first    CPU here                  CPU of Redis              keys/s`)
for (const [index, { name, type }] of variants.entries()) {
  const first = results[variants.findIndex((variant) => variant.type === type)]
  const column = (what: 'wall' | 'client' | 'server') => {
    const ns = results[index]?.[what] ?? []
    const share = median(ns.map((value, round) => value / (first?.[what][round] as number)))
    return `${(median(ns) / 1e6).toFixed(2).padStart(7)} ms ${share.toFixed(2)}x`.padEnd(26)
  }
  const perSecond = Math.round(COUNT / (median(results[index]?.wall ?? []) / 1e9) / 1000)
  console.log(`${name.padEnd(48)} ${column('wall')}${column('client')}${column('server')}${perSecond}k`)
}

bare.disconnect()
await store.close()
await redis.stop()
