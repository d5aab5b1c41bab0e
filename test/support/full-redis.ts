import type { Redis } from 'ioredis'
import { bucketKey, bucketOf } from '../../src/predict/buckets.ts'

/** How a policy holds what it takes for cold: by RESTORE's own words. */
const COLD = { lru: ['IDLETIME', '7200'], lfu: ['FREQ', '0'] } as const

export type Family = keyof typeof COLD

const value = (key: string) => JSON.stringify({ key, text: 'x'.repeat(900) })

async function inPipelines(
  redis: Redis,
  keys: string[],
  add: (redis: ReturnType<Redis['pipeline']>, key: string) => void,
) {
  for (let from = 0; from < keys.length; from += 1000) {
    const pipeline = redis.pipeline()
    for (const key of keys.slice(from, from + 1000)) add(pipeline, key)
    for (const [error] of (await pipeline.exec()) ?? []) if (error !== null) throw error
  }
}

export const names = (prefix: string, count: number) => Array.from({ length: count }, (_, at) => `${prefix}:${at}`)

/** Writes `keys` and reads each many times. */
export async function fillHot(redis: Redis, keys: string[]): Promise<void> {
  await inPipelines(redis, keys, (pipeline, key) => pipeline.set(key, value(key), 'EX', 3600))
  for (let turn = 0; turn < 20; turn++) await inPipelines(redis, keys, (pipeline, key) => pipeline.get(key))
}

/** Writes `keys` as if nobody had read them for two hours. */
export async function fillCold(redis: Redis, keys: string[], family: Family): Promise<void> {
  if (keys.length === 0) return
  await redis.set('template', value('cold:1234'))
  const dump = await redis.dumpBuffer('template')
  await redis.del('template')
  await inPipelines(redis, keys, (pipeline, key) => pipeline.call('RESTORE', key, 3_600_000, dump, ...COLD[family]))
}

/** Nothing more fits without that something goes. */
export async function bound(redis: Redis, moreBytes = 0): Promise<void> {
  await redis.config(
    'SET',
    'maxmemory',
    Number(/^used_memory:(\d+)/m.exec(await redis.info('memory'))?.[1]) + moreBytes,
  )
}

/** Of `keys`, the share that is there. */
export async function shareOf(redis: Redis, keys: string[]): Promise<number> {
  let there = 0
  for (let from = 0; from < keys.length; from += 100) there += await redis.exists(...keys.slice(from, from + 100))
  return there / keys.length
}

/** Tells prewarm that each of `keys` was read `reads` times in the last minutes. */
export async function tellReads(redis: Redis, keys: string[], reads: number): Promise<void> {
  const bucket = bucketKey(bucketOf(Date.now()))
  await inPipelines(redis, keys, (pipeline, key) => pipeline.zadd(bucket, reads, key))
}
