import { bounded, type Clock } from '../../clock.ts'
import { isPrewarmError, PrewarmError, redact } from '../../errors.ts'
import type { Ranking, Strategy, StrategyContext } from './types.ts'

export interface CheckedOptions {
  /** The strategy's name. */
  name: string
  /** Bound on the ranking. */
  timeoutMs: number
  clock: Clock
  signal: AbortSignal
}

/**
 * What a user's strategy makes of `keys`.
 *
 * @throws {PrewarmError} `CONFIG_INVALID` naming the strategy and what is wrong with it; `JOB_CANCELLED` when `signal` aborts
 */
export async function rankChecked(
  strategy: Strategy,
  keys: readonly string[],
  context: StrategyContext,
  { name, timeoutMs, clock, signal }: CheckedOptions,
): Promise<Ranking> {
  const what = `strategies.${name}.rank`
  const invalid = (problem: string, cause?: unknown) =>
    new PrewarmError('CONFIG_INVALID', `${what} ${problem}, for task '${context.task}'`, { cause })
  const startNs = clock.nowNs()
  // A copy: what it does to the list must not change what it is held against.
  const work = async () => strategy.rank([...keys], context)
  let ranking: Ranking
  try {
    ranking = await bounded(work(), { timeoutMs, signal, what })
  } catch (error) {
    if (signal.aborted) throw error
    if (isPrewarmError(error) && error.code === 'ORIGIN_TIMEOUT') throw invalid(`took longer than ${timeoutMs} ms`)
    throw invalid(threw(error), error)
  }
  if ((clock.nowNs() - startNs) / 1e6 > timeoutMs) throw invalid(`took longer than ${timeoutMs} ms`)
  const problem = problemOf(ranking, keys)
  if (problem !== null) throw invalid(problem)
  return copyOf(ranking)
}

/**
 * What another function of a user's strategy gives.
 *
 * @param isNumber it must be a finite number
 * @throws {PrewarmError} `CONFIG_INVALID` naming the function and what is wrong with it
 */
export function askChecked<T>(what: string, task: string, ask: () => T, isNumber = true): T {
  const invalid = (problem: string, cause?: unknown) =>
    new PrewarmError('CONFIG_INVALID', `${what} ${problem}, for task '${task}'`, { cause })
  let answer: T
  try {
    answer = ask()
  } catch (error) {
    throw invalid(threw(error), error)
  }
  if (isNumber && !Number.isFinite(answer)) throw invalid(`gave ${String(answer)}, expected a finite number`)
  return answer
}

function threw(error: unknown): string {
  return `threw: ${redact(error instanceof Error ? error.message : String(error))}`
}

/** It may use its lists again, for another task. */
function copyOf({ keys, priorities }: Ranking): Ranking {
  return { keys: [...keys], priorities: typeof priorities === 'number' ? priorities : Float64Array.from(priorities) }
}

function problemOf(ranking: Ranking, given: readonly string[]): string | null {
  const { keys, priorities } = (ranking ?? {}) as Partial<Ranking>
  if (!Array.isArray(keys)) return 'gave no list of keys: return { keys, priorities }'
  const known = new Set(given)
  for (const key of keys) {
    if (known.delete(key)) continue
    const isTwice = given.includes(key)
    return isTwice ? `gave the key '${key}' twice` : `gave the key '${String(key)}', which it was not given`
  }
  if (typeof priorities === 'number')
    return Number.isFinite(priorities) ? null : `gave the priority ${priorities}, expected a finite number`
  if (typeof priorities !== 'object' || priorities === null || priorities.length !== keys.length)
    return `gave ${keys.length} keys and not as many priorities: give one number, or one for each key`
  for (let at = 0; at < keys.length; at++) {
    const priority = priorities[at] as number
    if (typeof priority !== 'number' || !Number.isFinite(priority))
      return `gave '${keys[at]}' the priority ${String(priority)}, expected a finite number`
    const before = at === 0 ? Number.POSITIVE_INFINITY : (priorities[at - 1] as number)
    if (priority > before)
      return `gave '${keys[at]}' the priority ${priority} after ${before}: list keys by priority, highest first`
  }
  return null
}
