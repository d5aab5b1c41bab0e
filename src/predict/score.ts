/** What is known of one key's reads. */
export interface Reads {
  /** In the window that ends now. */
  recent: number
  /** In the window of the same length before that one. */
  historical: number
  /** Since the last read, ms. */
  ageMs: number
}

export interface Score {
  score: number
  /** Reads an hour. */
  frequency: number
  /** 0.5: half as many again as before. At least -1; 0 without a history. */
  growth: number
  /** 2 if read within 5 min, 1.5 within 30 min, else 1. */
  bonus: number
}

const HOUR_MS = 3_600_000
const MINUTE_MS = 60_000

/** `score = frequency * (1 + growth) * bonus`. @param windowMs length of each window, > 0 */
export function heuristicScore({ recent, historical, ageMs }: Reads, windowMs: number): Score {
  const frequency = (recent * HOUR_MS) / windowMs
  const growth = historical > 0 ? Math.max(-1, (recent - historical) / historical) : 0
  const bonus = ageMs < 5 * MINUTE_MS ? 2 : ageMs < 30 * MINUTE_MS ? 1.5 : 1
  return { score: frequency * (1 + growth) * bonus, frequency, growth, bonus }
}

/** `12 reads/h, growth +50 %, last read 2 min ago` */
export function reasonOf({ frequency, growth }: Score, { historical, ageMs }: Reads): string {
  const rate = frequency >= 10 ? Math.round(frequency) : Math.round(frequency * 10) / 10
  const change = historical > 0 ? `growth ${growth < 0 ? '' : '+'}${Math.round(growth * 100)} %` : 'no history'
  return `${rate} reads/h, ${change}, last read ${Math.floor(Math.max(0, ageMs) / MINUTE_MS)} min ago`
}
