import { PrewarmError } from './errors.ts'

/** Time as the product sees it; injected, so that tests can hold it still. */
export interface Clock {
  /** Wall clock, ms since 1970. */
  nowMs(): number
  /** Monotonic, nanoseconds from an arbitrary start. */
  nowNs(): number
  /** Resolves after `ms`, or at once, without an error, when `signal` aborts. */
  sleep(ms: number, signal?: AbortSignal): Promise<void>
  /** Calls `fn` once after `ms`; the returned function takes it back. */
  after(ms: number, fn: () => void): () => void
}

/** The real clock. `nowNs` comes from the runtime (`Bun.nanoseconds` under Bun). */
export function systemClock(nowNs: () => number): Clock {
  return {
    nowMs: () => Date.now(),
    nowNs,
    after(ms, fn) {
      const timer = setTimeout(fn, ms)
      return () => clearTimeout(timer)
    },
    sleep(ms, signal) {
      return new Promise((resolve) => {
        if (signal?.aborted) return resolve()
        const done = () => {
          clearTimeout(timer)
          signal?.removeEventListener('abort', done)
          resolve()
        }
        const timer = setTimeout(done, ms)
        signal?.addEventListener('abort', done, { once: true })
      })
    },
  }
}

/**
 * `work` bounded by a deadline and a signal. `cancel` tells the loser why to stop; its late error is dropped.
 *
 * @throws {PrewarmError} `ORIGIN_TIMEOUT`, or `JOB_CANCELLED` when `signal` aborts
 */
export function bounded<T>(
  work: PromiseLike<T>,
  {
    timeoutMs,
    signal,
    what,
    cancel,
  }: { timeoutMs: number; signal: AbortSignal; what: string; cancel?: (reason: PrewarmError) => void },
): Promise<T> {
  return new Promise<T>((resolve, reject) => {
    const stop = (error: PrewarmError) => {
      finish()
      cancel?.(error)
      reject(error)
    }
    const aborted = () => stop(new PrewarmError('JOB_CANCELLED', `${what} was cancelled`))
    const timer = setTimeout(
      () => stop(new PrewarmError('ORIGIN_TIMEOUT', `${what} took longer than ${timeoutMs} ms`)),
      timeoutMs,
    )
    const finish = () => {
      clearTimeout(timer)
      signal.removeEventListener('abort', aborted)
    }
    if (signal.aborted) aborted()
    else signal.addEventListener('abort', aborted, { once: true })
    work.then(
      (value) => {
        finish()
        resolve(value)
      },
      (error) => {
        finish()
        reject(error)
      },
    )
  })
}
