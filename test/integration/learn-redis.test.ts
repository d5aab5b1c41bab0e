import { after, before, describe, it } from 'node:test'
import { assert, assertEquals, assertRejects } from '@std/assert'
import type { Redis } from 'ioredis'
import { RedisCommands } from '../../src/coordination/redis-commands.ts'
import { PrewarmError } from '../../src/errors.ts'
import { defineConfig, load, type Warmer } from '../../src/index.ts'
import { type LearnRedisOptions, learnFromRedis } from '../../src/learn/redis.ts'
import { DemandReader } from '../../src/predict/demand.ts'
import { filledByOf } from '../../src/store/changes.ts'
import { RedisStore } from '../../src/store/redis.ts'
import { fillAsReader } from '../support/changes.ts'
import { clock, looker, until } from '../support/coordination.ts'
import { type RedisServer, startRedisServer } from '../support/servers.ts'
import { withWarmer } from '../support/warming.ts'

const TIMEOUT = { timeout: 60_000 }
const KEYS = 1000
const READ = Array.from({ length: 50 }, (_, n) => `film:${n * 20}`)
const UNREAD = Array.from({ length: KEYS }, (_, n) => `film:${n}`).filter((key) => !READ.includes(key))

const select = () => Array.from({ length: KEYS }, (_, n) => n)
const config = defineConfig({
  tasks: {
    films: load({
      ...{ key: 'film:{id}', value: 'string', ttl: '10m', select },
      // No small whole numbers: Redis shares those between keys, with what it knows of their accesses.
      load: (keys) => new Map(keys.map((key) => [key, `what ${key} is`])),
    }),
    casts: load({ key: 'cast:{id}', value: 'hash', ttl: '10m', select, load: castsOf }),
  },
})

function castsOf(keys: readonly string[]) {
  return new Map(keys.map((key) => [key, { name: key, role: 'somebody' }]))
}

interface Stage {
  server: RedisServer
  redis: Redis
  learn(more?: Partial<LearnRedisOptions>): ReturnType<typeof learnFromRedis>
  warm(): Promise<void>
  stop(): Promise<void>
}

async function stageOn(...args: string[]): Promise<Stage> {
  const server = await startRedisServer({ args })
  const redis = looker(server.url)
  const store = new RedisStore({ url: server.url, clock })
  const commands = new RedisCommands({ url: server.url, clock })
  await store.connect(5000)
  const use = <T>(work: (warmer: Warmer) => Promise<T>) => withWarmer({ config, redisUrl: server.url }, work)
  return {
    server,
    redis,
    learn: (more = {}) =>
      use(({ config: { tasks } }) =>
        learnFromRedis({
          ...{ store, commands, clock, tasks: tasks.values(), capacity: 50_000, rate: 1e6, dryRun: false },
          signal: new AbortController().signal,
          ...more,
        }),
      ),
    async warm() {
      const { keys } = await use((warmer) => warmer.submit({}).result)
      assertEquals(keys.written, 2 * KEYS)
    },
    async stop() {
      redis.disconnect()
      await Promise.all([store.close(), commands.close(), server.stop()])
    },
  }
}

/** Redis tells idle times in whole seconds: lets some pass on its clock. */
async function seconds(redis: Redis, count: number): Promise<void> {
  const now = async () => Number((await redis.time())[0])
  const start = await now()
  await until(async () => (await now()) >= start + count)
}

async function readOften(redis: Redis, keys: readonly string[], times: number): Promise<void> {
  for (let n = 0; n < times; n++) {
    const pipeline = redis.pipeline()
    for (const key of keys) pipeline.get(key)
    await pipeline.exec()
  }
}

/** What strategies and the memory guard see. */
async function demandKeys(url: string): Promise<string[]> {
  const commands = new RedisCommands({ url, clock })
  try {
    return [...(await new DemandReader({ commands, clock }).read()).keys.keys()].sort()
  } finally {
    await commands.close()
  }
}

for (const policy of ['allkeys-lru', 'noeviction', 'allkeys-random']) {
  describe(`learning from a Redis with ${policy}`, () => {
    let stage: Stage
    before(async () => {
      stage = await stageOn('--maxmemory-policy', policy)
    }, TIMEOUT)
    after(() => stage.stop(), TIMEOUT)

    it('finds the 50 of 2000 warmed keys that were read, once however often it learns', TIMEOUT, async () => {
      const { redis, learn, warm, server } = stage
      await warm()
      await seconds(redis, 5)
      await readOften(redis, READ, 1)
      const told = await learn()
      assertEquals([told.by, told.keys.read, told.keys.warmed, told.kept], ['idle', 50, 2 * KEYS - 50, 50])
      assertEquals(await demandKeys(server.url), [...READ].sort())
      await learn()
      const sum = async () => {
        const buckets = (await redis.keys('prewarm:access:*')).filter((key) => /:\d+$/.test(key))
        const scores = await Promise.all(buckets.map((key) => redis.zrange(key, '0', '-1', 'WITHSCORES')))
        return scores.flat().reduce((all, one, at) => all + (at % 2 === 1 ? Number(one) : 0), 0)
      }
      assertEquals(await sum(), 50)
      // It was warmed anew: nobody has read it since.
      await warm()
      assertEquals((await learn({ dryRun: true })).keys.read, 0)
    })
  })
}

