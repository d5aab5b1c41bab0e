import { describe, it } from 'node:test'
import { assert, assertEquals, assertRejects } from '@std/assert'
import type { Task } from '../../src/config/task.ts'
import { PrewarmError } from '../../src/errors.ts'
import { tasksOfKeys } from '../../src/keyspace/known.ts'
import { type LoadCounts, type LoadOptions, loadEntries } from '../../src/snapshot/load.ts'
import type { JobRequest, JobResult } from '../../src/types.ts'
import { FakeClock } from '../fakes/clock.ts'
import { FakeJob, resultOf } from '../fakes/facade.ts'
import { loadTask } from '../fakes/tasks.ts'

const entriesOf = (count: number, prefix = 'k') =>
  Array.from({ length: count }, (_, at) => ({ key: `${prefix}:${at}`, score: count - at, ttlMs: null }))

/** A job's result in which `keys` ended so. */
function ended(status: JobResult['status'], keys: Partial<JobResult['keys']>, more: object = {}): JobResult {
  const result = resultOf('job', 'f'.repeat(32), ['one'], status)
  const all = { planned: 0, written: 0, skippedPresent: 0, skippedNewer: 0, failed: 0, unknown: 0, ...keys }
  const [task] = result.tasks
  const quiet = { deduplicated: 0, firstError: null }
  return { ...result, keys: all, tasks: [{ ...task, ...quiet, keys: all, ...more } as JobResult['tasks'][number]] }
}

/** Loads into a set of keys; `run` says what becomes of a job. */
class Desk {
  readonly clock = new FakeClock()
  readonly held = new Set<string>()
  readonly requests: JobRequest[] = []
  run: (keys: readonly string[], request: JobRequest) => Promise<JobResult> | JobResult = (keys) => {
    for (const key of keys) this.held.add(key)
    return ended('success', { planned: keys.length, written: keys.length })
  }

  load(count: number, options: Partial<LoadOptions> = {}, entries = entriesOf(count)) {
    const tasks: ReadonlyMap<string, Task> = new Map([['one', loadTask()]])
    return loadEntries(
      entries,
      {
        clock: this.clock,
        store: { ttlsMs: async (keys) => keys.map((key) => (this.held.has(key) ? 5000 : -2)) },
        tasksOf: (keys) => tasksOfKeys(tasks, keys),
        submit: (request) => {
          this.requests.push(request)
          const job = new FakeJob('job', request, ['one'])
          const result = (async () => this.run(request.keys ?? [], request))()
          return Object.assign(Object.create(job), { result })
        },
      },
      { timeoutMs: 60_000, ...options },
    )
  }
}

/** Every key is counted once. */
function assertWhole(counts: Readonly<LoadCounts>): void {
  const { keys, loaded, present, unmatched, failed, deduplicated, leftOut, left } = counts
  assertEquals(loaded + present + unmatched + failed + deduplicated + leftOut + left, keys)
}

