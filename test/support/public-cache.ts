/** Caches as an application opens them, through the public door, and what tests of them share. */
import { after, afterEach, before } from 'node:test'
import type { Redis } from 'ioredis'
import { type Cache, type CacheOptions, createCache, type Load, type ReadTold } from '../../src/index.ts'
import { type RedisServer, startRedisServer } from './servers.ts'
import { connect } from './warming.ts'

/** A test that runs beside others must not take Redis for slow. */
const PATIENT = { redisTimeout: '5s' } as const

export interface Desk {
  open(options?: CacheOptions): Promise<Cache>
  closeAll(): Promise<void>
}

/** Opens caches on one Redis, and closes them together. */
export function cacheDesk(url: () => string): Desk {
  let all: Cache[] = []
  return {
    async open(options = {}) {
      const given = options.warmer === undefined ? { redis: url(), env: {} } : {}
      const cache = await createCache({ ...PATIENT, ...given, ...options })
      all.push(cache)
      return cache
    },
    async closeAll() {
      await Promise.all(all.map((cache) => cache.close()))
      all = []
    },
  }
}

/** A Redis of a suite's own, which `tell` learns of; after each test its caches are closed and it is emptied. */
export function onOwnRedis(tell: (on: { server: RedisServer; redis: Redis }) => Promise<void> | void): Desk {
  let on: { server: RedisServer; redis: Redis }
  const desk = cacheDesk(() => on.server.url)
  before(async () => {
    const server = await startRedisServer()
    on = { server, redis: connect(server.url) }
    await tell(on)
  }, HOOK)
  afterEach(async () => {
    await desk.closeAll()
    await on.redis.flushall()
  }, HOOK)
  after(async () => {
    on.redis.disconnect()
    await on.server.stop()
  }, HOOK)
  return desk
}

const HOOK = { timeout: 60_000 }

/** Loads that end when the test says so. */
export interface HeldLoads<T> {
  load: Load<T>
  readonly count: number
  /** Most that ran at once. */
  readonly mostAtOnce: number
  /** Resolves when so many have begun. */
  begun(count: number): Promise<void>
  /** Ends those that run. */
  answer(value: T | undefined): void
  fail(error: Error): void
}

export function heldLoads<T>(): HeldLoads<T> {
  let [count, mostAtOnce] = [0, 0]
  const running = new Set<{ resolve: (value: T | undefined) => void; reject: (error: Error) => void }>()
  const watchers = new Set<() => void>()
  const end = (how: (one: { resolve: (value: T | undefined) => void; reject: (error: Error) => void }) => void) => {
    const ended = [...running]
    running.clear()
    for (const one of ended) how(one)
  }
  return {
    load: () =>
      new Promise((resolve, reject) => {
        count++
        running.add({ resolve, reject })
        mostAtOnce = Math.max(mostAtOnce, running.size)
        for (const watch of watchers) watch()
      }),
    get count() {
      return count
    },
    get mostAtOnce() {
      return mostAtOnce
    },
    begun: (wanted) =>
      new Promise((resolve) => {
        const watch = () => {
          if (count < wanted) return
          watchers.delete(watch)
          resolve()
        }
        watchers.add(watch)
        watch()
      }),
    answer: (value) => end(({ resolve }) => resolve(value)),
    fail: (error) => end(({ reject }) => reject(error)),
  }
}

/** An observer that keeps what it is told. */
export function listening() {
  const told = { reads: [] as ReadTold[], errors: 0, invalidated: 0 }
  const observer = {
    read: (read: ReadTold) => void told.reads.push({ ...read }),
    error: () => {
      told.errors++
    },
    invalidated: (count: number) => {
      told.invalidated += count
    },
  }
  return { told, observer }
}

/** The ids of this server's connections of that name. */
export async function connectionsOf(redis: Redis, name: 'prewarm-cache' | 'prewarm-cache-ear'): Promise<string[]> {
  const list = String(await redis.client('LIST'))
  return [...list.matchAll(new RegExp(`^id=(\\d+) .* name=${name} `, 'gm'))].map(([, id]) => id as string)
}

/** How many commands the server has run, in scripts or not, without those that only ask how it is. */
export async function commandsRun(redis: Redis): Promise<number> {
  const stats = await redis.info('commandstats')
  let sum = 0
  for (const [, name, calls] of stats.matchAll(/^cmdstat_([^:]+):calls=(\d+)/gm)) {
    if (!/^(ping|info|config|client)/.test(name as string)) sum += Number(calls)
  }
  return sum
}

/** Lets a loaded value end in so many ms, about, without its being forgotten who has filled it. */
export async function endIn(redis: Redis, key: string, ms: number): Promise<void> {
  const at = (await redis.pexpiretime(key)) % 100
  const [seconds, micros] = await redis.time()
  const endMs = Number(seconds) * 1000 + Math.floor(Number(micros) / 1000) + ms
  await redis.pexpireat(key, endMs - (endMs % 100) + at)
}
