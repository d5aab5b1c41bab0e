import type { Commands, Script } from '../../coordination/types.ts'
import type { PredictionScore, PredictorName } from '../types.ts'
import { PREDICTORS } from '../types.ts'

/** What a state belongs to: one is kept for each. */
export interface ModelOptions {
  /** Whole five minutes. */
  windowMs: number
  /** Keys that are remembered. */
  capacity: number
}

/** What is told of a state without loading it. */
export interface StateHead {
  /** Another one for each state that was stored. */
  id: string
  foldedToMs: number
  /** Windows folded so far. */
  windows: number
  scores: PredictionScore[]
}

export type Stored =
  | { is: 'none' }
  /** `id`: of what is there and can't be used. */
  | { is: 'broken'; id: string; reason: string }
  | { is: 'there'; head: StateHead }

/** How long a state is kept that nobody folds into any more, ms. */
const KEPT_MS = 30 * 86_400_000
/** What the hash holds. Another version's is replaced. */
const FORMAT = '1'
/** A larger one is not stored: it would hold Redis up. In characters. */
export const MAX_STATE = 64 * 1_048_576

/** Hash: what is remembered of past windows, packed, and what is told of it. */
export function stateKey({ windowMs, capacity }: ModelOptions): string {
  return `prewarm:predict:model:${windowMs}:${capacity}`
}

/**
 * Stores a state in the place of the one it was made of: of several instances that fold the same window one is heard, nobody
 * goes back, and what somebody has put there meanwhile stays. KEYS: the hash. ARGV: ms to keep it, the format, the id of the
 * state that gives way or '', then the new state: its id, the end of its last window, its windows, its scores, itself.
 */
export const STORE_STATE: Script = {
  text: `
local was = redis.call('HGET', KEYS[1], 'id') or ''
if was ~= '' and was ~= ARGV[3] then return 0 end
redis.call('DEL', KEYS[1])
redis.call('HSET', KEYS[1], 'format', ARGV[2], 'id', ARGV[4], 'foldedToMs', ARGV[5], 'windows', ARGV[6],
  'scores', ARGV[7], 'state', ARGV[8])
redis.call('PEXPIRE', KEYS[1], ARGV[1])
return 1
`,
}

/** The server's time, ms since 1970; then which of the keys are there, as 1 and 0. */
export const ARE_THERE: Script = {
  text: `
local time = redis.call('TIME')
local there = {time[1] * 1000 + math.floor(time[2] / 1000)}
for _, key in ipairs(KEYS) do there[#there + 1] = redis.call('EXISTS', key) end
return there
`,
}

/** The model's state in Redis. All methods throw `STORE_UNREACHABLE` and `STORE_REFUSED`. */
export class StateStore {
  readonly #commands: Commands

  constructor(commands: Commands) {
    this.#commands = commands
  }

  async head(of: ModelOptions): Promise<Stored> {
    const reply = await this.#commands.call('HMGET', stateKey(of), 'format', 'id', 'foldedToMs', 'windows', 'scores')
    return storedOf(reply as (string | null)[], of)
  }

  /** The packed state `id`; null: there is another one by now, or none. */
  async load(of: ModelOptions, id: string): Promise<string | null> {
    const [there, state] = (await this.#commands.call('HMGET', stateKey(of), 'id', 'state')) as (string | null)[]
    return there === id ? (state ?? '') : null
  }

  /**
   * False: another one is there by now, and stays.
   *
   * @param replaced the id of the state that gives way: the one it was made of, or one that can't be used; null: there was none
   */
  async store(of: ModelOptions, head: StateHead, state: string, replaced: string | null): Promise<boolean> {
    const { id, foldedToMs, windows, scores } = head
    const args = [KEPT_MS, FORMAT, replaced ?? '', id, foldedToMs, windows, JSON.stringify(scores), state]
    return (await this.#commands.script(STORE_STATE, [stateKey(of)], args)) === 1
  }
}

function storedOf(reply: (string | null)[], { windowMs }: ModelOptions): Stored {
  const [format, id, foldedTo, windows, scores] = reply
  if (reply.every((field) => field === null)) return { is: 'none' }
  const broken = (reason: string): Stored => ({ is: 'broken', id: id ?? '', reason })
  if (format !== FORMAT) return broken(`its format is '${format}', expected '${FORMAT}'`)
  const foldedToMs = Number(foldedTo ?? Number.NaN)
  if (!id || !Number.isSafeInteger(foldedToMs) || foldedToMs <= 0 || foldedToMs % windowMs !== 0)
    return broken(`it is folded to '${foldedTo}', expected the end of a window in ms since 1970`)
  return { is: 'there', head: { id, foldedToMs, windows: Number(windows ?? 0) || 0, scores: scoresOf(scores) } }
}

/** What can't be read is left out: scores are only shown. */
function scoresOf(text: string | null | undefined): PredictionScore[] {
  try {
    const all = JSON.parse(text ?? '[]')
    return Array.isArray(all) ? all.filter(isScore) : []
  } catch {
    return []
  }
}

function isScore(one: unknown): one is PredictionScore {
  const { predictor, toMs, limit, precision, coverage } = (one ?? {}) as Partial<PredictionScore>
  return (
    PREDICTORS.includes(predictor as PredictorName) &&
    [toMs, limit, precision, coverage].every((number) => typeof number === 'number' && Number.isFinite(number))
  )
}
