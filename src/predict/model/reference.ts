import { HOUR_MS } from './words.ts'

/** Lengths of time since the last read, ms, that earn a bonus: of 2.0 below the first, of 1.5 below the second. */
export const BONUS_MS: readonly [number, number] = [5 * 60_000, 30 * 60_000]

/** What is known of one key's reads when a window ends. */
export interface KeyReads {
  /** Since the record began. */
  total: number
  /** In the last window. */
  recent: number
  /** Since the last read, ms. */
  ageMs: number
}

export interface ReferenceScore {
  score: number
  /** Reads an hour since the record began. */
  frequency: number
  /** 0.5: half as many again as before. At least -1; 1 for a key that had no read before the last window. */
  growth: number
  /** 2, 1.5 or 1, by the time since the last read. */
  bonus: number
}

/**
 * `score = frequency * (1 + growth) * bonus`, with `growth = (recent - historical) / historical`: `frequency` is by the whole
 * record, `recent` the rate of the last window and `historical` the rate before it.
 *
 * @param elapsedMs length of the whole record, > 0 @param windowMs of its last window; at most all of it
 */
export function referenceScore(
  { total, recent, ageMs }: KeyReads,
  {
    elapsedMs,
    windowMs,
    bonusMs = BONUS_MS,
  }: { elapsedMs: number; windowMs: number; bonusMs?: readonly [number, number] },
): ReferenceScore {
  const frequency = (total * HOUR_MS) / elapsedMs
  const earlier = total - recent
  const historical = earlier > 0 && elapsedMs > windowMs ? earlier / (elapsedMs - windowMs) : 0
  const growth = historical > 0 ? Math.max(-1, (recent / windowMs - historical) / historical) : 1
  const bonus = ageMs < bonusMs[0] ? 2 : ageMs < bonusMs[1] ? 1.5 : 1
  return { score: frequency * (1 + growth) * bonus, frequency, growth, bonus }
}
