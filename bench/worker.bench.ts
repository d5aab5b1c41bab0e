/** What does a batch cost on its way to a worker and back? A Web Worker beside the inline worker of `workers: 0`. */

import { check } from './support/check.ts'
import { sendBatch, startPool } from './support/pools.ts'
import { eachOf, expectTtl, openRedis } from './support/redis.ts'
import { inTurns, type Variant } from './support/rounds.ts'

const TRIPS = 1000
const redis = await openRedis()
const pools = { web: await startPool('web', redis.url), inline: await startPool('inline', redis.url) }

const keysOf = (trip: number, size: number) =>
  Array.from({ length: size }, (_, index) => `value:${trip * size + index}`)

async function expectValues(count: number, who: string) {
  await redis.expectSize(count, who)
  for (let id = 0; id < count; id += Math.ceil(count / 20)) {
    const key = `value:${id}`
    const stored = await redis.client.get(key)
    check(stored === `of ${key}`, `${who}: '${key}' holds ${stored}`)
    expectTtl(key, await redis.client.pttl(key), 3_600_000 * 0.9 - 60_000, 3_600_000)
  }
}

function variant(kind: 'web' | 'inline', size: number, inFlight: number): Variant {
  const batches = Array.from({ length: TRIPS }, (_, trip) => keysOf(trip, size))
  const name = `${size} keys, ${inFlight} in flight, ${kind}`
  return {
    name,
    before: redis.empty,
    run: () => eachOf(batches, inFlight, (keys) => sendBatch(pools[kind], keys)),
    after: () => expectValues(TRIPS * size, name),
  }
}

console.log(`${TRIPS} batches of one worker; µs a batch: median of the rounds\n`)
const timings = await inTurns(
  [0, 10, 100].flatMap((size) =>
    [1, 4].flatMap((inFlight) => [variant('inline', size, inFlight), variant('web', size, inFlight)]),
  ),
)
for (const { name, seconds } of timings)
  console.log(`${name.padEnd(32)} ${((seconds / TRIPS) * 1e6).toFixed(1).padStart(8)}`)

await Promise.all(Object.values(pools).map((pool) => pool.stop(1500)))
await redis.stop()
process.exit(0)
