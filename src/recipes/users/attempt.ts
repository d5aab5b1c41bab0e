import type { Clock } from '../../clock.ts'
import { isPrewarmError, PrewarmError } from '../../define.ts'

export interface Patience {
  /** Bound on one try, ms. */
  timeoutMs: number
  /** Further tries after a failure that may pass. */
  retries: number
  /** Before the second try; doubles with each. */
  backoffMs: number
  clock: Clock
}

/** Codes, ours and SQLSTATEs, of failures that another try can't help: a wrong value, query, or password. */
const LASTING = /^(KEY_INVALID|VALUE_INVALID|USAGE|STOPPED|(22|28|3D|42)[0-9A-Z]{3})$/

/**
 * Does `work`, again if it fails in a way that may pass. Its signal aborts when its time is over; what it brings after that
 * is dropped.
 *
 * @throws the last try's error; {@linkcode PrewarmError} `ORIGIN_TIMEOUT`
 */
export async function attempt<T>(
  what: string,
  work: (signal: AbortSignal) => Promise<T>,
  patience: Patience,
): Promise<T> {
  const { retries, backoffMs, clock } = patience
  for (let failures = 0; ; failures++) {
    try {
      return await once(what, work, patience)
    } catch (error) {
      if (failures >= retries || isLasting(error)) throw error
      await clock.sleep(backoffMs * 2 ** failures)
    }
  }
}

function once<T>(what: string, work: (signal: AbortSignal) => Promise<T>, { timeoutMs, clock }: Patience): Promise<T> {
  const abort = new AbortController()
  return new Promise((resolve, reject) => {
    const takeBack = clock.after(timeoutMs, () => {
      const error = new PrewarmError('ORIGIN_TIMEOUT', `${what} took longer than ${timeoutMs} ms`)
      abort.abort(error)
      reject(error)
    })
    // A function that throws at once is like one that rejects.
    void Promise.resolve()
      .then(() => work(abort.signal))
      .then(resolve, reject)
      .finally(takeBack)
  })
}

function isLasting(error: unknown): boolean {
  const code = (error as { code?: unknown } | null)?.code
  const detail = isPrewarmError(error) ? error.detail : undefined
  return LASTING.test(String(code)) || (detail !== undefined && LASTING.test(detail))
}
