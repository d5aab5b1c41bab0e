import { showMs } from '../config/duration.ts'
import type { JobResult } from '../types.ts'
import type { Colour, Io } from './io.ts'
import { percent, table } from './table.ts'

const HEAD = ['task', 'status', 'written', 'skipped', 'failed', 'unknown', 'duration', 'keys/s']

/** A job's result for people. */
export function summary(result: JobResult, paint: Io['paint']): string {
  const { status, keys, coverage, durationNs, latencyNs, tasks, traceId, memory } = result
  const rows = tasks.map((task) => [
    task.task,
    task.status,
    task.keys.written,
    task.keys.skippedPresent + task.keys.skippedNewer,
    task.keys.failed,
    task.keys.unknown,
    showMs(task.durationNs / 1e6),
    task.durationNs === 0 ? 0 : Math.round(task.keys.planned / (task.durationNs / 1e9)),
  ])
  const colour: Colour = status === 'success' || status === 'skipped' ? 'green' : status === 'failed' ? 'red' : 'yellow'
  const { p50, p95, p99 } = latencyNs
  const latency = [p50, p95, p99].map((ns) => `${(ns / 1e6).toFixed(1)} ms`)
  return [
    `${paint(colour, status)}: ${keys.written} of ${keys.planned} keys written in ${showMs(durationNs / 1e6)}`,
    '',
    ...table(HEAD, rows),
    '',
    `coverage  ${percent(coverage)}`,
    `latency   p50 ${latency[0]}, p95 ${latency[1]}, p99 ${latency[2]}`,
    ...leftOut(memory),
    ...tasks.flatMap(({ task, notChosen = 0 }) =>
      notChosen === 0 ? [] : [`${task}: the strategy did not choose ${notChosen} keys`],
    ),
    ...tasks.flatMap(({ task, firstError }) =>
      firstError === null ? [] : [`error     ${task}: ${firstError.code}: ${firstError.message}`],
    ),
    `trace     ${traceId}`,
  ].join('\n')
}

function leftOut(memory: JobResult['memory']): string[] {
  if (memory === undefined) return []
  const { leftOut: count, isExact, reason } = memory
  const keys = isExact ? showCount(count) : count === 0 ? "the rest of a query's" : `about ${showCount(count)}`
  return [
    `left out  ${keys} keys: ${reason}`,
    '          give Redis more memory, warm fewer keys (--count), or set memory: { guard: false }',
  ]
}

const showCount = (count: number) => count.toLocaleString('en-US')
