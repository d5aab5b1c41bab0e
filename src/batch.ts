import type { Clock } from './clock.ts'
import { codecFor } from './codec/index.ts'
import type { Task } from './config/task.ts'
import type { Fence } from './coordination/types.ts'
import { type Failure, PrewarmError, toFailure } from './errors.ts'
import { redisBytes } from './inspect/memory.ts'
import { noKeys } from './job/tally.ts'
import { jitteredTtlMs } from './keyspace/ttl.ts'
import { backoffMs } from './origin/backoff.ts'
import type { Origin, ReadOptions, ReadResult, Work } from './origin/types.ts'
import type { Entry, Store } from './store/types.ts'
import type { KeyCounts, Outcome } from './types.ts'

/** What a batch tells when it has ended. Counts, not keys: it crosses a thread. */
export interface BatchReport {
  /** `planned` is what this batch accounts for: the sum of the others. Keys in `retryKeys` are not in it. */
  keys: KeyCounts
  /** Keys whose read may succeed later. */
  retryKeys: string[]
  firstError: Failure | null
  /** Some of the keys that are in the store now. */
  sample: string[]
  /** What became of single keys, as far as they were asked for. */
  outcomes: [string, Outcome][]
  /** The stream has no further page. */
  done: boolean
  originRequests: number
  /** The origin asked to be left alone for so long: the longest of its keys. */
  retryAfterMs?: number
  /** What a key takes in Redis, the mean of a few of them; absent where none was read. */
  bytesPerKey?: number
  /** Keys that were read and are not there, where only those were wanted that are (`onlyPresent`). Not in `keys`. */
  leftOut?: number
  /** Without the pauses that an origin makes between requests. */
  readNs: number
  writeNs: number
}

export interface BatchOptions extends ReadOptions {
  /** Bound on the writing, ms. */
  storeTimeoutMs: number
  backoffBaseMs: number
  /** Instead of the task's, which may have been changed since this thread read it. */
  ttlMs: number
  retries: number
  fence?: Fence | undefined
  /** Redis has no room: only keys that it holds already are written. */
  onlyPresent?: boolean | undefined
  /** Keys whose single outcomes are wanted. */
  keyEvents: number
  /** Called with the number of keys just before they are sent: from here on a lost worker may have written. */
  onWriting?: (keys: number) => void
}

/** What a batch is run with. */
export interface BatchEdges {
  origin: Origin
  store: Store
  clock: Clock
  random: () => number
}

const SAMPLE = 4
/** Entries of which the size is looked at. */
const SIZED = 16

/**
 * Reads one batch, encodes it, writes it in one pipeline. Runs in a worker or inline; the only place where values live. Before
 * it reads it takes a ticket, so that what is changed meanwhile is not written; without one nothing is read.
 *
 * @throws {PrewarmError} `ORIGIN_*` if the whole read failed, `STORE_*` if there was no ticket for a range or a stream (keys by
 *   name have failed then), `JOB_CANCELLED` if `signal` aborted before the write
 */
export async function runBatch(task: Task, work: Work, options: BatchOptions, edges: BatchEdges): Promise<BatchReport> {
  const { origin, clock } = edges
  const report = emptyReport()
  const takeTicket = () => begin(task, options, edges)
  let ticket: string | undefined
  try {
    // A stream takes its own, once for all pages.
    if (work.kind !== 'page') ticket = await takeTicket()
  } catch (error) {
    const failure = toFailure(error)
    if (work.kind !== 'keys' || failure.code === 'JOB_CANCELLED') throw error
    for (const key of work.keys) count(report, options, 'failed', key, { ...failure, key })
    return report
  }
  let startNs = clock.nowNs()
  const onBegin = () => {
    startNs = clock.nowNs()
  }
  const read = await origin.read(work, { ...options, onBegin, takeTicket })
  report.done = read.done
  report.originRequests = read.requests
  const encoded = encode(task, read, report, options, clock.nowMs())
  const readEndNs = clock.nowNs()
  const entries = options.onlyPresent === true ? await present(encoded, report, edges.store) : encoded
  report.readNs = Math.max(0, readEndNs - startNs - (read.pausedMs ?? 0) * 1e6)

  if (options.signal.aborted) throw new PrewarmError('JOB_CANCELLED', cancelled(task).message)
  if (entries.length > 0) {
    options.onWriting?.(entries.length)
    await write(task, work, entries, { ...options, ticket: read.ticket ?? ticket }, edges, report)
  }
  report.writeNs = clock.nowNs() - readEndNs
  return report
}

/** A report of nothing. */
export function emptyReport(): BatchReport {
  return {
    keys: noKeys(),
    retryKeys: [],
    firstError: null,
    sample: [],
    outcomes: [],
    done: true,
    originRequests: 0,
    readNs: 0,
    writeNs: 0,
  }
}

