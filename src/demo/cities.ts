import { type JobResult, keyTemplate } from '../index.ts'
import { currentRuntime } from '../runtime/index.ts'
import { CITY_KEY, CITY_TTL_MS, cityQuery } from './city.ts'
import { readCities, storeCities } from './city-data.ts'
import { DEMO_PREFIX } from './names.ts'
import { LookAsideReader } from './reader.ts'
import { drawByWeight, type Latencies, playRequests, seededRandom } from './requests.ts'
import { onStage, type Stage, type StageOptions, warmOnStage } from './stage.ts'

/** One pass of the requests. */
export interface Pass extends Latencies {
  /** 0 to 1. */
  hitRate: number
  originQueries: number
}

/** What `prewarm demo --json` prints. */
export interface CitiesReport {
  /** Of the cities to be warmed, how many Redis held after warming. */
  warmed: number
  cold: Pass
  warm: Pass
}

export interface CitiesOptions extends StageOptions {
  /** Cities to warm, the largest ones. */
  cities: number
  requests: number
}

const CONCURRENCY = 16
const SEED = 20_260_531
const keyOf = (cityId: number) => keyTemplate(CITY_KEY).format({ city_id: cityId })

/**
 * Real cities, requests as their inhabitants would send them, and the same requests twice: on a cold cache and on a warm one.
 *
 * @throws {PrewarmError} `EMBEDDED_*`, and all that `onStage` throws
 */
export async function citiesDemo(options: CitiesOptions): Promise<{ report: CitiesReport; job: JobResult }> {
  const cities = await readCities()
  return onStage(new URL('./cities.config.ts', import.meta.url), options, async (stage) => {
    const { sql, redis, signal, say } = stage
    say(`Origin: copying ${count(cities.length)} cities into Postgres`)
    await storeCities(sql, cities)
    signal.throwIfAborted()
    const drawn = drawByWeight(cities, (city) => city.population, options.requests, seededRandom(SEED))
    const requests = drawn.map((city) => city.cityId)
    // So that the first pass does not pay for a program that has just started.
    await pass(stage, requests.slice(0, 1000))
    await redis.removeAll(DEMO_PREFIX)
    signal.throwIfAborted()

    say(`Cold: playing ${count(requests.length)} requests on an empty cache`)
    const cold = await pass(stage, requests)
    await redis.removeAll(DEMO_PREFIX)
    signal.throwIfAborted()

    say('Warming: the largest cities, into an empty cache')
    const job = await warmOnStage(stage, { params: { limit: options.cities } })
    const warmed = await countWarm(stage, options.cities)
    signal.throwIfAborted()

    say(`Warm: playing the same requests again, ${count(warmed)} cities are in Redis`)
    const hot = await pass(stage, requests)
    return { report: { warmed, cold, warm: hot }, job }
  })
}

/** Asks Redis for each city that should be warm now. */
async function countWarm({ sql, warmer }: Stage, limit: number): Promise<number> {
  const rows = await sql.unsafe<{ city_id: number }[]>(cityQuery('order by population desc, city_id desc limit $1'), [
    limit,
  ])
  const ttlsMs = await warmer.store.ttlsMs(rows.map((row) => keyOf(row.city_id)))
  return ttlsMs.filter((ttlMs) => ttlMs > 0).length
}

async function pass({ sql, redis, signal }: Stage, requests: readonly number[]): Promise<Pass> {
  const reader = new LookAsideReader<number>({
    redis,
    keyOf,
    ttlMs: CITY_TTL_MS,
    load: async (cityId) => (await sql.unsafe(cityQuery('where city_id = $1'), [cityId], { prepare: true }))[0],
  })
  const latencies = await playRequests({
    requests,
    concurrency: CONCURRENCY,
    answer: (cityId) => reader.read(cityId),
    nowNs: currentRuntime().nowNs,
    signal,
  })
  return { hitRate: reader.hits / requests.length, ...latencies, originQueries: reader.originQueries }
}

function count(value: number): string {
  return value.toLocaleString('en-US')
}
