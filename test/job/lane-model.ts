import fc from 'fast-check'
import type { BatchReport } from '../../src/batch.ts'
import type { Failure } from '../../src/errors.ts'
import { Lane } from '../../src/job/lane.ts'
import type { TaskPlan } from '../../src/job/plan.ts'
import type { LaneOptions, Unit } from '../../src/job/unit.ts'
import type { BatchEnd } from '../../src/pool/member.ts'
import type { KeyCounts } from '../../src/types.ts'
import { FakeClock } from '../fakes/clock.ts'
import { loadTask } from '../fakes/tasks.ts'
import { reportOf } from '../fakes/worker.ts'

/** One thing that happens to a lane. Numbers choose among what is possible then. */
export type Step =
  | { kind: 'take' }
  | { kind: 'end'; which: number; how: How; share: number }
  | { kind: 'wait'; ms: number }
  | { kind: 'stop' }

export type How = 'done' | 'partly' | 'retry' | 'refused' | 'retryable' | 'lost reading' | 'lost writing'

const hows: How[] = ['done', 'done', 'partly', 'retry', 'refused', 'retryable', 'lost reading', 'lost writing']

export const steps = (options: { stops: boolean }): fc.Arbitrary<Step[]> =>
  fc.array(
    fc.oneof(
      { weight: 20, arbitrary: fc.constant<Step>({ kind: 'take' }) },
      {
        weight: 20,
        arbitrary: fc.record({
          kind: fc.constant('end' as const),
          which: fc.nat(9),
          how: fc.constantFrom(...hows),
          share: fc.nat(10),
        }),
      },
      { weight: 5, arbitrary: fc.record({ kind: fc.constant('wait' as const), ms: fc.constantFrom(1, 50, 1000) }) },
      { weight: options.stops ? 1 : 0, arbitrary: fc.constant<Step>({ kind: 'stop' }) },
    ),
    { maxLength: 60 },
  )

export const failure = (code: Failure['code']): Failure => ({ code, message: code })

/** A lane with the worker's side played: how many rows a stream has left, which batches are on their way. */
export class LaneModel {
  readonly clock = new FakeClock()
  readonly lane: Lane
  readonly sent: { unit: Unit; rows: number; done: boolean }[] = []
  readonly #streamRows: number
  readonly #streamAt = new Map<string, number>()

  constructor(
    plan: TaskPlan,
    { retries = 2, streamRows = 0, ...more }: Partial<LaneOptions> & { retries?: number; streamRows?: number } = {},
  ) {
    this.#streamRows = streamRows
    const base = { priority: 0, params: {}, batchSize: 7, batchDelayMs: 0, backoffBaseMs: 100 }
    this.lane = new Lane({ task: loadTask({ retries }), ...base, clock: this.clock, random: () => 0.5, ...more })
    this.lane.open(plan)
  }

  get counts(): KeyCounts {
    return this.lane.tally.keys
  }

  step(step: Step): void {
    if (step.kind === 'wait') this.clock.tick(step.ms)
    else if (step.kind === 'stop') this.lane.stop(failure('JOB_CANCELLED'))
    else if (step.kind === 'take') this.take()
    else if (this.sent.length > 0) this.end(step.which % this.sent.length, step.how, step.share / 10)
  }

  take(): void {
    if (this.lane.waitMs !== 0) return
    const unit = this.lane.take()
    this.lane.sentTo(unit, 0)
    let [rows, done] = [unit.keys ?? 0, true]
    if (unit.work.kind === 'page') {
      const at = this.#streamAt.get(unit.work.stream) ?? 0
      rows = Math.min(unit.work.rows, this.#streamRows - at)
      this.#streamAt.set(unit.work.stream, at + rows)
      done = at + rows >= this.#streamRows
    }
    this.sent.push({ unit, rows, done })
  }

  end(which: number, how: How, share: number): void {
    const [sent] = this.sent.splice(which, 1)
    if (sent !== undefined) this.lane.settle(sent.unit, endOf(sent, how, share))
  }

  /** Lets everything go well from here on. False: the lane would not end. */
  finish(): boolean {
    for (let at = 0; at < 5000 && !this.lane.isEnded; at++) {
      if (this.lane.waitMs === 0) this.take()
      else if (this.sent.length > 0) this.end(0, 'done', 0)
      else if (this.lane.waitMs !== null) this.clock.tick(this.lane.waitMs)
      else return false
    }
    return this.lane.isEnded && this.sent.length === 0
  }
}

function endOf({ unit, rows, done }: LaneModel['sent'][number], how: How, share: number): BatchEnd {
  const part = Math.floor(rows * share)
  const origin = failure('ORIGIN_UNREACHABLE')
  switch (how) {
    case 'refused':
      return { status: 'failed', failure: failure('ORIGIN_FAILED'), retryable: false }
    case 'retryable':
      return { status: 'failed', failure: origin, retryable: true }
    case 'lost reading':
      return { status: 'lost', failure: failure('WORKER_LOST'), keys: 0 }
    case 'lost writing':
      return { status: 'lost', failure: failure('WORKER_LOST'), keys: rows }
    case 'retry':
      return unit.work.kind === 'keys'
        ? { status: 'done', report: retryReport(unit.work.keys, part) }
        : { status: 'done', report: reportOf(rows, { done }) }
    case 'partly': {
      const keys = { ...reportOf(rows).keys, written: rows - part, failed: part }
      return {
        status: 'done',
        report: reportOf(rows, { keys, done, firstError: part > 0 ? failure('VALUE_INVALID') : null }),
      }
    }
    case 'done':
      return { status: 'done', report: reportOf(rows, { done }) }
  }
}

function retryReport(keys: readonly string[], part: number): BatchReport {
  const firstError = part > 0 ? failure('ORIGIN_UNREACHABLE') : null
  return reportOf(keys.length - part, { retryKeys: keys.slice(keys.length - part), firstError })
}
