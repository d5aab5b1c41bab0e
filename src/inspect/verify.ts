import { codecFor } from '../codec/index.ts'
import type { Encoded } from '../codec/types.ts'
import type { Task } from '../config/task.ts'
import { type Failure, toFailure } from '../errors.ts'
import { jitteredTtlMs } from '../keyspace/ttl.ts'
import type { ReadResult } from '../origin/types.ts'
import type { StoredValue } from '../store/types.ts'
import type { JobResult } from '../types.ts'
import type { Warmer } from '../warmer.ts'
import { difference } from './compare.ts'
import { KeySet } from './key-set.ts'
import { readPages } from './read.ts'
import type { Selected } from './select.ts'

export type Finding = 'missing' | 'different' | 'expired' | 'extra'

/** How one task's keys in the store compare with the origin. */
export interface TaskVerdict {
  task: string
  checked: number
  same: number
  missing: number
  different: number
  /** Gone, and old enough for that: the last job wrote them longer ago than their TTL. */
  expired: number
  /** In the store, of the task's template, and not listed by the origin. Looked for only when everything is checked. */
  extra: number
  /** Up to ten keys of each. */
  examples: Record<Finding, string[]>
  /** Why each example of `different` is. */
  reasons: Record<string, string>
  /** The task could not be read to its end. */
  error: Failure | null
}

export interface VerifyOptions {
  /** Keys of each task; null: all. */
  sample: number | null
  lastJob: JobResult | null
  nowMs: number
  signal: AbortSignal
}

const EXAMPLES = 10
/** Keys compared at once. */
const PAGE = 1000

/** Reads a task's values again, a sample or all, and compares them with the store. Writes nothing. */
export async function verify(warmer: Warmer, selected: Selected, options: VerifyOptions): Promise<TaskVerdict> {
  const { task, params, batchSize } = selected
  const { sample, signal } = options
  const verdict: TaskVerdict = {
    task: task.name,
    checked: 0,
    same: 0,
    missing: 0,
    different: 0,
    expired: 0,
    extra: 0,
    examples: { missing: [], different: [], expired: [], extra: [] },
    reasons: {},
    error: null,
  }
  try {
    const seen = sample === null ? new KeySet() : undefined
    const plan = await warmer.planOf(task, params, { batchSize, signal })
    for await (const page of readPages(warmer, selected, plan, { limit: sample, signal })) {
      await checkPage(warmer, task, page, verdict, { ...options, seen })
    }
    if (seen !== undefined && verdict.error === null) await findExtra(warmer, task, seen, verdict)
  } catch (error) {
    if (signal.aborted) throw error
    verdict.error = toFailure(error)
  }
  return verdict
}

interface Expected {
  key: string
  /** Null: the origin has nothing that could be stored. */
  encoded: Encoded | null
  why: string
}

async function checkPage(
  { store, clock }: Warmer,
  task: Task,
  page: ReadResult,
  verdict: TaskVerdict,
  context: VerifyOptions & { seen: KeySet | undefined },
): Promise<void> {
  const expected = expectedOf(task, page, verdict, clock.nowMs())
  for (let at = 0; at < expected.length; at += PAGE) {
    const slice = expected.slice(at, at + PAGE)
    const keys = slice.map(({ key }) => key)
    const stored = await store.read(keys)
    const ttls = await store.ttlsMs(keys)
    for (const [index, one] of slice.entries()) {
      context.seen?.add(one.key)
      verdict.checked++
      const ttlMs = ttls[index] as number
      judge(task, one, ttlMs === -2 ? null : (stored[index] ?? null), ttlMs, verdict, context)
    }
  }
}

/** What the store should hold. A value that could not be read is no difference but an error. */
function expectedOf(task: Task, { records, failures }: ReadResult, verdict: TaskVerdict, nowMs: number): Expected[] {
  const codec = codecFor(task.value)
  const expected: Expected[] = []
  for (const { key, failure } of failures) {
    if (key !== null && failure.code === 'ORIGIN_NO_VALUE')
      expected.push({ key, encoded: null, why: 'the origin has no value for it' })
    else verdict.error ??= failure
  }
  for (const { key, value } of records) {
    try {
      expected.push({ key, encoded: codec.encode(value, { key, ttlMs: task.ttlMs, nowMs }), why: '' })
    } catch (error) {
      verdict.error ??= { ...toFailure(error, 'VALUE_INVALID'), key }
    }
  }
  return expected
}

function judge(
  task: Task,
  { key, encoded, why }: Expected,
  stored: StoredValue | null,
  ttlMs: number,
  verdict: TaskVerdict,
  options: VerifyOptions,
): void {
  if (stored === null) {
    if (encoded === null) verdict.same++
    else note(verdict, hasExpired(task, key, options) ? 'expired' : 'missing', key)
    return
  }
  const reason = encoded === null ? why : difference(task, encoded, stored, ttlMs)
  if (reason === null) verdict.same++
  else note(verdict, 'different', key, reason)
}

function note(verdict: TaskVerdict, finding: Finding, key: string, reason?: string): void {
  verdict[finding]++
  if (verdict.examples[finding].length >= EXAMPLES) return
  verdict.examples[finding].push(key)
  if (reason !== undefined) verdict.reasons[key] = reason
}

/** Redis does not tell a key that ran out from one that never was; the last job's end does. */
function hasExpired(task: Task, key: string, { lastJob, nowMs }: VerifyOptions): boolean {
  const written = lastJob?.tasks.find((result) => result.task === task.name)?.keys.written ?? 0
  if (lastJob === null || written === 0) return false
  return nowMs >= Date.parse(lastJob.endedAt) + jitteredTtlMs(key, task.ttlMs, task.ttlJitter)
}

async function findExtra({ store }: Warmer, task: Task, seen: KeySet, verdict: TaskVerdict): Promise<void> {
  for await (const page of store.scan(task.key.glob)) {
    for (const key of page) {
      if (seen.has(key) || task.key.match(key) === null) continue
      note(verdict, 'extra', key)
      seen.add(key)
    }
  }
}
