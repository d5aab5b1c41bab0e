import { type Failure, toFailure } from '../errors.ts'

/** Why a request's own signal has ended its job. */
export function abortFailure(signal: AbortSignal): Failure {
  const failure = toFailure(signal.reason)
  return failure.code === 'INTERNAL' ? { code: 'JOB_CANCELLED', message: 'The job was cancelled' } : failure
}

/** Ends when `work` does, or quietly when `signal` aborts: whoever aborted has settled the lanes already. */
export function unlessAborted(work: Promise<unknown>, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal.aborted) resolve()
    signal.addEventListener('abort', () => resolve(), { once: true })
    work.then(() => resolve(), reject)
  })
}
