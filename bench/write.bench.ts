/** One batch of 1000 into Redis: what does the script cost beside plain pipelines, and what does each mode cost, and what a fence? */
import { Redis } from 'ioredis'
import { measure } from 'mitata'
import { systemClock } from '../src/clock.ts'
import type { Fence } from '../src/coordination/types.ts'
import { RedisStore } from '../src/store/redis.ts'
import type { Entry } from '../src/store/types.ts'
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

const write =
  (entries: Entry[], mode: WriteMode, versionField: string | null = null, expected = 'written', fence?: Fence) =>
  async () => {
    const { outcomes } = await store.write(entries, { mode, versionField, timeoutMs: 5000, signal, fence })
    check(
      outcomes.every((outcome) => outcome === expected),
      `${mode}: outcomes are ${new Set(outcomes)}`,
    )
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
const variants: { name: string; run: () => Promise<void>; cold?: boolean; type: 'string' | 'hash' }[] = [
  { name: 'string: SET PX, a pipeline', type: 'string', run: pipeline(strings, false) },
  { name: 'string: prewarm, overwrite (plain SET)', type: 'string', run: write(strings, 'overwrite') },
  {
    name: 'string: prewarm, overwrite under a lock (script)',
    type: 'string',
    run: write(strings, 'overwrite', null, 'written', FENCE),
  },
  { name: 'string: prewarm, newer (script) (version beside)', type: 'string', run: write(strings, 'newer') },
  {
    name: 'string: prewarm, add (SET NX) (all there)',
    type: 'string',
    run: write(strings, 'add', null, 'skipped_present'),
  },
  { name: 'hash: DEL HSET PEXPIRE, a pipeline, not atomic', type: 'hash', run: pipeline(hashes, false) },
  { name: 'hash: MULTI DEL HSET PEXPIRE EXEC, a pipeline', type: 'hash', run: pipeline(hashes, true) },
  { name: 'hash: prewarm (script), overwrite (all there)', type: 'hash', run: write(hashes, 'overwrite') },
  {
    name: 'hash: prewarm (script), overwrite under a lock',
    type: 'hash',
    run: write(hashes, 'overwrite', null, 'written', FENCE),
  },
  { name: 'hash: prewarm (script), overwrite (none there)', type: 'hash', cold: true, run: write(hashes, 'overwrite') },
  { name: 'hash: prewarm (script), newer (version in a field)', type: 'hash', run: write(hashes, 'newer', 'version') },
  { name: 'hash: prewarm (script), add (all there)', type: 'hash', run: write(hashes, 'add', null, 'skipped_present') },
]

async function expectBatch({ name, type }: (typeof variants)[number]) {
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

/** CPU time of this process for one run, ns: the client's share. */
async function cpuOf(run: () => Promise<void>): Promise<number> {
  const before = process.cpuUsage()
  for (let times = 0; times < 20; times++) await run()
  const { user, system } = process.cpuUsage(before)
  return ((user + system) * 1000) / 20
}

const rounds = setting('BENCH_ROUNDS', 5)
const results = variants.map(() => ({ wall: [] as number[], cpu: [] as number[] }))
for (let round = 0; round < rounds; round++) {
  for (const [index, variant] of variants.entries()) {
    await redis.empty()
    await variants.find(({ type }) => type === variant.type)?.run()
    const run = async () => {
      if (variant.cold) await redis.empty()
      await variant.run()
    }
    const { p50 } = await measure(run, { min_samples: 20, min_cpu_time: 100e6 })
    results[index]?.wall.push(p50)
    results[index]?.cpu.push(await cpuOf(run))
    await expectBatch(variant)
  }
}

console.log(`one batch of ${COUNT}; median of ${rounds} rounds, taken in turns\n`)
console.log(`${''.padEnd(48)} wall, beside the first    CPU here, beside the first`)
for (const [index, { name, type }] of variants.entries()) {
  const first = results[variants.findIndex((variant) => variant.type === type)]
  const column = (what: 'wall' | 'cpu') => {
    const ns = results[index]?.[what] ?? []
    const share = median(ns.map((value, round) => value / (first?.[what][round] as number)))
    return `${(median(ns) / 1e6).toFixed(2).padStart(7)} ms ${share.toFixed(2)}x`.padEnd(26)
  }
  console.log(`${name.padEnd(48)} ${column('wall')}${column('cpu')}`)
}

bare.disconnect()
await store.close()
await redis.stop()
