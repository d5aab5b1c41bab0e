/** Values already in memory, JSON with a TTL: how fast do they get into Redis, beside the ways people do it today? */
import KeyvRedis from '@keyv/redis'
import { createCache } from 'cache-manager'
import { Redis } from 'ioredis'
import { Keyv } from 'keyv'
import { systemClock } from '../src/clock.ts'
import { jsonCodec } from '../src/codec/json.ts'
import { createWarmer, load } from '../src/index.ts'
import { jitteredTtlMs } from '../src/keyspace/ttl.ts'
import { RedisStore } from '../src/store/redis.ts'
import { check, setting, target } from './support/check.ts'
import { makeProfiles, PROFILE_TTL_MS, type Profile, profileKey } from './support/profiles.ts'
import { eachOf, expectTtl, openRedis, pipeInto, resp, slices } from './support/redis.ts'
import { inTurns, printTimings, ratio } from './support/rounds.ts'

const COUNT = setting('BENCH_KEYS', 200_000)
const profiles = makeProfiles(COUNT)
const byKey = new Map(profiles.map((profile) => [profileKey(profile.id), profile]))
const bytes = profiles.reduce((sum, profile) => sum + JSON.stringify(profile).length, 0) / COUNT
const pipelines = slices(profiles, 500)
const batches = slices(profiles, 1000)
const readyMade = profiles
  .map((value) => resp('SET', profileKey(value.id), JSON.stringify(value), 'PX', String(PROFILE_TTL_MS)))
  .join('')

const redis = await openRedis()

const warmer = (settings: { maxOriginRps?: number }, task: { batchSize?: number }) =>
  createWarmer({
    env: {},
    config: {
      redis: redis.url,
      ...settings,
      tasks: {
        profiles: load({
          key: 'user:{id}:profile',
          ttl: PROFILE_TTL_MS,
          ...task,
          select: () => profiles,
          load: (keys) => keys.map((key) => byKey.get(key)),
        }),
      },
    },
  })
const fast = await warmer({ maxOriginRps: 1_000_000 }, { batchSize: 1000 })
const gentle = await warmer({}, {})
const store = new RedisStore({ url: redis.url, clock: systemClock(Bun.nanoseconds) })
await store.connect(5000)
const bare = new Redis(redis.url)

const keyv = new Keyv(new KeyvRedis(redis.url) as never, { useKeyPrefix: false } as never)
keyv.namespace = undefined
const cache = createCache({ stores: [keyv] as never })

const options = {
  mode: 'overwrite',
  versionField: null,
  timeoutMs: 5000,
  signal: new AbortController().signal,
} as const

async function runGently(count: number) {
  await redis.empty()
  const { keys, durationNs } = await gentle.submit({ count }).result
  await redis.expectSize(count, 'prewarm with its defaults')
  const perSecond = Math.round(keys.written / (durationNs / 1e9))
  console.log(`\nprewarm with its defaults (100 requests a second of 50 keys each): ${perSecond} keys/s, ${count} keys`)
}

async function runWarmer() {
  const { status, keys } = await fast.submit().result
  check(status === 'success' && keys.written === COUNT, `prewarm wrote ${keys.written} keys: ${status}`)
}

async function writeDirectly(batch: readonly Profile[]) {
  const entries = batch.map((value) => {
    const key = profileKey(value.id)
    return {
      key,
      ttlMs: jitteredTtlMs(key, PROFILE_TTL_MS, 0.1),
      encoded: jsonCodec.encode(value, { key, ttlMs: PROFILE_TTL_MS, nowMs: 0 }),
    }
  })
  const { outcomes } = await store.write(entries, options)
  check(
    outcomes.every((outcome) => outcome === 'written'),
    'RedisStore.write left keys unwritten',
  )
}

async function writeBare(batch: readonly Profile[]) {
  const pipeline = bare.pipeline()
  for (const value of batch) pipeline.set(profileKey(value.id), JSON.stringify(value), 'PX', PROFILE_TTL_MS)
  for (const [error] of (await pipeline.exec()) ?? []) check(error === null, String(error))
}

const mset = (batch: readonly Profile[]) =>
  cache.mset(batch.map((value) => ({ key: profileKey(value.id), value, ttl: PROFILE_TTL_MS })))

async function expectAll(who: string) {
  await redis.expectSize(COUNT, who)
  for (let id = 0; id < COUNT; id += Math.ceil(COUNT / 50)) {
    const key = profileKey(id)
    const stored = JSON.parse((await redis.client.get(key)) ?? 'null')
    // Keyv wraps what it stores.
    check(Bun.deepEquals(stored?.value ?? stored, profiles[id]), `${who}: '${key}' holds ${JSON.stringify(stored)}`)
    expectTtl(key, await redis.client.pttl(key), PROFILE_TTL_MS * 0.9 - 60_000, PROFILE_TTL_MS)
  }
}

const variant = (name: string, run: () => Promise<unknown>) => ({
  name,
  run,
  before: redis.empty,
  after: () => expectAll(name),
})

console.log(`${COUNT} JSON values of ${Math.round(bytes)} bytes with TTL\n`)
const timings = await inTurns([
  variant('prewarm run', runWarmer),
  variant('RedisStore.write', () => eachOf(batches, 4, writeDirectly)),
  variant('bare ioredis', () => eachOf(pipelines, 4, writeBare)),
  variant('cache-manager', () => eachOf(pipelines, 4, mset)),
  variant('redis-cli --pipe', () => pipeInto(redis.port, readyMade)),
])
printTimings(timings, COUNT, 'redis-cli --pipe')
console.log(`\nprewarm run: a load task, workers: 0, batches of 1000, maxOriginRps 1_000_000 (the default is 100).
RedisStore.write: encoded and written in batches of 1000, 4 in flight. The others: batches of 500, 4 in flight.\n`)
for (const name of ['prewarm run', 'RedisStore.write'])
  target(`${name} beside cache-manager mset`, ratio(timings, name, 'cache-manager'), '>=', 2)
target('prewarm run beside redis-cli --pipe', ratio(timings, 'prewarm run', 'redis-cli --pipe'), '>=', 0.6)
target('RedisStore.write beside redis-cli --pipe', ratio(timings, 'RedisStore.write', 'redis-cli --pipe'), '>=', 0.6)

await runGently(Math.min(COUNT, 10_000))

await Promise.all([fast.stop(), gentle.stop(), store.close(), cache.disconnect()])
bare.disconnect()
await redis.stop()
