import type { BatchReport } from '../batch.ts'
import type { Clock } from '../clock.ts'
import { Recent } from '../coordination/recent.ts'
import type { Commands, Script } from '../coordination/types.ts'
import type { TaskCost, TaskCosts } from '../job/strategy/types.ts'
import { LAST_KEY } from '../predict/buckets.ts'
import { READERS_KEPT_MS, READERS_KEY } from './buckets.ts'

/** Hash: what loading a task's keys costs, as JSON of {@linkcode Sums} with `at_ms`, by task. */
export const COSTS_KEY = 'prewarm:gain:costs'
/** What was measured so long ago counts half, ms. */
export const COST_HALF_LIFE_MS = 3_600_000
/** How long an answer holds, ms. */
const FRESH_MS = 10_000
/** Tasks that wait to be told of. */
const MAX_UNSENT = 1000

/**
 * Adds sums to those of a task; what is there counts the less the older it is. 0, and nothing was written, where nobody tells
 * of reads: warming by itself leaves no key but those that it warms.
 *
 * KEYS: the hash, READERS_KEY, LAST_KEY. ARGV: ms to keep the hash, the half-life, now in ms, the task, ms, keys, bytes, sized.
 */
export const ADD_COST: Script = {
  text: `
if redis.call('EXISTS', KEYS[2], KEYS[3]) == 0 then return 0 end
local ok, sums = pcall(cjson.decode, redis.call('HGET', KEYS[1], ARGV[4]) or '')
if not ok or type(sums) ~= 'table' then sums = {} end
local now = tonumber(ARGV[3])
local at = math.max(tonumber(sums.at_ms) or now, now)
local left = 0.5 ^ ((at - (tonumber(sums.at_ms) or at)) / tonumber(ARGV[2]))
local out = { at_ms = at }
for i, name in ipairs({ 'ms', 'keys', 'bytes', 'sized' }) do
  out[name] = (tonumber(sums[name]) or 0) * left + tonumber(ARGV[4 + i])
end
redis.call('HSET', KEYS[1], ARGV[4], cjson.encode(out))
redis.call('PEXPIRE', KEYS[1], ARGV[1])
return 1
`,
}

/** What a batch tells of its cost. */
export type Measured = Pick<BatchReport, 'keys' | 'retryKeys' | 'readNs'> & { bytesPerKey?: number | null }

/** Sums over keys. `sized`: keys of which the size is known. */
interface Sums {
  ms: number
  keys: number
  bytes: number
  sized: number
}

interface Dated extends Sums {
  atMs: number
}

/**
 * Measures what a task's keys cost to load: the mean of time and of size by key, of recent runs the more ({@linkcode
 * COST_HALF_LIFE_MS}). Kept in this process, and told to Redis for all of them with the gain log's flush, once somebody tells
 * of reads there.
 */
export class CostMeter {
  readonly #commands: Commands
  readonly #clock: Clock
  readonly #onError: (error: unknown) => void
  /** Not in Redis yet. */
  readonly #unsent = new Map<string, Dated>()
  readonly #told: Recent<Map<string, Dated>>

  constructor({
    commands,
    clock,
    onError = () => {},
  }: {
    commands: Commands
    clock: Clock
    onError?: (error: unknown) => void
  }) {
    this.#commands = commands
    this.#clock = clock
    this.#onError = onError
    this.#told = new Recent({ clock, holdsMs: FRESH_MS, ask: () => this.#ask() })
  }

  /** Takes in a batch that has ended. Keys that could not be loaded do not count; the time they took is not theirs to tell. */
  add(task: string, { keys, retryKeys, readNs, bytesPerKey = null }: Measured): void {
    const loaded = keys.planned - keys.failed
    if (!(loaded > 0) || !(readNs >= 0)) return
    const ms = (readNs / 1e6 / (keys.planned + retryKeys.length)) * loaded
    const isSized = bytesPerKey !== null && bytesPerKey > 0
    this.#hold(task, { ms, keys: loaded, bytes: isSized ? bytesPerKey * loaded : 0, sized: isSized ? loaded : 0 })
  }

  /** Tells Redis. @throws {PrewarmError} `STORE_*`; then it is told with the next call */
  async send(): Promise<void> {
    for (const [task, sums] of [...this.#unsent]) {
      this.#unsent.delete(task)
      const { ms, keys, bytes, sized, atMs } = sums
      const args = [READERS_KEPT_MS, COST_HALF_LIFE_MS, Math.round(atMs), task, ms, keys, bytes, sized]
      let isTold = false
      try {
        isTold = (await this.#commands.script(ADD_COST, [COSTS_KEY, READERS_KEY, LAST_KEY], args)) !== 0
      } finally {
        // Also where nobody tells of reads yet: the first one may come later.
        if (!isTold) this.#hold(task, sums)
      }
      if (isTold) this.#told.forget()
    }
  }

  /** An answer of the last ten seconds may be given again. Never throws: where Redis can't be asked, what this process measured. */
  async read(): Promise<TaskCosts> {
    const told = await this.#told.read()
    const costs = new Map<string, TaskCost>()
    for (const task of new Set([...told.keys(), ...this.#unsent.keys()])) {
      const all = [told.get(task), this.#unsent.get(task)].flatMap((sums) => sums ?? [])
      const cost = costOf(all.reduce((a, b) => added(a, b)))
      if (cost !== null) costs.set(task, cost)
    }
    return costs
  }

  #hold(task: string, sums: Sums | Dated): void {
    const fresh = { ...sums, atMs: 'atMs' in sums ? sums.atMs : this.#clock.nowMs() }
    const held = this.#unsent.get(task)
    if (held === undefined && this.#unsent.size >= MAX_UNSENT) return
    this.#unsent.set(task, held === undefined ? fresh : added(held, fresh))
  }

  async #ask(): Promise<Map<string, Dated>> {
    try {
      const flat = (await this.#commands.call('HGETALL', COSTS_KEY)) as string[]
      const told = new Map<string, Dated>()
      for (let at = 0; at + 1 < flat.length; at += 2) {
        const sums = sumsIn(flat[at + 1] as string)
        if (sums !== null) told.set(flat[at] as string, sums)
      }
      return told
    } catch (error) {
      this.#onError(error)
      return new Map()
    }
  }
}

function added(a: Dated, b: Dated): Dated {
  const atMs = Math.max(a.atMs, b.atMs)
  const sum = (name: keyof Sums) => a[name] * leftOf(atMs - a.atMs) + b[name] * leftOf(atMs - b.atMs)
  return { ms: sum('ms'), keys: sum('keys'), bytes: sum('bytes'), sized: sum('sized'), atMs }
}

function leftOf(ageMs: number): number {
  return 0.5 ** (ageMs / COST_HALF_LIFE_MS)
}

function costOf({ ms, keys, bytes, sized }: Sums): TaskCost | null {
  if (!(keys > 0)) return null
  return { loadMs: ms / keys, bytes: sized > 0 ? bytes / sized : null, keys: Math.max(1, Math.round(keys)) }
}

/** What can't be read is left out. */
function sumsIn(text: string): Dated | null {
  try {
    const { ms, keys, bytes, sized, at_ms: atMs } = JSON.parse(text) as Sums & { at_ms: number }
    return [ms, keys, bytes, sized, atMs].every((one) => Number.isFinite(one)) ? { ms, keys, bytes, sized, atMs } : null
  } catch {
    return null
  }
}
