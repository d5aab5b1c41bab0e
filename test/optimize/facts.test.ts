import { describe, it } from 'node:test'
import { assertEquals } from '@std/assert'
import { type ConfigDefinition, load } from '../../src/config/define.ts'
import type { JobRecord } from '../../src/coordination/types.ts'
import { type Evidence, factsOf } from '../../src/optimize/facts.ts'
import { BUCKET_SIZES, readsByTask } from '../../src/optimize/reads.ts'
import { gapsOf } from '../../src/optimize/warmed-by.ts'
import { bucketKey, bucketOf } from '../../src/predict/buckets.ts'
import { declaredSchedules, specWithDefaults } from '../../src/schedule/spec.ts'
import { FakeCommands } from '../fakes/commands.ts'
import { resultOf, viewOf } from '../fakes/facade.ts'
import { configOf } from '../fakes/tasks.ts'
import { figures } from '../gain/support.ts'
import { HOUR, MINUTE } from './support.ts'

const NOW = Date.parse('2026-03-01T12:02:00.000Z')
const TASKS = {
  films: load({ key: 'film:{id}', ttl: '5m', priority: 9, params: { limit: 50 }, load: () => new Map() }),
  users: load({ key: 'user:{id}', mode: 'add', batchSize: 10, load: () => new Map() }),
}

function evidence(schedules: NonNullable<ConfigDefinition['schedules']>, over: Partial<Evidence> = {}): Evidence {
  const config = configOf(TASKS, { schedules })
  const views = [...declaredSchedules(config)].map(([name, spec]) => viewOf({ name, spec, origin: 'config' }))
  const byTask = new Map([['films', { reads: 300, readsPerHour: [60, 40] }]])
  const reads = { byTask, observedMs: 3 * HOUR, isPartial: false }
  return { config, views, reads, costs: new Map(), gain: figures(), jobs: [], nowMs: NOW, ...over }
}

function job(over: Partial<JobRecord> = {}): JobRecord {
  const result = resultOf('job-1', '', ['films'], 'success')
  return { id: 'job-1', schedule: null, request: {}, result, ...over } as JobRecord
}

describe('factsOf', () => {
  it('takes schedule, TTL, limit and priority from where they are said', () => {
    const of = (schedules: NonNullable<ConfigDefinition['schedules']>) => factsOf(evidence(schedules)).facts.tasks[0]
    const plain = of({ often: { interval: '15m', tasks: ['films'], jitter: '5s' } })
    assertEquals(
      [plain?.schedule, plain?.gapsMs, plain?.jitterMs, plain?.ttlMs, plain?.limit, plain?.priority, plain?.renews],
      ['often', [15 * MINUTE], 5000, 5 * MINUTE, 50, 9, true],
    )
    const own = of({ often: { interval: '15m', tasks: ['films'], limit: 20, priority: 3, params: { limit: 30 } } })
    assertEquals([own?.limit, own?.priority, own?.declaredPriority], [20, 3, 3])
    assertEquals(of({ often: { interval: '15m', tasks: ['films'], params: { limit: 10 } } })?.limit, 10)
    assertEquals([own?.takesLimit(1000), of({ a: { interval: '1m', tasks: ['users'] } })?.renews], [true, false])
  })

  it('knows what was declared of a schedule that another runs instead of', () => {
    const given = evidence({ often: { interval: '15m', tasks: ['films'], priority: 3 } })
    const spec = specWithDefaults({
      intervalMs: MINUTE,
      tasks: ['films'],
      priority: 13,
      ttlMs: HOUR,
      replaces: 'often',
    })
    const views = [{ ...(given.views[0] as never as object), paused: true }, viewOf({ name: 'optimized-films', spec })]
    const [facts] = factsOf({ ...given, views: views as never }).facts.tasks
    assertEquals(
      [facts?.schedule, facts?.priority, facts?.declaredPriority, facts?.ttlMs, facts?.fillTtlMs],
      ['optimized-films', 13, 3, HOUR, 5 * MINUTE],
    )
  })

  it('takes from the last run how much it warms, rather its own', () => {
    const schedules = { often: { interval: '15m', tasks: ['films'] } }
    const of = (...jobs: JobRecord[]) => {
      const [facts] = factsOf(evidence(schedules, { jobs })).facts.tasks
      return [facts?.warmed, facts?.isAssumed, facts?.requestsPerKey]
    }
    // Three keys, four requests.
    assertEquals(of(job()), [3, false, 4 / 3])
    const big = job({ schedule: 'often' })
    for (const task of big.result?.tasks ?? []) task.keys = { ...task.keys, planned: 40 }
    assertEquals(of(job(), big), [40, false, 0.1])
    // Runs that tell nothing of a whole one: then what is read counts, and batches as they are.
    const none = [2, true, 1 / 50]
    assertEquals(of(job({ request: { keys: ['film:1'] } })), none)
    assertEquals(of(job({ request: { count: 5 } })), none)
    assertEquals(of(job({ result: null })), none)
    assertEquals(of(job({ result: resultOf('', '', ['films'], 'cancelled') })), none)
    assertEquals(of(), none)
  })

  it('takes cost and waste from where they are measured', () => {
    const costs = new Map([['films', { loadMs: 2, bytes: null, keys: 9 }]])
    const byTask = new Map([['films', { warmed: 100, read: 40 }]])
    const gain = figures({ ended: { warmed: 100, read: 40, byTask } })
    const of = (over: Partial<Evidence>) => factsOf(evidence({ a: { interval: '1m' } }, over)).facts.tasks[0]
    assertEquals([of({ costs })?.loadMsPerKey, of({ gain })?.seen], [2, { warmed: 100, read: 40 }])
    assertEquals([of({})?.loadMsPerKey, of({})?.seen], [null, null])
    assertEquals(of({ gain: { ...gain, isObserved: false } })?.seen, null)
  })

  it('says of which nothing can be said', () => {
    const why = (given: Evidence) => factsOf(given).unchanged.map(({ task, reason }) => `${task}: ${reason}`)
    assertEquals(why(evidence({ a: { interval: '1m', tasks: ['films'] }, b: { cron: '@daily', tasks: ['films'] } })), [
      'films: several schedules warm it: a, b; leave it to one of them',
      'users: no schedule warms it',
    ])
    const given = evidence({ a: { interval: '1m', tasks: ['films'] }, b: { interval: '1m', predictive: true } })
    const views = given.views.map((view) => ({ ...view, paused: view.name === 'a' }))
    assertEquals(why({ ...given, views })[0], 'films: its schedule is paused: a')
  })
})

