import { after, before, beforeEach, describe, it } from 'node:test'
import { assert, assertEquals } from '@std/assert'
import type { Redis } from 'ioredis'
import { RedisJobLog } from '../../src/coordination/job-log.ts'
import { RedisLocks } from '../../src/coordination/lock.ts'
import { EVENTS_CHANNEL, publishEvents } from '../../src/coordination/publisher.ts'
import type { RedisCommands } from '../../src/coordination/redis-commands.ts'
import { RedisScheduleStore } from '../../src/coordination/schedule-store.ts'
import { RedisSharedRate } from '../../src/coordination/shared-rate.ts'
import { EventLog } from '../../src/events/event-log.ts'
import { ended, jobRecord } from '../contract/job-log.contract.ts'
import { clock, looker, sleep, until, withInstances } from '../support/coordination.ts'
import { type RedisServer, startRedisServer } from '../support/servers.ts'

const TIMEOUT = { timeout: 60_000 }

describe('instances on one Redis', () => {
  let server: RedisServer
  let redis: Redis
  before(async () => {
    server = await startRedisServer()
    redis = looker(server.url)
  }, TIMEOUT)
  beforeEach(() => redis.flushall())
  after(async () => {
    redis.disconnect()
    await server.stop()
  }, TIMEOUT)

  it(
    'that race 50 times for one lock have it one at a time, with growing fences, also when Redis is emptied',
    TIMEOUT,
    async () => {
      await withInstances(server.url, 2, async (instances) => {
        const locks = instances.map((commands) => new RedisLocks({ commands, clock }))
        let last = 0
        for (let round = 0; round < 50; round++) {
          const attempts = await Promise.all([0, 1, 2, 3].map((at) => locks[at % 2]?.acquire('race', `t${at}`)))
          const got = attempts.flatMap((attempt) => (attempt?.held ? [attempt.lock] : []))
          assertEquals(got.length, 1, `round ${round}`)
          const [lock] = got
          assert(lock !== undefined && lock.fence.token > last)
          last = lock.fence.token
          // Emptied while it is held, and while it is not.
          if (round % 10 === 3) await redis.flushall()
          await lock.release()
          if (round % 10 === 7) await redis.flushall()
        }
      })
    },
  )

  it('leave a lock with a TTL and its fence without one, under the documented keys', TIMEOUT, async () => {
    await withInstances(server.url, 1, async ([commands]) => {
      const locks = new RedisLocks({ commands: commands as RedisCommands, clock })
      for (const [name, end] of [
        ['warmup', ''],
        ['daily', ':daily'],
      ] as const) {
        const attempt = await locks.acquire(name, 'a:trace')
        assert(attempt.held)
        assert((await redis.get(`cache:warmup:lock${end}`))?.startsWith('a:trace:'))
        const ttlMs = await redis.pttl(`cache:warmup:lock${end}`)
        assert(ttlMs > 0 && ttlMs <= 30_000, `the TTL is ${ttlMs}`)
        assertEquals(await redis.pttl(`cache:warmup:fence${end}`), -1)
        assertEquals(Number(await redis.get(`cache:warmup:fence${end}`)), attempt.lock.fence.token)
        await attempt.lock.release()
        assertEquals(await redis.exists(`cache:warmup:lock${end}`), 0)
      }
    })
  })

  it('adopt each job of a dead instance once, and none of one that lives', TIMEOUT, async () => {
    await withInstances(server.url, 4, async (connections) => {
      const [alive, dead, ...heirs] = connections.map(
        (commands, at) => new RedisJobLog({ commands, clock, instance: `i${at}` }),
      ) as [RedisJobLog, RedisJobLog, ...RedisJobLog[]]
      for (const log of [alive, ...heirs]) await log.start()
      const ids = Array.from({ length: 30 }, (_, at) => `j${at}`)
      await alive.begin(jobRecord('lives', { instance: 'i0' }))
      for (const id of ids) await dead.begin(jobRecord(id, { instance: 'i1' }))
      await dead.end(ended(jobRecord('j0', { instance: 'i1' })))
      const adopted = await Promise.all(heirs.flatMap((log) => [log.adopt(), log.adopt()]))
      assertEquals(
        adopted
          .flat()
          .map(({ id }) => id)
          .sort(),
        ids.slice(1).sort(),
      )
      assert(adopted.flat().every(({ instance }) => instance === 'i2' || instance === 'i3'))
      assertEquals((await Promise.all([alive, ...heirs].map((log) => log.adopt()))).flat(), [])

      // The one that was thought dead comes back: what is another's by now it does not change.
      await dead.end(ended(jobRecord('j1', { instance: 'i1' })))
      assertEquals((await alive.get('j1'))?.status, 'running')
      const heir = heirs[(adopted[0] ?? []).concat(adopted[1] ?? []).some(({ id }) => id === 'j1') ? 0 : 1]
      await heir?.end(ended(jobRecord('j1')))
      assertEquals((await alive.get('j1'))?.status, 'success')
      for (const log of [alive, ...heirs]) await log.stop()
      assertEquals(await redis.keys('prewarm:instance:*'), [])
    })
  })

  it('adopt their own jobs from before a restart, and not those that they run', TIMEOUT, async () => {
    await withInstances(server.url, 2, async ([a, b]) => {
      const before = new RedisJobLog({ commands: a as RedisCommands, clock, instance: 'same' })
      await before.start()
      await before.begin(jobRecord('old'))
      // Crashed: its heartbeat is still there.
      const again = new RedisJobLog({ commands: b as RedisCommands, clock, instance: 'same' })
      await again.start()
      await again.begin(jobRecord('new'))
      assertEquals(
        (await again.adopt()).map(({ id }) => id),
        ['old'],
      )
      assertEquals(await again.adopt(), [])
      // A late stop of the former process does not take the heartbeat of the new one away.
      await before.stop()
      const ttlMs = await redis.pttl('prewarm:instance:same')
      assert(ttlMs > 0 && ttlMs <= 15_000, `the TTL is ${ttlMs}`)
      await again.stop()
      assertEquals(await redis.exists('prewarm:instance:same'), 0)
    })
  })

  it('keep at most 200 jobs in Redis', TIMEOUT, async () => {
    await withInstances(server.url, 1, async ([commands]) => {
      const log = new RedisJobLog({ commands: commands as RedisCommands, clock, instance: 'i' })
      for (let at = 0; at < 230; at++) await log.begin(jobRecord(`j${at}`))
      const [order, records, running] = await Promise.all([
        redis.zcard('prewarm:jobs'),
        redis.hlen('prewarm:jobs:records'),
        redis.hlen('prewarm:jobs:running'),
      ])
      assertEquals([order, records, running], [200, 200, 200])
    })
  })

  it('leave out a record that can’t be read', TIMEOUT, async () => {
    await withInstances(server.url, 1, async ([commands]) => {
      const log = new RedisJobLog({ commands: commands as RedisCommands, clock, instance: 'i' })
      await log.begin(jobRecord('good'))
      await log.begin(jobRecord('bad'))
      await redis.hset('prewarm:jobs:records', 'bad', '{')
      assertEquals([(await log.list()).map(({ id }) => id), await log.get('bad')], [['good'], null])
      const store = new RedisScheduleStore({ commands: commands as RedisCommands })
      await redis.hset('prewarm:schedules', 'bad', '{', 'bad:run', '[')
      assertEquals(await store.load(), [])
    })
  })

  it('note runs of one schedule at once and keep the latest', TIMEOUT, async () => {
    await withInstances(server.url, 2, async (connections) => {
      const stores = connections.map((commands) => new RedisScheduleStore({ commands }))
      const spec = { cron: '* * * * *', timeZone: 'UTC', predictive: false, jitterMs: 0, catchUp: false }
      const rest = { origin: 'custom', paused: false, lastRunAt: null, lastStatus: null, lastJobId: null } as const
      await stores[0]?.save({ name: 'a', spec, ...rest })
      const times = Array.from({ length: 20 }, (_, at) => `2026-11-21T10:${10 + at}:00.000Z`)
      await Promise.all(
        [...times].reverse().map((at, n) => stores[n % 2]?.noteRun('a', { at, status: 'success', jobId: at })),
      )
      const [record] = (await stores[1]?.load()) ?? []
      assertEquals([record?.lastRunAt, record?.lastJobId], [times.at(-1), times.at(-1)])
    })
  })

  it('share one rate: together they get no more than it, and not much less', TIMEOUT, async () => {
    const rps = 200
    await withInstances(server.url, 3, async (connections) => {
      const rates = connections.map((commands) => new RedisSharedRate({ commands, clock, maxRps: () => rps }))
      const serverUs = async () => {
        const [seconds, micros] = await redis.time()
        return Number(seconds) * 1e6 + Number(micros)
      }
      const beganUs = await serverUs()
      let granted = 0
      await Promise.all(
        rates.map(async (rate) => {
          for (let round = 0; round < 60; round++) {
            const lease = await rate.lease(1 + (round % 7))
            assert(lease !== null && lease.granted > 0 === (lease.retryInMs === 0), JSON.stringify(lease))
            granted += lease.granted
            if (lease.granted === 0) await sleep(lease.retryInMs)
          }
        }),
      )
      const seconds = ((await serverUs()) - beganUs) / 1e6
      const most = rps / 10 + rps * seconds
      assert(granted <= most + 0.01, `${granted} granted, ${most} at most`)
      assert(granted > 60, `${granted} granted`)
      const ttlMs = await redis.pttl('prewarm:origin:rate')
      assert(ttlMs > 0 && ttlMs < 5000, `the TTL is ${ttlMs}`)
    })
  })

  it('share a rate below one a second, and take over a rate that is changed', TIMEOUT, async () => {
    await withInstances(server.url, 1, async ([commands]) => {
      let rps = 0.5
      const rate = new RedisSharedRate({ commands: commands as RedisCommands, clock, maxRps: () => rps })
      assertEquals((await rate.lease(5))?.granted, 1)
      const none = await rate.lease(5)
      assert(none?.granted === 0 && none.retryInMs > 1000 && none.retryInMs <= 2000, JSON.stringify(none))
      rps = 100_000
      await sleep(150) // 10,000 are there after 100 ms, and no more
      assertEquals((await rate.lease(20_000))?.granted, 10_000)
      assertEquals((await rate.lease(0))?.granted, 0)
    })
  })

  it('publish their events in order, as JSON with who and when', TIMEOUT, async () => {
    await withInstances(server.url, 2, async ([from, to]) => {
      const events = new EventLog({ clock })
      const heard: Record<string, unknown>[] = []
      await (to as RedisCommands).subscribe(EVENTS_CHANNEL, (message) => heard.push(JSON.parse(message)))
      const stop = publishEvents({ events, commands: from as RedisCommands, clock, instance: 'here' })
      for (let at = 0; at < 350; at++) events.emit({ type: 'emergency_resume', by: at % 2 === 0 ? 'hand' : 'origin' })
      await stop()
      await until(() => heard.length === 350)
      assertEquals(
        heard.map(({ id }) => id),
        Array.from({ length: 350 }, (_, at) => at + 1),
      )
      assertEquals(heard[1], {
        id: 2,
        at: events.since(1).events[0]?.at,
        instance: 'here',
        type: 'emergency_resume',
        by: 'origin',
      })
      events.emit({ type: 'emergency_resume', by: 'hand' })
      await stop()
      assertEquals(heard.length, 350)
    })
  })
})
