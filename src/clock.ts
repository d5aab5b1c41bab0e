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