describe('gapsOf', () => {
  const of = (timing: { cron?: string; intervalMs?: number }) => new Set(gapsOf(specWithDefaults(timing), NOW))

  it('are the pauses between the next runs', () => {
    assertEquals(of({ intervalMs: 5 }), new Set([5]))
    assertEquals(of({ cron: '0 * * * *' }), new Set([HOUR]))
    assertEquals(of({ cron: '0 7,11,17 * * *' }), new Set([6 * HOUR, 14 * HOUR, 4 * HOUR]))
    assertEquals(of({ cron: '0 2 * * 1-5' }), new Set([24 * HOUR, 72 * HOUR]))
    assertEquals([of({ cron: '0 0 30 2 *' }), of({ cron: 'no' })], [new Set(), new Set()])
    assertEquals(gapsOf(specWithDefaults({ cron: '0 2 1 * *' }), NOW).length, 1)
  })
})

describe('readsByTask', () => {
  it('are those since the first bucket with a read, by the task whose key it is', async () => {
    const first = bucketOf(NOW) - 11
    const commands = new FakeCommands()
      .onScript(BUCKET_SIZES, (keys) => keys.map((key) => (key >= bucketKey(first) ? 3 : 0)))
      .on('ZREVRANGE', ([key]) => (key === bucketKey(first) ? ['film:1', '57', 'film:2', '114', 'other:1', '9'] : []))
      .on('ZREVRANGEBYSCORE', () => [])
    const { byTask, observedMs, isPartial } = await readsByTask(commands, configOf(TASKS).tasks, NOW)
    assertEquals([observedMs, isPartial], [57 * MINUTE, false])
    assertEquals([...byTask], [['films', { reads: 171, readsPerHour: [120, 60] }]])
  })

  it('may be a part, where buckets are full', async () => {
    const commands = new FakeCommands()
      .onScript(BUCKET_SIZES, (keys) => keys.map(() => 4000))
      .on('ZREVRANGE', () => ['film:1', '1'])
      .on('ZREVRANGEBYSCORE', () => [])
    assertEquals((await readsByTask(commands, configOf(TASKS).tasks, NOW)).isPartial, true)
  })

  it('are none where nobody told of any', async () => {
    const commands = new FakeCommands().onScript(BUCKET_SIZES, (keys) => keys.map(() => 0))
    const { byTask, observedMs } = await readsByTask(commands, configOf(TASKS).tasks, NOW)
    assertEquals([byTask.size, observedMs, commands.calls.length], [0, 0, 1])
  })
})
