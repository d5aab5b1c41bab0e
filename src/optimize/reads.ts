import type { Task } from '../config/task.ts'
import type { Commands, Script } from '../coordination/types.ts'
import { knownKeys } from '../keyspace/known.ts'
import { BUCKET_KEYS, BUCKET_MS, bucketKey, bucketOf } from '../predict/buckets.ts'
import { readWindow } from '../predict/windows.ts'

/** Reads of the last so many hours count, ms. */
const WINDOW_MS = 6 * 3_600_000
/** Of a bucket with more keys than this, only the most read ones are looked at. */
const WHOLE_KEYS = Math.min(BUCKET_KEYS, 4000)

/** How many keys each bucket has. KEYS: the buckets. */
export const BUCKET_SIZES: Script = {
  text: `
local out = {}
for i, key in ipairs(KEYS) do out[i] = redis.call('ZCARD', key) end
return out
`,
}

/** What is known of the reads of a task's keys. */
export interface TaskReads {
  reads: number
  /** Of each key, the most read one first. */
  readsPerHour: number[]
}

export interface KnownReads {
  byTask: ReadonlyMap<string, TaskReads>
  /** For how long reads are known, ms; 0: none are. */
  observedMs: number
  /** Keys that were read less may be missing. */
  isPartial: boolean
}

/** Reads of the last hours by task, as the access log in Redis has them. @throws {PrewarmError} `STORE_*` */
export async function readsByTask(
  commands: Commands,
  tasks: ReadonlyMap<string, Task>,
  nowMs: number,
): Promise<KnownReads> {
  const first = bucketOf(nowMs - WINDOW_MS) + 1
  const last = bucketOf(nowMs)
  const keys = Array.from({ length: last - first + 1 }, (_, at) => bucketKey(first + at))
  const sizes = ((await commands.script(BUCKET_SIZES, keys, [])) as unknown[]).map(Number)
  const begin = sizes.findIndex((size) => size > 0)
  if (begin === -1) return { byTask: new Map(), observedMs: 0, isPartial: false }
  const fromMs = (first + begin) * BUCKET_MS
  const observedMs = Math.max(1, nowMs - fromMs)
  const window = await readWindow(commands, { fromMs, toMs: nowMs + 1 })
  const known = knownKeys(tasks.values())
  const byTask = new Map<string, TaskReads>()
  for (const [key, { reads }] of window.keys) {
    const task = known.taskOf(key)?.name
    if (task === undefined) continue
    let of = byTask.get(task)
    if (of === undefined) {
      of = { reads: 0, readsPerHour: [] }
      byTask.set(task, of)
    }
    of.reads += reads
    of.readsPerHour.push((reads * 3_600_000) / observedMs)
  }
  for (const { readsPerHour } of byTask.values()) readsPerHour.sort((a, b) => b - a)
  return { byTask, observedMs, isPartial: sizes.some((size) => size >= WHOLE_KEYS) }
}