describe('loading a snapshot', () => {
  it('warms the keys in their order, a job for each thousand', async () => {
    const desk = new Desk()
    const seen: number[] = []
    const request = { source: 'cli' as const }
    const end = await desk.load(2500, { request, onProgress: ({ left }) => seen.push(left) })
    assertEquals([end.ended, end.loaded, end.left, seen], ['all', 2500, 0, [1500, 500, 0]])
    assertEquals(
      desk.requests.map(({ keys, source }) => [keys?.length, keys?.[0], source]),
      [
        [1000, 'k:0', 'cli'],
        [1000, 'k:1000', 'cli'],
        [500, 'k:2000', 'cli'],
      ],
    )
    assertWhole(end)
    assertEquals(desk.clock.pending, 0, 'no timer is left')
  })

  it('makes at most a hundred jobs of a long list', async () => {
    const desk = new Desk()
    assertEquals((await desk.load(250_000)).loaded, 250_000)
    assertEquals(desk.requests.length, 100)
  })

  it('leaves alone what is there, and what no task has; where all is, no job is made', async () => {
    const desk = new Desk()
    for (let at = 0; at < 1000; at += 2) desk.held.add(`k:${at}`)
    const end = await desk.load(0, {}, [...entriesOf(1000), ...entriesOf(50, 'other')])
    assertEquals([end.loaded, end.present, end.unmatched], [500, 500, 50])
    assertEquals(
      desk.requests[0]?.keys?.every((key) => Number(key.slice(2)) % 2 === 1),
      true,
    )
    assertWhole(end)
    const again = await desk.load(1000)
    assertEquals([again.present, again.loaded, desk.requests.length], [1000, 0, 1])
  })

  it('says how far it came by its deadline, and goes on there', async () => {
    const desk = new Desk()
    const whole = desk.run
    let jobs = 0
    desk.run = (keys, request) => {
      if (++jobs < 3) return whole(keys, request)
      // Cut in the middle of its third job.
      return new Promise((resolve) => {
        request.signal?.addEventListener('abort', () => {
          for (const key of keys.slice(0, 400)) desk.held.add(key)
          resolve(ended('cancelled', { planned: 1000, written: 400, failed: 600 }))
        })
      })
    }
    const end = await desk.clock.until(desk.load(5000, { timeoutMs: 7000 }))
    assertEquals([end.ended, end.loaded, end.failed, end.left, end.durationMs], ['deadline', 2400, 0, 2600, 7000])
    assertWhole(end)
    assertEquals(desk.requests[0]?.timeoutMs, 8000, 'not the default bound of a job')
    desk.run = whole
    const again = await desk.load(5000)
    assertEquals([again.ended, again.present, again.loaded, again.left], ['all', 2400, 2600, 0])
  })

  it('ends when it is interrupted: between two jobs, in a job, or by somebody who cancels it', async () => {
    const abort = new AbortController()
    const desk = new Desk()
    const end = await desk.load(3000, { signal: abort.signal, onProgress: () => abort.abort() })
    assertEquals([end.ended, end.loaded, end.left, desk.requests.length], ['interrupted', 1000, 2000, 1])
    desk.run = () => ended('cancelled', { planned: 1000, written: 10, failed: 990 })
    const other = await desk.load(3000)
    assertEquals([other.ended, other.loaded, other.failed, other.left], ['interrupted', 10, 0, 1990])
    assertWhole(other)
  })

  it('counts what failed, and goes on', async () => {
    const desk = new Desk()
    const firstError = { code: 'ORIGIN_NO_VALUE', message: 'gone' } as const
    desk.run = (keys) =>
      ended(
        'partial',
        { planned: 990, written: 900, failed: 50, unknown: 10, skippedNewer: 20, skippedPresent: 10 },
        {
          deduplicated: keys.length - 990,
          firstError,
        },
      )
    const end = await desk.load(2000)
    assertEquals([end.loaded, end.failed, end.present, end.deduplicated], [1800, 120, 60, 20])
    assertEquals([end.ended, end.firstError, end.left], ['all', firstError, 0])
    assertWhole(end)
    // A task that has no plan tells of no key.
    desk.run = () => ended('failed', {}, { firstError })
    const broken = await desk.load(100)
    assertEquals([broken.failed, broken.left], [100, 0])
  })

  it('ends where Redis has no room, and says what it left out', async () => {
    const desk = new Desk()
    let jobs = 0
    desk.run = (keys) =>
      ++jobs === 1
        ? ended('partial', { planned: 300, written: 300 }, { leftOut: keys.length - 300 })
        : ended('failed', {}, { leftOut: keys.length })
    const end = await desk.load(5000)
    assertEquals([end.ended, end.loaded, end.leftOut, end.left, jobs], ['full', 300, 4700, 0, 2])
    assertWhole(end)
  })

  it('throws where Redis can not be asked; a warmer that was stopped has interrupted it', async () => {
    const desk = new Desk()
    desk.run = () => Promise.reject(new PrewarmError('STORE_UNREACHABLE', 'away'))
    await assertRejects(() => desk.load(10), PrewarmError, 'away')
    desk.run = () => Promise.reject(new PrewarmError('STOPPED', 'stopped'))
    assertEquals((await desk.load(10)).ended, 'interrupted')
    assert(desk.clock.pending === 0)
  })
})
