/** Real traffic on an empty cache and on a warmed one: what share of the first requests is served without the origin? */
import { createCache } from '../src/compose-cache.ts'
import { createWarmer, defineConfig, keyTemplate, load } from '../src/index.ts'
import { check, setting } from './support/check.ts'
import { openRedis } from './support/redis.ts'
import { hottest, type Trace, traces } from './support/traces.ts'

/** Keys to warm: the default of `sessions`, and ten times that. */
const WARM = [1000, 10_000]
const REQUESTS = setting('BENCH_REQUESTS', 10_000)
const MARKS = [1000, REQUESTS]
const isJson = process.argv.includes('--json')

const redis = await openRedis()
const template = keyTemplate('page:{id}')
const keyOf = (id: string) => template.format({ id })
const contentOf = (key: string) => ({ key, text: `content of ${key}, ${'x'.repeat(100)}` })

interface Replay {
  /** Hit rate after each mark, 0 to 1. */
  hitRates: number[]
  /** Loads that readers caused. */
  loads: number
  /** Hits on values that warming had put there. */
  earned: number
  /** Warmed keys that nobody read. */
  wasted: number
  warmed: number
}

/** Empties Redis, warms `hot`, then sends `requests` through a new cache, one after the other. */
async function replay(hot: readonly string[], requests: readonly string[]): Promise<Replay> {
  await redis.empty()
  let loads = 0
  let warming: readonly string[] = hot
  const config = defineConfig({
    redis: redis.url,
    maxOriginRps: 1_000_000,
    tasks: {
      pages: load({
        key: 'page:{id}',
        ttl: '1h',
        batchSize: 500,
        select: () => warming.map((id) => ({ id })),
        load: (keys) => {
          loads += keys.length
          return keys.map((key) => contentOf(key))
        },
      }),
    },
  })
  if (hot.length > 0) {
    await using warmer = await createWarmer({ env: {}, config })
    const { status, keys } = await warmer.submit().result
    check(status === 'success' && keys.written === hot.length, `warming is ${status}, ${keys.written} keys written`)
    await redis.expectSize(hot.length, 'warming')
  }
  warming = []
  loads = 0
  const cache = await createCache({ env: {}, config })
  const read = new Set<string>()
  const hitRates: number[] = []
  let [hits, earned] = [0, 0]
  for (const [at, id] of requests.entries()) {
    const key = keyOf(id)
    const { value, tier, filledBy } = await cache.read<{ key: string }>(key)
    check(value?.key === key, `'${key}' is ${JSON.stringify(value)}`)
    read.add(id)
    if (tier !== 'origin') {
      hits++
      if (filledBy === 'warm') earned++
    }
    if (MARKS.includes(at + 1)) hitRates.push(hits / (at + 1))
  }
  await cache.close()
  check(loads === requests.length - hits, `the origin was asked ${loads} times for ${requests.length - hits} misses`)
  check(hot.length > 0 || earned === 0, `${earned} hits on warm values in a cold cache`)
  const wasted = hot.filter((id) => !read.has(id)).length
  return { hitRates, loads, earned, wasted, warmed: hot.length }
}

async function show({ name, origin, keys }: Trace) {
  const half = keys.length >> 1
  const [past, future] = [keys.slice(0, half), keys.slice(half, half + REQUESTS)]
  const runs = { cold: await replay([], future) } as Record<string, Replay>
  for (const count of WARM) {
    const hot = hottest(past, count)
    // Fewer were ever asked for: the run would be the one before.
    if (count === WARM[0] || hot.length > (WARM[0] as number)) runs[`warm ${count}`] = await replay(hot, future)
  }
  const report = { name, origin, requests: keys.length, replayed: future.length, keys: new Set(keys).size, runs }
  if (!isJson) print(report)
  return report
}

type Report = Awaited<ReturnType<typeof show>>

const percent = (share: number | undefined) => (share === undefined ? '-' : `${(100 * share).toFixed(1)} %`)

function print({ name, origin, replayed, runs }: Report): void {
  for (const [run, { hitRates, loads, earned, wasted, warmed }] of Object.entries(runs)) {
    const of = warmed === 0 ? '' : ` ${percent(earned / replayed)} | ${wasted} of ${warmed}`
    const head = run === 'cold' ? `${name} | \`${origin}\`` : ' | '
    const rates = `${percent(hitRates[0])} | ${percent(replayed < REQUESTS ? undefined : hitRates[1])}`
    console.log(`| ${head} | ${run} | ${rates} | ${loads} |${of || ' | '} |`)
  }
}

if (!isJson) {
  console.log(`The second half of each trace, its first ${REQUESTS} requests, one after the other; warmed: the keys that were asked for
most often in the first half. A hit is what came from memory or Redis. Nothing expires meanwhile.\n
| trace | sha256 | | hit rate, first 1000 | first ${REQUESTS} | loads | hits on warm values | warmed for nothing |
|---|---|---|---|---|---|---|---|`)
}
const reports: Report[] = []
for (const trace of traces()) reports.push(await show(trace))
for (const { name, runs } of reports) {
  const [cold, warm] = [runs.cold?.hitRates[0] ?? 0, runs[`warm ${WARM[0]}`]?.hitRates[0] ?? 0]
  check(warm >= cold, `${name}: warm ${percent(warm)} is less than cold ${percent(cold)}`)
}
if (isJson) console.log(JSON.stringify({ warm: WARM, marks: MARKS, traces: reports }, null, 2))
await redis.stop()
