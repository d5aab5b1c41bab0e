import type { Clock } from '../clock.ts'

/** How long a job waits for reads and costs, ms. */
const PATIENCE_MS = 1000

/** What `ask` answers; `instead` where it takes longer than a second, or throws after all. */
export async function within<T>(ask: () => Promise<T>, instead: T, clock: Clock): Promise<T> {
  const answered = new AbortController()
  const late = clock.sleep(PATIENCE_MS, answered.signal).then(() => instead)
  const answer = await Promise.race([ask().catch(() => instead), late])
  answered.abort()
  return answer
}
