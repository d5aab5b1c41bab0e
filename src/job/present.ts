import type { Clock } from '../clock.ts'
import type { Store } from '../store/types.ts'

/** How long a job's end waits for the store to answer, ms. */
const PATIENCE_MS = 1000

/**
 * Of a sample of keys that were in the store, the share that still is. 1 where nothing can be told: a store that does not
 * answer holds no job up.
 */
export async function presentShare(store: Store, sample: readonly string[], clock: Clock): Promise<number> {
  if (sample.length === 0) return 1
  const timeout = new AbortController()
  const waited = clock.sleep(PATIENCE_MS, timeout.signal).then(() => 1)
  const told = store.ttlsMs(sample).then(
    (ttls) => ttls.filter((ttlMs) => ttlMs !== -2).length / sample.length,
    () => 1,
  )
  const share = await Promise.race([told, waited])
  timeout.abort()
  return share
}
