import type { Clock } from '../clock.ts'
import type { Task } from '../config/task.ts'
import type { Commands } from '../coordination/types.ts'
import { PrewarmError } from '../errors.ts'
import { glob } from '../keyspace/glob.ts'
import { isOwnKey, knownKeys } from '../keyspace/known.ts'
import type { Count } from '../predict/hot-counts.ts'
import { HEAT_CHUNK } from '../store/heat.ts'
import type { Store, StoreHeat } from '../store/types.ts'
import { HeatJudge } from './heat.ts'
import { byBucket, isKept, keepReads } from './keep.ts'
import { LFU_DEFAULTS, type LfuSettings } from './lfu.ts'
import { TopKeys } from './top-keys.ts'

export interface LearnRedisOptions {
  store: Pick<Store, 'scan' | 'heatOf'>
  commands: Commands
  clock: Clock
  /** In the order of their declaration. */
  tasks: Iterable<Task>
  /** Keys to remember, the hottest. */
  capacity: number
  /** A Redis-style glob. @default '*' */
  match?: string
  /** At most so many keys are looked at. @default all */
  limit?: number
  /** Keys a second. */
  rate: number
  /** Look only. */
  dryRun: boolean
  signal: AbortSignal
  /** Told after each page. */
  onProgress?: (keys: LearnedKeys) => void
}

/** How many keys ended where. */
export interface LearnedKeys {
  /** By SCAN, which may tell a key twice. Those that have no task, or are prewarm's own, are not looked at more closely. */
  seen: number
  withoutTask: number
  /** Users read them. */
  read: number
  /** Nobody has, since they were written. */
  unread: number
  /** Warming touched them last, or may have. */
  warmed: number
  /** They were read longer ago than the access log goes back. */
  old: number
  /** They were gone when they were looked at. */
  gone: number
}

export interface LearnedFromRedis {
  /** What the server keeps of accesses. Null: no key was looked at. */
  by: StoreHeat['by'] | null
  /** Of an LFU policy. */
  lfu: LfuSettings | null
  keys: LearnedKeys
  /** Keys in the access log because of this; 0 with `dryRun`. */
  kept: number
  /** Hottest first. */
  top: { key: string; task: string; reads: number; lastReadAt: string }[]
}

const SHOWN = 10

/**
 * Learns from what Redis itself knows of its keys which of them users read, and writes that into the access log. Goes by SCAN
 * and small pipelines, no faster than told. Nothing is written before all keys were looked at.
 *
 * @throws {PrewarmError} `REQUEST_INVALID` for the glob, `JOB_CANCELLED` when `signal` aborts, `STORE_UNREACHABLE`,
 * `STORE_REFUSED`
 */
export async function learnFromRedis(options: LearnRedisOptions): Promise<LearnedFromRedis> {
  const { commands, clock, tasks, capacity, dryRun } = options
  const known = knownKeys(tasks)
  const lfu = await lfuSettings(commands)
  const judge = new HeatJudge(lfu)
  const keys: LearnedKeys = { seen: 0, withoutTask: 0, read: 0, unread: 0, warmed: 0, old: 0, gone: 0 }
  const top = new TopKeys(capacity)
  let by: StoreHeat['by'] | null = null
  for await (const page of pages(options, keys, (key) => known.taskOf(key) !== undefined)) {
    const heat = await options.store.heatOf(page)
    by = heat.by
    for (const [index, key] of page.entries()) {
      const one = heat.keys[index] ?? null
      if (one === null) {
        keys.gone++
        continue
      }
      const verdict = judge.judge(key, known.taskOf(key) as Task, one, heat)
      if (verdict.is !== 'read') keys[verdict.is]++
      else if (!isKept(verdict.lastMs, heat.nowMs)) keys.old++
      else {
        keys.read++
        // By our clock, as all that is in the access log.
        top.set(key, { reads: verdict.reads, lastMs: clock.nowMs() - (heat.nowMs - verdict.lastMs) })
      }
    }
  }
  const hot = top.top()
  const kept = dryRun ? 0 : await keepReads(commands, byBucket(hot))
  const shown = hot.slice(0, SHOWN).map(([key, count]) => show(key, (known.taskOf(key) as Task).name, count))
  return { by, lfu: by === 'counter' ? lfu : null, keys, kept, top: shown }
}

/** Keys to be looked at, in the size of a pipeline and no faster than told; counts them. */
async function* pages(
  { store, clock, match = '*', limit = Number.POSITIVE_INFINITY, rate, signal, onProgress }: LearnRedisOptions,
  keys: LearnedKeys,
  isWanted: (key: string) => boolean,
): AsyncGenerator<string[]> {
  const pattern = glob(match)
  const startNs = clock.nowNs()
  for await (const found of store.scan(pattern.scanPattern)) {
    const matching = found.filter((key) => pattern.matches(key)).slice(0, limit - keys.seen)
    for (let at = 0; at < matching.length; at += HEAT_CHUNK) {
      if (signal.aborted) throw new PrewarmError('JOB_CANCELLED', 'interrupted: nothing was learned')
      const page = matching.slice(at, at + HEAT_CHUNK)
      keys.seen += page.length
      const wanted = page.filter((key) => !isOwnKey(key) && isWanted(key))
      keys.withoutTask += page.length - wanted.length
      if (wanted.length > 0) yield wanted
      onProgress?.(keys)
      const aheadMs = (keys.seen / rate) * 1000 - (clock.nowNs() - startNs) / 1e6
      if (aheadMs >= 1) await clock.sleep(aheadMs, signal)
    }
    if (keys.seen >= limit) return
  }
}

/** What the server goes by; Redis' defaults where it does not tell. */
async function lfuSettings(commands: Commands): Promise<LfuSettings> {
  try {
    const reply = (await commands.call('CONFIG', 'GET', 'lfu-*')) as unknown
    const told = new Map<string, number>()
    const flat = Array.isArray(reply) ? reply.flat() : Object.entries(Object(reply)).flat()
    for (let at = 0; at + 1 < flat.length; at += 2) told.set(String(flat[at]), Number(flat[at + 1]))
    const { logFactor, decayMinutes } = LFU_DEFAULTS
    return {
      logFactor: told.get('lfu-log-factor') ?? logFactor,
      decayMinutes: told.get('lfu-decay-time') ?? decayMinutes,
    }
  } catch {
    // CONFIG is an administrator's.
    return LFU_DEFAULTS
  }
}

function show(key: string, task: string, { reads, lastMs }: Count): LearnedFromRedis['top'][number] {
  return { key, task, reads, lastReadAt: new Date(lastMs).toISOString() }
}
