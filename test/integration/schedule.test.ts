import { after, before, beforeEach, describe, it } from 'node:test'
import { assert, assertEquals } from '@std/assert'
import type { Redis } from 'ioredis'
import { RedisLocks } from '../../src/coordination/lock.ts'
import { RedisScheduleStore } from '../../src/coordination/schedule-store.ts'
import type { Commands, Locks } from '../../src/coordination/types.ts'
import { EventLog } from '../../src/events/event-log.ts'
import { Scheduler } from '../../src/schedule/scheduler.ts'
import { MemoryLocks } from '../fakes/locks.ts'
import { configWith, FakeSubmit } from '../schedule/support.ts'
import { clock, looker, until, withInstances } from '../support/coordination.ts'
import { type RedisServer, startRedisServer } from '../support/servers.ts'

const TIMEOUT = { timeout: 60_000 }
const YEARLY = { cron: '0 0 1 1 *', tasks: ['films'], catchUp: true }

/** Tells which due times were noted. */
class NotingStore extends RedisScheduleStore {
  readonly noted: string[] = []

  override async noteRun(name: string, run: { at: string; status: string; jobId: string | null }): Promise<void> {
    this.noted.push(run.at)
    await super.noteRun(name, run)
  }
}

interface Instance {
  store: NotingStore
  scheduler: Scheduler
  warmer: FakeSubmit
  events: EventLog
}

function instanceOf(commands: Commands, schedules: Parameters<typeof configWith>[0], own?: Locks): Instance {
  const config = configWith(schedules)
  const warmer = new FakeSubmit(clock)
  const events = new EventLog({ clock })
  const store = new NotingStore({ commands })
  const scheduler = new Scheduler({
    config: () => config,
    store,
    locks: own ?? new RedisLocks({ commands, clock }),
    submit: warmer.submit,
    predict: async () => [],
    events,
    clock,
    random: Math.random,
  })
  return { scheduler, warmer, events, store }
}

describe('schedulers on one Redis', () => {
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

  /** Gives `work` three of them; afterwards they are stopped, and their jobs ended. */
  async function withThree(
    schedules: Parameters<typeof configWith>[0],
    work: (instances: Instance[]) => Promise<void>,
    ownLocks = false,
  ): Promise<void> {
    await withInstances(server.url, 3, async (connections) => {
      const three = connections.map((commands) =>
        instanceOf(commands, schedules, ownLocks ? new MemoryLocks() : undefined),
      )
      try {
        await work(three)
      } finally {
        for (const { scheduler, warmer } of three) {
          await scheduler.stop()
          for (const job of warmer.jobs) job.end()
          await scheduler.settled()
        }
      }
    })
  }
  const jobsOf = (instances: Instance[]) => instances.flatMap(({ warmer }) => warmer.jobs)
  const skipsOf = (instances: Instance[]) =>
    instances.flatMap(({ events }) =>
      events.since(0).events.flatMap(({ event }) => (event.type === 'schedule_skipped' ? [event] : [])),
    )
  /** As if it had last run long ago, so that each of the three wants to run it as soon as it starts. */
  async function missed(name: string): Promise<void> {
    await withInstances(server.url, 1, async ([commands]) => {
      const store = new RedisScheduleStore({ commands: commands as Commands })
      const state = { paused: false, lastRunAt: '2001-01-01T00:00:00.000Z', lastStatus: 'success', lastJobId: null }
      const spec = { cron: '0 0 1 1 *', timeZone: 'UTC', predictive: false, jitterMs: 0, catchUp: true }
      await store.save({ name, spec, origin: 'config', ...state })
    })
  }

  it('one due time is one job and two skips, which say who holds the lock', TIMEOUT, async () => {
    await missed('yearly')
    await withThree({ yearly: YEARLY }, async (three) => {
      for (const { warmer } of three) warmer.hold = true
      await Promise.all(three.map(({ scheduler }) => scheduler.start()))
      await until(() => jobsOf(three).length + skipsOf(three).length >= 3)
      const [job] = jobsOf(three)
      const skip = { type: 'schedule_skipped', schedule: 'yearly', reason: 'locked', holder: job?.traceId as string }
      assertEquals([jobsOf(three).length, skipsOf(three)], [1, [skip, skip] as ReturnType<typeof skipsOf>])
      const fence = job?.request.fence
      assertEquals(await redis.get(fence?.key as string), String(fence?.token))
      assertEquals(await redis.exists('cache:warmup:lock:yearly'), 1)
      job?.end('partial')
      await until(async () => (await redis.exists('cache:warmup:lock:yearly')) === 0)
      for (const { scheduler } of three) {
        const [view] = await scheduler.list()
        assertEquals([view?.lastStatus, view?.lastJobId], ['partial', job?.id])
        assert((view?.lastRunAt as string) > '2001-01-01')
      }
    })
  })

  it('one that comes when the run is done skips, too', TIMEOUT, async () => {
    await missed('yearly')
    await withThree({ yearly: YEARLY }, async (three) => {
      for (const { scheduler } of three) {
        await scheduler.start()
        await scheduler.settled()
      }
      await until(async () => (await redis.exists('cache:warmup:lock:yearly')) === 0)
      assertEquals(jobsOf(three).length, 1)
    })
  })

  it(
    'each with a lock of its own, they would all run it: it is the lock that keeps them from it',
    TIMEOUT,
    async () => {
      await missed('yearly')
      const work = async (three: Instance[]) => {
        for (const { warmer } of three) warmer.hold = true
        await Promise.all(three.map(({ scheduler }) => scheduler.start()))
        await until(() => jobsOf(three).length === 3)
      }
      await withThree({ yearly: YEARLY }, work, true)
    },
  )

  it('every second, each due time is run once, by whichever comes first', TIMEOUT, async () => {
    await withThree({ often: { interval: '1s', tasks: ['users'], jitter: '200ms' } }, async (three) => {
      await Promise.all(three.map(({ scheduler }) => scheduler.start()))
      await until(() => jobsOf(three).length >= 4)
      await Promise.all(three.map(({ scheduler }) => scheduler.stop()))
      await Promise.all(three.map(({ scheduler }) => scheduler.settled()))
      const noted = three.flatMap(({ store }) => store.noted)
      assertEquals([new Set(noted).size, noted.length], [noted.length, jobsOf(three).length])
      const tokens = jobsOf(three).map(({ request }) => request.fence?.token)
      assertEquals(new Set(tokens).size, tokens.length)
    })
  })

  it('one that is registered is there for the others, and for those that start later', TIMEOUT, async () => {
    await withThree({}, async ([first, second, third]) => {
      await first?.scheduler.start()
      await first?.scheduler.add('often', { intervalMs: 3_600_000, tags: ['catalog'], params: { days: 2 } })
      await second?.scheduler.start()
      await second?.scheduler.pause('often')
      const [view] = (await third?.scheduler.list()) ?? []
      assertEquals([view?.name, view?.paused, view?.spec.params], ['often', true, { days: 2 }])
      const job = await third?.scheduler.runNow('often', 'b'.repeat(32))
      await third?.scheduler.settled()
      assertEquals((await first?.scheduler.list())?.[0]?.lastJobId, job?.id)
      await first?.scheduler.remove('often')
      assertEquals(await third?.scheduler.list(), [])
      assertEquals(await redis.exists('cache:warmup:lock:often'), 0)
    })
  })
})
