import process from 'node:process'
import { PrewarmError } from '../errors.ts'
import { EXIT } from './failure.ts'

/** Aborts at the first Ctrl-C or SIGTERM. The second ends the program at once. */
export function watchInterrupts(): AbortSignal {
  const abort = new AbortController()
  const interrupt = () => {
    if (abort.signal.aborted) process.exit(EXIT.interrupted)
    abort.abort()
  }
  process.on('SIGINT', interrupt)
  process.on('SIGTERM', interrupt)
  return abort.signal
}

/**
 * `work`, unless the user interrupts first.
 *
 * @throws {PrewarmError} `JOB_CANCELLED`
 */
export function unlessInterrupted<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const interrupted = () => reject(new PrewarmError('JOB_CANCELLED', 'interrupted'))
    if (signal.aborted) interrupted()
    signal.addEventListener('abort', interrupted, { once: true })
    work.then(resolve, reject).finally(() => signal.removeEventListener('abort', interrupted))
  })
}

/** Resolves after `work`, or after `timeoutMs`. Never rejects. */
export async function atMost(timeoutMs: number, work: Promise<unknown>): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>()
  const timer = setTimeout(resolve, Math.max(0, timeoutMs))
  await Promise.race([work.catch(() => {}), promise])
  clearTimeout(timer)
}
