import { describe, it } from 'node:test'
import { assert, assertEquals } from '@std/assert'
import fc from 'fast-check'
import { Lane } from '../../src/job/lane.ts'
import type { TaskPlan } from '../../src/job/plan.ts'
import { FakeClock } from '../fakes/clock.ts'
import { httpTask, keys } from '../fakes/tasks.ts'
import { reportOf } from '../fakes/worker.ts'
import { check } from '../support/property.ts'
import { failure, LaneModel, steps } from './lane-model.ts'

const keyPlan = (count: number, bad = 0): TaskPlan => ({
  kind: 'keys',
  keys: keys(count),
  failures: Array.from({ length: bad }, () => failure('KEY_INVALID')),
})

const rangePlan = (sizes: number[]): TaskPlan => ({
  kind: 'ranges',
  ranges: sizes.map((rows) => ({ range: { from: null, to: null, limit: null }, rows })),
  total: sizes.reduce((sum, rows) => sum + rows, 0),
})

const stream: TaskPlan = { kind: 'stream', limit: null, guess: null }

function sumOf({ counts }: LaneModel): number {
  return counts.written + counts.skippedPresent + counts.skippedNewer + counts.failed + counts.unknown
}

const retries = fc.integer({ min: 0, max: 3 })

describe('Lane', () => {
  it('lane of keys always ends, with every key in exactly one outcome, whatever becomes of its batches', () => {
    const property = fc.property(fc.nat(60), fc.nat(3), retries, steps({ stops: true }), (count, bad, tries, all) => {
      const model = new LaneModel(keyPlan(count, bad), { retries: tries })
      for (const step of all) model.step(step)
      assert(model.finish(), 'it did not end')
      assertEquals(model.counts.planned, count + bad)
      assertEquals(sumOf(model), count + bad)
    })
    check(property, 2000)
  })

  it('lane of ranges always ends, with every planned row in exactly one outcome', () => {
    const sizes = fc.array(fc.integer({ min: 1, max: 20 }), { maxLength: 8 })
    const property = fc.property(sizes, retries, steps({ stops: true }), (given, tries, all) => {
      const model = new LaneModel(rangePlan(given), { retries: tries })
      for (const step of all) model.step(step)
      assert(model.finish(), 'it did not end')
      assertEquals(
        model.counts.planned,
        given.reduce((sum, rows) => sum + rows, 0),
      )
      assertEquals(sumOf(model), model.counts.planned)
    })
    check(property, 2000)
  })

  it('lane of a stream always ends, however often it starts again; a success counts each row once', () => {
    const property = fc.property(fc.nat(60), retries, steps({ stops: true }), (rows, tries, all) => {
      const model = new LaneModel(stream, { retries: tries, streamRows: rows })
      for (const step of all) model.step(step)
      assert(model.finish(), 'it did not end')
      assertEquals(sumOf(model), model.counts.planned)
      const status = model.lane.tally.status(0, model.lane.stoppedBy)
      if (status === 'success') assertEquals(model.counts.written, rows)
      assert(model.counts.planned <= rows, `${model.counts.planned} of ${rows}`)
    })
    check(property, 2000)
  })

  it('lane tells no error of a job that went well in the end', () => {
    const property = fc.property(fc.nat(60), steps({ stops: false }), fc.boolean(), (rows, all, isStream) => {
      const model = new LaneModel(isStream ? stream : keyPlan(rows), { retries: 20, streamRows: rows })
      for (const step of all) model.step(step)
      assert(model.finish(), 'it did not end')
      if (model.lane.tally.status(0, null) === 'success') assertEquals(model.lane.tally.firstError, null)
    })
    check(property, 1000)
  })

  it('take gives the keys in order, in batches of the size asked for', () => {
    const model = new LaneModel(keyPlan(10), { batchSize: 4 })
    while (model.lane.waitMs === 0) model.take()
    assertEquals(
      model.sent.map(({ unit }) => unit.work.kind === 'keys' && unit.work.keys),
      [
        ['k:1', 'k:2', 'k:3', 'k:4'],
        ['k:5', 'k:6', 'k:7', 'k:8'],
        ['k:9', 'k:10'],
      ],
    )
  })

  it('take pauses between batches as long as asked', () => {
    const model = new LaneModel(keyPlan(10), { batchSize: 4, batchDelayMs: 200 })
    model.take()
    assertEquals(model.lane.waitMs, 200)
    model.clock.tick(150)
    assertEquals(model.lane.waitMs, 50)
    model.clock.tick(50)
    assertEquals(model.lane.waitMs, 0)
  })

  it('settle tries a batch again after a pause that doubles, as often as the task says', () => {
    const model = new LaneModel(keyPlan(3), { retries: 2 })
    for (const pauseMs of [50, 100]) {
      model.take()
      model.end(0, 'retryable', 0)
      assertEquals(model.lane.waitMs, pauseMs)
      model.clock.tick(pauseMs)
    }
    model.take()
    model.end(0, 'retryable', 0)
    assert(model.lane.isEnded)
    assertEquals(model.counts.failed, 3)
  })

  it('settle counts as unknown what a lost worker was writing when no try is left', () => {
    const model = new LaneModel(keyPlan(7), { retries: 0 })
    model.take()
    model.lane.settle(model.sent[0]?.unit as never, { status: 'lost', failure: failure('WORKER_LOST'), keys: 5 })
    assertEquals([model.counts.unknown, model.counts.failed], [5, 2])
  })

  it('stop leaves what is on its way to be counted, and begins nothing', () => {
    const model = new LaneModel(keyPlan(20), { batchSize: 5 })
    model.take()
    model.lane.stop(failure('JOB_CANCELLED'))
    assertEquals([model.lane.isEnded, model.lane.waitMs], [false, null])
    model.end(0, 'done', 0)
    assertEquals([model.lane.isEnded, model.counts.written, model.counts.failed], [true, 5, 15])
  })

  it('stop before there is a plan is no success', () => {
    for (const code of ['JOB_TIMEOUT', 'JOB_CANCELLED', 'STOPPED'] as const) {
      const model = new LaneModel(keyPlan(3))
      const { clock } = model
      const task = model.lane.task
      const base = { priority: 0, params: {}, batchSize: 7, batchDelayMs: 0, backoffBaseMs: 100, random: () => 0.5 }
      const lane = new Lane({ task, ...base, clock })
      lane.stop(failure(code))
      lane.open(keyPlan(3))
      assert(lane.isEnded)
      assertEquals(lane.tally.status(0, lane.stoppedBy), code === 'JOB_TIMEOUT' ? 'failed' : 'cancelled')
    }
  })

  it('nextCost is what the batch costs that take then gives', () => {
    const clock = new FakeClock()
    const base = { priority: 0, params: {}, batchDelayMs: 0, backoffBaseMs: 100, random: () => 0.5 }
    const lane = new Lane({ task: httpTask({ retries: 3 }), ...base, batchSize: 10, clock })
    lane.open(keyPlan(25))
    const first = lane.take()
    lane.settle(first, {
      status: 'done',
      report: reportOf(9, { retryKeys: ['k:1'], firstError: failure('ORIGIN_UNREACHABLE') }),
    })
    // The one key has to wait for its second try, so the next batch is a fresh one.
    assertEquals(lane.nextCost, 10)
    assertEquals(lane.take().keys, 10)
    clock.tick(1000)
    assertEquals([lane.nextCost, lane.take().keys], [1, 1])
    assertEquals([lane.nextCost, lane.take().keys], [5, 5])
  })

  it('progress tells how far it is, and the truth at the end', () => {
    const model = new LaneModel(keyPlan(10, 1), { batchSize: 5 })
    model.take()
    model.clock.tick(2000)
    model.end(0, 'partly', 0.4)
    const { keysPerSecond, ...rest } = model.lane.progress()
    assertEquals(rest, { task: 'one', done: 6, total: 11, estimated: false, failed: 3, finished: false })
    assertEquals(keysPerSecond, 3)
    assert(model.finish())
    assertEquals(model.lane.progress().finished, true)
  })

  it('heldStream names the worker that holds the cursor', () => {
    const model = new LaneModel(stream, { streamRows: 50 })
    assertEquals(model.lane.heldStream, undefined)
    model.take()
    assertEquals(model.lane.heldStream?.worker, 0)
    assertEquals(model.lane.nextWorker, 0)
  })
})
