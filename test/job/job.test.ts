import { describe, it } from 'node:test'
import { assert, assertEquals, assertNotEquals, assertThrows } from '@std/assert'
import { PrewarmError } from '../../src/errors.ts'
import { Job } from '../../src/job/job.ts'
import { Lane } from '../../src/job/lane.ts'
import { traceIdOf } from '../../src/job/trace.ts'
import { FakeClock } from '../fakes/clock.ts'
import { keys, loadTask } from '../fakes/tasks.ts'
import { reportOf } from '../fakes/worker.ts'
import { failure } from './lane-model.ts'

const traceId = '4bf92f3577b34da6a3ce929d0e0e4736'

function jobOf(...planned: number[]) {
  const clock = new FakeClock(Date.UTC(2024, 0, 2, 3, 4, 5, 678))
  const job = new Job({ id: 'job-1', traceId, clock })
  const lanes = planned.map((count, at) => {
    const task = { ...loadTask(), name: `t${at}` }
    const base = { params: {}, batchSize: 100, batchDelayMs: 0, backoffBaseMs: 1, random: () => 0, clock }
    const lane = new Lane({ ...base, task, priority: 10 - at })
    job.lanes.push(lane)
    lane.open({ kind: 'keys', keys: keys(count), failures: [] })
    return lane
  })
  return { clock, job, lanes }
}

/** The lane's only batch ends: `failed` of its keys went wrong. */
function finish(lane: Lane | undefined, count: number, failed = 0): void {
  assert(lane !== undefined)
  const counted = { ...reportOf(count).keys, written: count - failed, failed }
  const firstError = failed > 0 ? failure('ORIGIN_NO_VALUE') : null
  lane.settle(lane.take(), {
    status: 'done',
    report: reportOf(count, { keys: counted, firstError, readNs: 5e6, writeNs: 1e6 }),
  })
}

describe('Job', () => {
  it('status is queued, then running, then what the result says', () => {
    const { job, lanes } = jobOf(4, 4)
    assertEquals(job.status, 'queued')
    finish(lanes[0], 4)
    assertEquals(job.status, 'running')
    finish(lanes[1], 4, 4)
    job.end(1)
    assertEquals(job.status, 'partial')
  })

  it('end sums the tasks up', () => {
    const { clock, job, lanes } = jobOf(4, 6)
    clock.tick(1500)
    finish(lanes[0], 4)
    clock.tick(500)
    finish(lanes[1], 6, 1)
    const result = job.end(1)
    assertEquals([result.jobId, result.traceId, result.status], ['job-1', traceId, 'partial'])
    assertEquals([result.startedAt, result.endedAt], ['2024-01-02T03:04:05.678Z', '2024-01-02T03:04:07.678Z'])
    assertEquals([result.durationNs, result.keys.planned, result.keys.written, result.keys.failed], [2e9, 10, 9, 1])
    assertEquals([result.latencyNs.max, result.coverage], [6e6, 0.9])
    assertEquals(
      result.tasks.map(({ task, priority, status, durationNs, originRequests, firstError }) => [
        ...[task, priority, status, durationNs, originRequests, firstError?.code],
      ]),
      [
        ['t0', 10, 'success', 1.5e9, 1, undefined],
        ['t1', 9, 'partial', 2e9, 1, 'ORIGIN_NO_VALUE'],
      ],
    )
    assertEquals(JSON.parse(JSON.stringify(result)), result)
  })

  it('end takes off the coverage what is no longer there', () => {
    const { job, lanes } = jobOf(4)
    finish(lanes[0], 4, 2)
    assertEquals(job.end(0.5).coverage, 0.25)
  })

  it('end of a job without keys covers all there was, unless it failed', () => {
    const { job } = jobOf(0)
    assertEquals([job.end(1).status, job.result?.coverage], ['success', 1])
    const broken = jobOf()
    const { clock } = broken
    const base = { params: {}, batchSize: 1, batchDelayMs: 0, backoffBaseMs: 1, random: () => 0, clock }
    const lane = new Lane({ ...base, task: loadTask(), priority: 0 })
    broken.job.lanes.push(lane)
    lane.fail(failure('ORIGIN_UNREACHABLE'))
    assertEquals([broken.job.end(1).status, broken.job.result?.coverage], ['failed', 0])
  })

  it('end tells how many keys another job had', () => {
    const { job, lanes } = jobOf(0)
    ;(lanes[0] as Lane).deduplicated = 7
    const { status, tasks, coverage } = job.end(1)
    assertEquals([status, tasks[0]?.deduplicated, coverage], ['skipped', 7, 1])
  })

  it('result stays as it is, whatever becomes of the lanes', () => {
    const { job, lanes } = jobOf(2)
    finish(lanes[0], 2)
    const before = structuredClone(job.end(1))
    lanes[0]?.tally.give('failed', 5, failure('INTERNAL'))
    assertEquals(job.result, before)
  })
})

describe('traceIdOf', () => {
  it('traceIdOf keeps a good one, and makes one where none is given', () => {
    assertEquals(traceIdOf(traceId), traceId)
    const [one, two] = [traceIdOf(undefined), traceIdOf(undefined)]
    assert(/^[0-9a-f]{32}$/.test(one))
    assertNotEquals(one, two)
  })

  it('traceIdOf refuses what W3C refuses', () => {
    for (const bad of ['', '0'.repeat(32), traceId.toUpperCase(), traceId.slice(1), `${traceId}0`, 'g'.repeat(32)])
      assertEquals(assertThrows(() => traceIdOf(bad), PrewarmError).code, 'USAGE')
  })
})
