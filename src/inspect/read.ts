import type { TaskPlan } from '../job/plan.ts'
import type { ReadResult, RowRange, Work } from '../origin/types.ts'
import type { Warmer } from '../warmer.ts'
import type { Selected } from './select.ts'

/** Places of a query's order that a sample is taken from. */
const SAMPLE_PLACES = 10

export interface ReadPagesOptions {
  /** At most this many keys, from all over the plan where it can be entered anywhere; null: all. */
  limit: number | null
  signal: AbortSignal
}

/** Reads a task's values from the origin, page by page, no faster than the origin may be asked. */
export async function* readPages(
  warmer: Warmer,
  selected: Selected,
  plan: TaskPlan,
  { limit, signal }: ReadPagesOptions,
): AsyncGenerator<ReadResult> {
  const { clock } = warmer
  const requestIntervalMs = 1000 / warmer.config.settings.maxOriginRps
  const origin = warmer.originOf(selected.task)
  const { task, params, batchSize } = selected
  const options = { params, timeoutMs: task.timeoutMs, signal, requestIntervalMs, traceId: '0'.repeat(32) }
  try {
    for (const work of worksOf(plan, limit, batchSize)) {
      for (let isDone = false; !isDone; ) {
        const earliestMs = clock.nowMs() + (task.kind === 'http' ? 0 : requestIntervalMs)
        const page = await origin.read(work, options)
        yield page
        isDone = page.done
        await clock.sleep(Math.max(0, earliestMs - clock.nowMs()), signal)
      }
    }
  } finally {
    await origin.close()
  }
}

function* worksOf(plan: TaskPlan, limit: number | null, batchSize: number): Generator<Work> {
  if (plan.kind === 'keys') {
    const keys = limit === null ? plan.keys : spread(plan.keys, limit)
    for (let at = 0; at < keys.length; at += batchSize) yield { kind: 'keys', keys: keys.slice(at, at + batchSize) }
  } else if (plan.kind === 'stream') {
    yield { kind: 'page', stream: 'inspect', rows: Math.min(batchSize, limit ?? batchSize), limit: limit ?? plan.limit }
  } else if (limit === null || limit >= plan.total) {
    for (const { range } of plan.ranges) yield { kind: 'range', range }
  } else {
    const places = spread(plan.ranges, Math.min(SAMPLE_PLACES, limit))
    const rows = Math.ceil(limit / places.length)
    for (const { range } of places) yield { kind: 'range', range: shortened(range, rows) }
  }
}

function shortened(range: RowRange, rows: number): RowRange {
  return { ...range, limit: Math.min(rows, range.limit ?? rows) }
}

/** Up to `count` of `items`, at equal distances. */
export function spread<T>(items: readonly T[], count: number): readonly T[] {
  if (items.length <= count) return items
  return Array.from({ length: count }, (_, index) => items[Math.floor((index * items.length) / count)] as T)
}
