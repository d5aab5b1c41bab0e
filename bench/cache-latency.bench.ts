/** What does a read take from memory, from Redis and from the database, in one run? */
import postgres from 'postgres'
import { createCache } from '../src/compose-cache.ts'
import { startPostgresServer } from '../test/support/servers.ts'
import { check, setting, target } from './support/check.ts'
import { makeProfiles, PROFILE_TTL_MS, type Profile, profileKey } from './support/profiles.ts'
import { quantiles, showMs } from './support/readers.ts'
import { eachOf, openRedis } from './support/redis.ts'

const ROUNDS = setting('BENCH_ROUNDS', 10)
const KEYS = setting('BENCH_KEYS', 500)
/** Reads under way at a time: one request after the other, and as in a busy service. */
const WIDTHS = [1, 32]

const profiles = makeProfiles(ROUNDS * KEYS * WIDTHS.length)
const [redis, server] = await Promise.all([openRedis(), startPostgresServer()])
const sql = postgres(server.url, { max: 10, onnotice: () => {} })
await sql`create table profiles (id int primary key, profile jsonb not null)`
for (let id = 0; id < profiles.length; id += 1000) {
  const rows = profiles.slice(id, id + 1000).map((profile) => ({ id: profile.id, profile: sql.json(profile) }))
  await sql`insert into profiles ${sql(rows)}`
}
await sql`analyze profiles`

let loads = 0
const load = async (key: string): Promise<Profile | undefined> => {
  loads++
  const [row] = await sql<{ profile: Profile }[]>`select profile from profiles where id = ${Number(key.split(':')[1])}`
  return row?.profile
}
const open = () =>
  createCache({ redis: redis.url, env: {}, defaultTtl: PROFILE_TTL_MS, memory: { maxItems: 2 * KEYS } })
const [first, second] = await Promise.all([open(), open()])

/** Reads each of `ids`, `width` at once, from the layer that must have them; ms each. */
async function read(cache: typeof first, ids: readonly number[], tier: string, width: number): Promise<number[]> {
  const took: number[] = []
  await eachOf(ids, width, async (id) => {
    const startNs = Bun.nanoseconds()
    const result = await cache.read<Profile>(profileKey(id), { load })
    took.push((Bun.nanoseconds() - startNs) / 1e6)
    check(result.tier === tier, `'${profileKey(id)}' came from ${result.tier}, expected ${tier}`)
    check(result.value?.email === profiles[id]?.email, `'${profileKey(id)}' is ${JSON.stringify(result.value)}`)
  })
  return took
}

const TIERS = ['origin', 'redis', 'memory'] as const
const all = new Map<string, number[]>()
const of = (width: number, tier: string) => all.get(`${width} ${tier}`) ?? []
for (let round = 0; round < ROUNDS; round++) {
  for (const [index, width] of WIDTHS.entries()) {
    const from = (round * WIDTHS.length + index) * KEYS
    const ids = Array.from({ length: KEYS }, (_, at) => from + at)
    const before = loads
    const took = {
      origin: await read(first, ids, 'origin', width),
      redis: await read(second, ids, 'redis', width),
      memory: await read(second, ids, 'memory', width),
    }
    check(loads - before === KEYS, `the database was asked ${loads - before} times for ${KEYS} misses`)
    // The first round compiles and connects; it is not counted.
    if (round > 0) for (const tier of TIERS) all.set(`${width} ${tier}`, [...of(width, tier), ...took[tier]])
  }
}
await redis.client.dbsize().then((size) => check(size >= profiles.length, `Redis holds ${size} keys`))
check(Bun.deepEquals(await second.get(profileKey(7)), profiles[7]), 'a value was changed on its way')

for (const width of WIDTHS) {
  console.log(`\n${width} at a time`)
  for (const tier of TIERS) showMs(tier === 'origin' ? '  miss (Postgres)' : `  hit in ${tier}`, of(width, tier))
  const miss = quantiles([...of(width, 'origin')])
  for (const tier of ['redis', 'memory']) {
    const hit = quantiles([...of(width, tier)])
    const ratios = (['p50', 'p95', 'p99'] as const).map((at) => `${at} ${(miss[at] / hit[at]).toFixed(1)}x`)
    console.log(`  a miss beside a hit in ${tier}: ${ratios.join(', ')}`)
  }
}
console.log()
for (const width of WIDTHS) {
  const hits = quantiles([...of(width, 'redis'), ...of(width, 'memory')])
  target(`hit p95, ${width} at a time`, hits.p95, '<', 10, ' ms')
}
const inMemory = quantiles([...of(1, 'memory')])
target('hit in memory p50', inMemory.p50, '<', 0.05, ' ms')
target('hit in memory p99', inMemory.p99, '<', 0.05, ' ms')

await Promise.all([first.close(), second.close(), sql.end()])
await Promise.all([redis.stop(), server.stop()])
