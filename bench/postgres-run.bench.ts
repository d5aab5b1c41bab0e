/** 300k session hashes out of Postgres: a whole run in a process of its own, beside psql piped to redis-cli. */
import { spawnSync } from 'node:child_process'
import { startPostgresServer } from '../test/support/servers.ts'
import { check, setting, target } from './support/check.ts'
import { quantiles, showMs, timeHits, timeHitsDuring } from './support/readers.ts'
import { expectTtl, openRedis } from './support/redis.ts'
import { inTurns, median, printTimings, ratio } from './support/rounds.ts'
import { copyIntoRedis, psqlIntoRedis } from './support/sessions-baseline.ts'
import { loadSessions } from './support/sessions-data.ts'
import { sampleSelect, TTL_MS } from './support/sessions-query.ts'
import { type Run, runSessions } from './support/sessions-run.ts'

const COUNT = setting('BENCH_KEYS', 300_000)
const ROUNDS = setting('BENCH_ROUNDS', 3)
const [redis, postgres] = await Promise.all([openRedis(), startPostgresServer()])
loadSessions(postgres.url)
const sampled = spawnSync('psql', [postgres.url, '-At', '-c', sampleSelect(COUNT, 50)], { encoding: 'utf8' }).stdout
const samples = JSON.parse(sampled) as ({ prefix: string } & Record<string, string>)[]

const runs: Run[] = []
const prewarm = (workers: number, originRps?: number) =>
  runSessions({ redisUrl: redis.url, databaseUrl: postgres.url, limit: COUNT, workers, originRps })

async function expectSessions(who: string) {
  await redis.expectSize(COUNT, who)
  for (const { prefix, ...fields } of samples) {
    const key = `session:${prefix}`
    const stored = await redis.client.hgetall(key)
    check(Bun.deepEquals({ ...stored }, fields), `${who}: '${key}' holds ${JSON.stringify(stored)}`)
    expectTtl(key, await redis.client.pttl(key), TTL_MS * 0.9 - 30_000, TTL_MS)
  }
}

const variant = (name: string, run: () => Promise<unknown>) => ({
  name,
  run,
  before: redis.empty,
  after: () => expectSessions(name),
})
const timings = await inTurns(
  [
    variant('psql | redis-cli', () => psqlIntoRedis(postgres.url, redis.port, COUNT)),
    variant('prewarm', async () => runs.push(await prewarm(2))),
    variant('COPY | tr | redis-cli', () => copyIntoRedis(postgres.url, redis.port, COUNT)),
    variant('prewarm, inline', () => prewarm(0)),
    variant('prewarm, 100 rps', () => prewarm(2, 100)),
  ],
  ROUNDS,
)

console.log(`\n${COUNT} hashes of 12 fields, whole processes from start to exit`)
printTimings(timings, COUNT, 'psql | redis-cli')
console.log(`
prewarm: workers: 2, pages of 1000 rows, maxOriginRps 1_000_000. inline: workers: 0. 100 rps: the default maxOriginRps.
A hash that prewarm writes replaces what was there; the baselines' HSET would add to it.
`)
const others = ['psql | redis-cli', 'COPY | tr | redis-cli']
for (const other of others) target(`prewarm beside ${other}`, ratio(timings, 'prewarm', other), '>=', 0.7)

const peaks = runs.map(({ peakRss }) => peakRss / 1e6)
const rss = quantiles(runs.flatMap((run) => run.rss.map((bytes) => bytes / 1e6)))
console.log(`\nresident memory: p50 ${rss.p50.toFixed(0)} MB, p95 ${rss.p95.toFixed(0)} MB`)
target('highest peak of resident memory', Math.max(...peaks), '<', 250, ' MB')

const latency = (quantile: 'p50' | 'p95' | 'p99') =>
  median(runs.map(({ result }) => result.latencyNs[quantile] / 1e6)).toFixed(1)
console.log(`\nlatency per key warmed: p50 ${latency('p50')}, p95 ${latency('p95')}, p99 ${latency('p99')} ms`)
target('p99 per key warmed', Number(latency('p99')), '<', 100, ' ms')

await redis.client.set('probe', 'x'.repeat(200))
const during = await timeHitsDuring(redis.client, 'probe', prewarm(2))
const hits = await timeHits(
  redis.client,
  Array.from({ length: 5000 }, (_, index) => `session:${samples[index % samples.length]?.prefix}`),
)
showMs('\ncache hit, GET while prewarm runs', during)
showMs('cache hit, HGETALL afterwards', hits)
target('p95 of a hit while prewarm runs', quantiles(during).p95, '<', 10, ' ms')
target('p95 of a hit afterwards', quantiles(hits).p95, '<', 10, ' ms')

await Promise.all([redis.stop(), postgres.stop()])
process.exit(0)
