import { codecFor } from '../codec/index.ts'
import { type Failure, toFailure } from '../errors.ts'
import type { Warmer } from '../warmer.ts'
import { redisBytes } from './memory.ts'
import { planEntry } from './plan.ts'
import { readPages } from './read.ts'
import type { Selected } from './select.ts'

/** What one task would bring. */
export interface TaskEstimate {
  task: string
  /** Null where they could not be counted. */
  keys: number | null
  /** Keys that were read to learn their size. */
  sampled: number
  /** Mean of the sample, by Redis' known overheads. */
  bytesPerKey: number | null
  bytes: number | null
  /** What the store would grow by: keys of the sample that it holds already are replaced. */
  growthBytes: number | null
  error: Failure | null
}

export interface Estimate {
  keys: number
  bytes: number
  growthBytes: number
  /** Null without a Redis to ask. */
  usedMemoryBytes: number | null
  maxMemoryBytes: number | null
  evictionPolicy: string | null
  verdict: 'fits' | 'does not fit' | 'no bound'
  tasks: TaskEstimate[]
}

export interface EstimateOptions {
  count: number | undefined
  /** There is a Redis to ask. */
  withStore: boolean
  signal: AbortSignal
}

const SAMPLE = 50

/** How many keys and bytes a job would write, and whether Redis has room. Reads a sample; writes nothing. */
export async function estimate(
  warmer: Warmer,
  selected: readonly Selected[],
  options: EstimateOptions,
): Promise<Estimate> {
  const tasks: TaskEstimate[] = []
  for (const one of selected) tasks.push(await estimateTask(warmer, one, options))
  const sum = (field: 'keys' | 'bytes' | 'growthBytes') => tasks.reduce((total, task) => total + (task[field] ?? 0), 0)
  const growthBytes = sum('growthBytes')
  const stats = options.withStore ? await warmer.store.stats() : null
  const { guard, reserve } = warmer.config.settings.memory
  const limit = (stats?.maxMemoryBytes ?? 0) * (guard ? 1 - reserve : 1)
  const room = stats === null || limit === 0 ? null : limit - stats.usedMemoryBytes
  return {
    keys: sum('keys'),
    bytes: sum('bytes'),
    growthBytes,
    usedMemoryBytes: stats?.usedMemoryBytes ?? null,
    maxMemoryBytes: stats?.maxMemoryBytes ?? null,
    evictionPolicy: stats?.evictionPolicy ?? null,
    verdict: room === null ? 'no bound' : growthBytes <= room ? 'fits' : 'does not fit',
    tasks,
  }
}

async function estimateTask(warmer: Warmer, selected: Selected, options: EstimateOptions): Promise<TaskEstimate> {
  const { task } = selected
  const { count, withStore, signal } = options
  const result: TaskEstimate = {
    task: task.name,
    keys: null,
    sampled: 0,
    bytesPerKey: null,
    bytes: null,
    growthBytes: null,
    error: null,
  }
  try {
    const { keys, error } = await planEntry(warmer, selected, { count, signal })
    if (keys === null || error !== null) return { ...result, error }
    const sizes = await sampleSizes(warmer, selected, { limit: Math.min(SAMPLE, count ?? SAMPLE), signal })
    const sampled = sizes.size
    if (sampled === 0) return { ...result, keys, bytes: 0, growthBytes: 0 }
    const stored = withStore ? await warmer.store.bytesOf([...sizes.keys()]) : []
    const bytesPerKey = mean([...sizes.values()], sampled)
    const storedPerKey = mean(stored, sampled)
    const bytes = Math.round(bytesPerKey * keys)
    const growthBytes = Math.max(0, Math.round((bytesPerKey - storedPerKey) * keys))
    return { ...result, keys, sampled, bytesPerKey: Math.round(bytesPerKey), bytes, growthBytes }
  } catch (error) {
    if (signal.aborted) throw error
    return { ...result, error: toFailure(error) }
  }
}

/** Bytes of some of the task's keys. What can't be encoded would not be written. */
async function sampleSizes(
  warmer: Warmer,
  selected: Selected,
  { limit, signal }: { limit: number; signal: AbortSignal },
): Promise<Map<string, number>> {
  const { task, params, batchSize } = selected
  const codec = codecFor(task.value)
  const sizes = new Map<string, number>()
  const plan = await warmer.planOf(task, params, { batchSize, signal })
  for await (const { records } of readPages(warmer, selected, plan, { limit, signal })) {
    for (const { key, value } of records) {
      const context = { key, ttlMs: task.ttlMs, nowMs: warmer.clock.nowMs() }
      try {
        sizes.set(key, redisBytes(key, codec.encode(value, context)))
      } catch {}
    }
  }
  return sizes
}

function mean(numbers: readonly number[], count: number): number {
  return numbers.reduce((total, number) => total + number, 0) / count
}
