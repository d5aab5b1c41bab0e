import { getLogger } from '@logtape/logtape'
import type { Clock } from '../clock.ts'
import type { HeldLock, Locks } from '../coordination/types.ts'
import { type Failure, toFailure } from '../errors.ts'
import type { JobHandle } from '../job/job.ts'
import { traceIdOf } from '../job/trace.ts'
import type { JobRequest, JobResult } from '../types.ts'

const log = getLogger(['prewarm'])

export interface StartupOptions {
  settings: { startupDelayMs: number }
  submit: (request: JobRequest) => JobHandle
  /** Absent: other instances are not asked. */
  locks?: Locks | undefined
  clock: Clock
  /** Ends the wait, and cancels the job. */
  signal?: AbortSignal | undefined
}

/** What became of warming at the start. */
export type StartupOutcome =
  | { did: 'warmed'; result: JobResult }
  /** Another instance warms. */
  | { did: 'skipped'; holder: string }
  | { did: 'failed'; failure: Failure }
  /** Stopped before it began. */
  | { did: 'stopped' }

/**
 * Warms everything declared, once, `startupDelayMs` after it is called, under the lock `warmup`. Never rejects: a program
 * starts also where its cache can't be warmed.
 */
export async function warmOnStartup({
  settings,
  submit,
  locks,
  clock,
  signal,
}: StartupOptions): Promise<StartupOutcome> {
  await clock.sleep(settings.startupDelayMs, signal)
  if (signal?.aborted) return { did: 'stopped' }
  const traceId = traceIdOf(undefined)
  let lock: HeldLock | undefined
  try {
    const attempt = await locks?.acquire('warmup', traceId)
    if (attempt?.held === false) {
      const { holder } = attempt
      log.info('not warmed at the start: {holder} does already', { holder, traceId })
      return { did: 'skipped', holder }
    }
    lock = attempt?.lock
    if (signal?.aborted) return { did: 'stopped' }
    const signals = [signal, lock?.lost].filter((one) => one !== undefined)
    const result = await submit({
      traceId,
      source: 'startup',
      ...(lock === undefined ? {} : { fence: lock.fence }),
      ...(signals.length === 0 ? {} : { signal: AbortSignal.any(signals) }),
    }).result
    const { status, keys } = result
    const level = status === 'failed' ? 'error' : status === 'partial' || status === 'cancelled' ? 'warn' : 'info'
    log[level]('warmed at the start: {status}, {written} of {planned} keys written', { status, traceId, ...keys })
    return { did: 'warmed', result }
  } catch (error) {
    const failure = toFailure(error)
    log.error('could not warm at the start: {message}', { ...failure, traceId })
    return { did: 'failed', failure }
  } finally {
    await lock?.release()
  }
}
