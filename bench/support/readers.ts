import type { Redis } from 'ioredis'
import { check } from './check.ts'

/** Quantiles of `values`, which it sorts. */
export function quantiles(values: number[]) {
  values.sort((a, b) => a - b)
  const at = (share: number) => values[Math.min(values.length - 1, Math.floor(values.length * share))] ?? Number.NaN
  return { p50: at(0.5), p95: at(0.95), p99: at(0.99), max: at(1) }
}

/** Cache hits through ioredis, one after the other as one request would see them; ms each. Every read must hit. */
export async function timeHits(redis: Redis, keys: readonly string[]): Promise<number[]> {
  const took: number[] = []
  for (const key of keys) {
    const startNs = Bun.nanoseconds()
    const fields = await redis.hgetall(key)
    took.push((Bun.nanoseconds() - startNs) / 1e6)
    check(Object.keys(fields).length > 0, `reading '${key}' missed`)
  }
  return took
}

/** GETs of one string key, over and over until `until` settles; ms each. */
export async function timeHitsDuring(redis: Redis, key: string, until: Promise<unknown>): Promise<number[]> {
  const took: number[] = []
  let isOver = false
  const over = () => {
    isOver = true
  }
  until.then(over, over)
  while (!isOver) {
    const startNs = Bun.nanoseconds()
    check((await redis.get(key)) !== null, `reading '${key}' missed`)
    took.push((Bun.nanoseconds() - startNs) / 1e6)
    await Bun.sleep(1)
  }
  return took
}

export function showMs(name: string, values: number[]): void {
  const { p50, p95, p99, max } = quantiles(values)
  const shown = Object.entries({ p50, p95, p99, max }).map(
    ([quantile, ms]) => `${quantile} ${ms.toFixed(ms < 0.1 ? 4 : 2)}`,
  )
  console.log(`${name}: ${shown.join(', ')} ms (${values.length} reads)`)
}