describe('learning from a Redis with allkeys-lfu', () => {
  let stage: Stage
  before(async () => {
    stage = await stageOn('--maxmemory-policy', 'allkeys-lfu')
  }, TIMEOUT)
  after(() => stage.stop(), TIMEOUT)

  it('finds the 50 of 2000 warmed keys that were read, also when all were warmed twice', TIMEOUT, async () => {
    const { redis, learn, warm, server } = stage
    await warm()
    await warm()
    await readOften(redis, READ, 2000)
    await readOften(redis, READ.slice(0, 1), 60_000)
    const told = await learn()
    assertEquals([told.by, told.keys.read, told.keys.warmed], ['counter', 50, 2 * KEYS - 50])
    assertEquals(told.top[0]?.key, READ[0])
    for (const { reads } of told.top.slice(1)) assert(reads > 300 && reads < 12_000, `${reads}`)
    assertEquals(await demandKeys(server.url), [...READ].sort())
  })

  it('does not count its own looking', TIMEOUT, async () => {
    const { redis, learn } = stage
    await redis.flushall()
    await redis.set('film:1', 'what an application has written', 'EX', 600)
    for (let n = 0; n < 20; n++) assertEquals((await learn({ dryRun: true })).keys.unread, 1)
    assertEquals(await redis.object('FREQ', 'film:1'), 5)
  })

  it('counts a key that a reader has filled from its first read on', TIMEOUT, async () => {
    const { redis, learn } = stage
    await fillAsReader(redis, 'film:9999', 'what a reader has loaded')
    await redis.get('film:9999')
    const expiresAtMs = await redis.pexpiretime('film:9999')
    assertEquals(filledByOf(expiresAtMs), 'read')
    assertEquals((await learn({ match: 'film:9999' })).keys.read, 1)
  })
})

describe('learning from any Redis', () => {
  let stage: Stage
  before(async () => {
    stage = await stageOn('--maxmemory-policy', 'allkeys-lru', '--rename-command', 'PEXPIRETIME', '')
  }, TIMEOUT)
  after(() => stage.stop(), TIMEOUT)

  it('goes by TTLs where the server does not know PEXPIRETIME, as before 7.0', TIMEOUT, async () => {
    const { redis, learn, warm } = stage
    await warm()
    await seconds(redis, 5)
    await readOften(redis, READ, 1)
    const told = await learn({ dryRun: true })
    assertEquals([told.keys.read, told.keys.warmed], [50, 2 * KEYS - 50])
    assert(!told.top.some(({ key }) => UNREAD.includes(key)))
  })

  it('takes another policy up while it goes on', TIMEOUT, async () => {
    const { redis, learn } = stage
    assertEquals((await learn({ dryRun: true })).by, 'idle')
    await redis.config('SET', 'maxmemory-policy', 'allkeys-lfu')
    assertEquals((await learn({ dryRun: true })).by, 'counter')
    await redis.config('SET', 'maxmemory-policy', 'allkeys-lru')
    assertEquals((await learn({ dryRun: true })).by, 'idle')
  })

  it('never sends KEYS, and 200,000 keys only by SCAN and small pipelines', { timeout: 120_000 }, async () => {
    const { redis, learn } = stage
    await redis.flushall()
    await redis.eval("for n = 1, 200000 do redis.call('SET', 'film:x' .. n, 'some text', 'EX', 86400) end", 0)
    await redis.config('RESETSTAT')
    // As it goes: the most commands that it has under way at once are those of one pipeline.
    let most = 0
    let before = 0
    const told = await learn({
      dryRun: true,
      onProgress: ({ seen }) => {
        most = Math.max(most, seen - before)
        before = seen
      },
    })
    assert(told.keys.seen >= 200_000 && told.keys.read <= 200_000, `${told.keys.seen}`)
    assert(most <= 250, `${most}`)
    const calls = (await redis.info('commandstats')).match(/^cmdstat_[^:]+:calls=\d+/gm) ?? []
    const countOf = (name: string) =>
      Number(calls.find((one) => one.startsWith(`cmdstat_${name}:`))?.split('=')[1] ?? 0)
    assertEquals(countOf('keys'), 0)
    assert(countOf('scan') >= 200, `${countOf('scan')}`)
    assertEquals(countOf('object|idletime'), told.keys.seen)
  })

  it('says so where the user may not ask', TIMEOUT, async () => {
    const { redis, server, learn } = stage
    await redis.acl('SETUSER', 'looker', 'on', '>secret', '~*', '&*', '+@all', '-object')
    const store = new RedisStore({ url: server.url.replace('redis://', 'redis://looker:secret@'), clock })
    await store.connect(5000)
    try {
      const error = await assertRejects(() => learn({ store, dryRun: true }), PrewarmError)
      assertEquals([error.code, error.detail], ['STORE_REFUSED', 'NOPERM'])
    } finally {
      await store.close()
    }
  })
})
