/** No pause grows beyond this, ms. */
const MAX_BACKOFF_MS = 30_000

/**
 * The pause before try `attempt + 1` (0 is the first failure): exponential, with full jitter.
 * https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/
 */
export function backoffMs(attempt: number, baseMs: number, random: () => number): number {
  return random() * Math.min(MAX_BACKOFF_MS, baseMs * 2 ** attempt)
}
