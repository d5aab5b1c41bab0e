import { join } from 'node:path'
import { after, before, beforeEach, describe, it } from 'node:test'
import { assert, assertEquals, assertMatch } from '@std/assert'
import { Redis } from 'ioredis'
import { type RedisServer, startPostgresServer, startRedisServer, type TestServer } from '../support/servers.ts'
import { CONFIG, FIXTURES, Machine } from './support.ts'

const SLOW = join(FIXTURES, 'slow.config.ts')

describe('commands that only look', () => {
  const machine = new Machine()
  let server: RedisServer
  let database: TestServer
  let redis: Redis

  before(async () => {
    ;[server, database] = await Promise.all([startRedisServer(), startPostgresServer()])
    redis = new Redis(server.url)
  })
  beforeEach(async () => {
    machine.env = { REDIS_URL: server.url, DATABASE_URL: database.url }
    await redis.flushall()
    await redis.config('SET', 'maxmemory', '0')
  })
  after(async () => {
    redis.disconnect()
    await Promise.all([server.stop(), database.stop()])
    machine.remove()
  })

  describe('plan', () => {
    it('tells each task, warmest first, and writes nothing', async () => {
      const { code, answer } = await machine.json('plan', '--config', CONFIG, '--limit', '2000')
      assertEquals(code, 0)
      assertEquals(answer.tasks[0], {
        task: 'films',
        key: 'film:{id}',
        priority: 100,
        kind: 'sql',
        value: 'hash',
        mode: 'overwrite',
        ttlMs: 3_600_000,
        keys: 2000,
        batches: 3,
        originRequests: 4,
        sample: ['film:1', 'film:2', 'film:3'],
        error: null,
      })
      const rest = answer.tasks.slice(1).map((task: Record<string, unknown>) => [task.task, task.keys, task.batches])
      assertEquals(rest, [
        ['titles', 25, 3],
        ['docs', 12, 1],
        ['users', 8, 1],
      ])
      assertEquals(await redis.dbsize(), 0)
    })

    it('counts origin requests as a run makes them', async () => {
      const plan = await machine.json('plan', '--config', CONFIG, '--count', '20')
      const run = await machine.json('run', '--config', CONFIG, '--count', '20')
      const requests = (tasks: { task: string; originRequests: number }[]) =>
        tasks.map((task) => [task.task, task.originRequests])
      assertEquals(requests(plan.answer.tasks), requests(run.answer.tasks))
    })

    it('needs no Redis', async () => {
      machine.env = { REDIS_URL: 'redis://127.0.0.1:1', DATABASE_URL: database.url }
      assertEquals((await machine.run('plan', '--config', CONFIG)).code, 0)
    })
  })

  describe('estimate', () => {
    const verdict = async (maxmemory: string) => {
      await redis.config('SET', 'maxmemory', maxmemory)
      const { code, answer } = await machine.json('estimate', 'films', '--config', CONFIG, '--limit', '100000')
      assertEquals(answer.keys, 100_000)
      return [code, answer.verdict]
    }

    it('says whether it fits', async () => {
      assertEquals(await verdict('0'), [0, 'no bound'])
      assertEquals(await verdict('1gb'), [0, 'fits'])
      assertEquals(await verdict('8mb'), [1, 'does not fit'])
      assertEquals(await redis.dbsize(), 0)
    })

    it('is near what Redis then takes', async () => {
      const before = await usedMemory(redis)
      const { answer } = await machine.json('estimate', 'films', '--config', CONFIG, '--limit', '100000')
      await machine.json('run', 'films', '--config', CONFIG, '--limit', '100000')
      const grown = (await usedMemory(redis)) - before
      assert(Math.abs(answer.bytes / grown - 1) < 0.25, `estimated ${answer.bytes}, grown by ${grown}`)
    })
  })

  describe('stats', () => {
    it('tells the last job, coverage, hit rate and memory', async () => {
      const fresh = await machine.json('stats', '--config', CONFIG)
      assertEquals(fresh.answer.coverage, 0)
      const run = await machine.json('run', '--config', CONFIG)
      await redis.del('doc:1', 'doc:2', 'doc:3')
      const { code, answer } = await machine.json('stats', '--config', CONFIG)
      assertEquals(code, 0)
      assertEquals(answer.lastJob, run.answer)
      const docs = answer.tasks.find((task: { task: string }) => task.task === 'docs')
      assertEquals(docs, { task: 'docs', checked: 12, present: 9, coverage: 0.75, error: null })
      assert(answer.redis.usedMemoryBytes > 0)
      assert(answer.redis.hitRate >= 0 && answer.redis.hitRate <= 1)
      assertEquals(answer.redis.evictedKeys, 0)
    })

    it('needs a Redis that outlives a run', async () => {
      machine.env = { DATABASE_URL: database.url }
      const { code, answer } = await machine.json('stats', '--config', CONFIG)
      assertEquals([code, answer.error.code], [2, 'CONFIG_INVALID'])
    })
  })

  describe('verify', () => {
    const verdicts = async (...args: string[]) => {
      const { code, answer } = await machine.json('verify', '--config', CONFIG, ...args)
      return { code, of: (name: string) => answer.tasks.find((task: { task: string }) => task.task === name) }
    }

    it('finds nothing after a run', async () => {
      await machine.json('run', '--config', CONFIG)
      for (const args of [[], ['--all'], ['--sample', '5']]) {
        const { code, of } = await verdicts(...args)
        assertEquals([code, of('films').error], [0, null])
        assertEquals(of('films').same, of('films').checked)
      }
      assertEquals((await verdicts('--sample', '5')).of('docs').checked, 5)
    })

    it('finds each kind of difference', async () => {
      await machine.json('run', '--config', CONFIG)
      await redis.del('film:1')
      await redis.hset('film:2', 'title', 'Another')
      await redis.hset('film:3', 'more', 'x')
      await redis.persist('film:4')
      await redis.pexpire('film:5', 100_000_000)
      await redis.set('film:6', 'text', 'PX', 1000_000)
      await redis.hset('film:999', 'id', '999')
      await redis.set('film:999:other', 'not of this template')
      await redis.set('title:7', 'Title 7 ', 'PX', 1000_000)
      // The same JSON in another order is no difference.
      await redis.set('doc:1', '{"name":"Doc 1","twice":2,"id":1}', 'PX', 1000)
      await redis.pexpire('doc:1', 500_000)
      const { code, of } = await verdicts('--all')
      assertEquals(code, 1)
      const { checked, same, missing, different, expired, extra, examples } = of('films')
      assertEquals(
        { checked, same, missing, different, expired, extra },
        {
          checked: 30,
          same: 24,
          missing: 1,
          different: 5,
          expired: 0,
          extra: 1,
        },
      )
      assertEquals(examples.missing, ['film:1'])
      assertEquals(examples.different, ['film:2', 'film:3', 'film:4', 'film:5', 'film:6'])
      assertEquals(examples.extra, ['film:999'])
      assertEquals(of('titles').examples.different, ['title:7'])
      assertEquals(of('docs').same, 12)
    })

    it('looks for extra keys only with --all', async () => {
      await machine.json('run', '--config', CONFIG)
      await redis.hset('film:999', 'id', '999')
      assertEquals((await verdicts()).code, 0)
    })

    it('tells an expired key from a missing one by the last job', async () => {
      const { answer } = await machine.json('run', 'brief', '--config', SLOW)
      assertEquals(answer.keys.written, 3)
      while ((await redis.exists('brief:1', 'brief:2', 'brief:3')) > 0) await Bun.sleep(20)
      const { code, answer: seen } = await machine.json('verify', 'brief', '--config', SLOW)
      assertEquals([code, seen.tasks[0].expired, seen.tasks[0].missing], [1, 3, 0])
    })

    it('says so in words', async () => {
      const { code, stdout } = await machine.run('verify', 'users', '--config', CONFIG)
      assertEquals(code, 1)
      assertMatch(stdout, /^Redis and the origin differ\n/)
      assertMatch(stdout, /\nusers: missing: user:1\n/)
    })
  })
})

async function usedMemory(redis: Redis): Promise<number> {
  return Number(/^used_memory:(\d+)/m.exec(await redis.info('memory'))?.[1])
}
