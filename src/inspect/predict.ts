import type { HotKey } from '../coordination/types.ts'
import type { WarmerFacade } from '../facade.ts'
import { wholeBuckets } from '../predict/online/spans.ts'
import type { PredictionScore, PredictorName } from '../predict/types.ts'

/** Which keys are likely to be read soon, and how far that can be trusted. */
export interface HotKeys {
  predictor: PredictorName
  /** What is read in a time of this length is predicted. */
  windowMs: number
  /** ISO 8601: the end of the last window that was learned from; null before the first. */
  learnedUntil: string | null
  /** Windows that were learned from. */
  windows: number
  /** Hottest first. `task`: the one that can warm it; null: none. */
  keys: (HotKey & { task: string | null })[]
  /** How predictions of the last window did; empty before the second. */
  scores: Omit<PredictionScore, 'toMs'>[]
}

/** @throws {PrewarmError} `STORE_UNREACHABLE`, `STORE_REFUSED`, `REQUEST_INVALID`, `MODEL_INVALID` */
export async function hotKeys(
  warmer: Pick<WarmerFacade, 'predict' | 'prediction' | 'tasksOf' | 'config'>,
  { limit, predictor }: { limit: number; predictor?: PredictorName | undefined },
): Promise<HotKeys> {
  const windowMs = wholeBuckets(warmer.config.settings.prediction.windowMs)
  const hot = await warmer.predict({ limit, windowMs, ...(predictor === undefined ? {} : { predictor }) })
  // Asked afterwards: it may have learned from another window for this answer.
  const status = await warmer.prediction()
  const tasks = new Map<string, string>()
  for (const [task, keys] of warmer.tasksOf(hot.map(({ key }) => key)).matched)
    for (const key of keys) tasks.set(key, task)
  return {
    predictor: predictor ?? status.predictor,
    windowMs: status.windowMs,
    learnedUntil: learnedUntil(status),
    windows: status.windows,
    keys: hot.map(({ key, score, reason }) => ({ key, score, reason, task: tasks.get(key) ?? null })),
    scores: status.scores.map(({ toMs: _, ...score }) => score),
  }
}

/** ISO 8601 */
export function learnedUntil({ foldedToMs }: { foldedToMs: number | null }): string | null {
  return foldedToMs === null ? null : new Date(foldedToMs).toISOString()
}