function encode(task: Task, read: ReadResult, report: BatchReport, options: BatchOptions, nowMs: number): Entry[] {
  for (const { key, failure, retryable, retryAfterMs } of read.failures) {
    if (retryAfterMs !== undefined) report.retryAfterMs = Math.max(report.retryAfterMs ?? 0, retryAfterMs)
    if (retryable && key !== null) giveBack(report, key, failure)
    else count(report, options, 'failed', key, failure)
  }
  const codec = codecFor(task.value)
  const entries: Entry[] = []
  for (const { key, value, version } of read.records) {
    try {
      const ttlMs = jitteredTtlMs(key, options.ttlMs, task.ttlJitter)
      entries.push({ key, ttlMs, encoded: codec.encode(value, { key, ttlMs, nowMs }), version })
    } catch (error) {
      count(report, options, 'failed', key, { ...toFailure(error, 'VALUE_INVALID'), key })
    }
  }
  if (entries.length > 0) report.bytesPerKey = meanBytes(entries)
  return entries
}

/** Those that the store holds: they are replaced, and it does not grow. */
async function present(entries: Entry[], report: BatchReport, store: Store): Promise<Entry[]> {
  if (entries.length === 0) return entries
  const ttlsMs = await store.ttlsMs(entries.map(({ key }) => key))
  const held = entries.filter((_, at) => ttlsMs[at] !== -2)
  if (held.length < entries.length) report.leftOut = entries.length - held.length
  return held
}

/** Of a few of them, from all over the batch. */
function meanBytes(entries: readonly Entry[]): number {
  const step = Math.ceil(entries.length / SIZED)
  let sum = 0
  let count = 0
  for (let at = 0; at < entries.length; at += step, count++) {
    const { key, encoded } = entries[at] as Entry
    sum += redisBytes(key, encoded)
  }
  return sum / count
}

async function begin(
  task: Task,
  { storeTimeoutMs: timeoutMs, signal }: BatchOptions,
  { store }: BatchEdges,
): Promise<string> {
  const isCancelled = () => new PrewarmError('JOB_CANCELLED', cancelled(task).message)
  const ticket = await store.begin({ timeoutMs, signal }).catch((error) => {
    throw signal.aborted ? isCancelled() : error
  })
  if (signal.aborted) throw isCancelled()
  return ticket
}

/** Writes; what surely was not written, and may be, is tried again while the value is fresh. */
async function write(
  task: Task,
  work: Work,
  entries: Entry[],
  options: BatchOptions & { ticket: string | undefined },
  { store, clock, random }: BatchEdges,
  report: BatchReport,
): Promise<void> {
  const deadlineMs = clock.nowMs() + options.storeTimeoutMs
  let left = entries
  for (let attempt = 0; ; attempt++) {
    const timeoutMs = Math.max(1, deadlineMs - clock.nowMs())
    const { outcomes, failures } = await store.write(left, {
      mode: task.mode,
      versionField: versionField(task),
      timeoutMs,
      signal: options.signal,
      ticket: options.ticket,
      ...(options.fence === undefined ? {} : { fence: options.fence }),
    })
    const isCancelled = options.signal.aborted
    const mayRetry = attempt < options.retries && clock.nowMs() < deadlineMs && !isCancelled
    const again: Entry[] = []
    for (const [index, entry] of left.entries()) {
      const failed = failures.get(index)
      // `add` and `newer` look again before they write, so their own value may be tried once more.
      const mayWriteAgain = failed?.retryable || (failed?.needsFreshRead && task.mode !== 'overwrite')
      if (mayWriteAgain && mayRetry) again.push(entry)
      else if (failed?.retryable && isCancelled) giveBack(report, entry.key, cancelled(task))
      else if (failed?.needsFreshRead && work.kind === 'keys') giveBack(report, entry.key, failed.failure)
      else {
        count(report, options, outcomes[index] as Outcome, entry.key, failed?.failure)
        if (failed === undefined && report.sample.length < SAMPLE) report.sample.push(entry.key)
      }
    }
    if (again.length === 0) return
    left = again
    const pauseMs = backoffMs(attempt, options.backoffBaseMs, random)
    await clock.sleep(Math.min(pauseMs, Math.max(0, deadlineMs - clock.nowMs())), options.signal)
    if (options.signal.aborted) {
      for (const { key } of left) giveBack(report, key, cancelled(task))
      return
    }
  }
}

function cancelled(task: Task): Failure {
  return { code: 'JOB_CANCELLED', message: `Task '${task.name}' was cancelled before a write` }
}

/** Surely not written, and not given up: whoever sent the batch may send the key again. */
function giveBack(report: BatchReport, key: string, failure: Failure): void {
  report.retryKeys.push(key)
  report.firstError ??= { ...failure, key }
}

/** The field or property that holds the version in the value itself, if one does. */
function versionField(task: Task): string | null {
  if (typeof task.version !== 'string' || (task.value !== 'hash' && task.value !== 'json')) return null
  return task.columns === undefined || task.columns.includes(task.version) ? task.version : null
}

const FIELD = {
  written: 'written',
  skipped_present: 'skippedPresent',
  skipped_newer: 'skippedNewer',
  failed: 'failed',
  unknown: 'unknown',
} as const

function count(
  report: BatchReport,
  { keyEvents }: BatchOptions,
  outcome: Outcome,
  key: string | null,
  failure?: Failure,
): void {
  report.keys.planned++
  report.keys[FIELD[outcome]]++
  // A lost lock counts before all else: after it nothing can be written.
  if (failure?.code === 'LOCK_LOST') report.firstError = failure
  else if (failure !== undefined) report.firstError ??= failure
  if (key !== null && report.outcomes.length < keyEvents) report.outcomes.push([key, outcome])
}
