import { PrewarmError } from '../errors.ts'

/** Whether a target is a key in Redis rather than a file. */
export function isRedisTarget(to: string): boolean {
  return to.startsWith('redis:')
}

/** @throws {PrewarmError} `USAGE` */
export function checkTarget(to: string): string {
  if (isRedisTarget(to) ? /^redis:[\w.-]{1,64}$/.test(to) : to !== '') return to
  const expected = "a file, or 'redis:NAME' with a name of letters, digits, '.', '-' and '_'"
  throw new PrewarmError('USAGE', `the snapshot's place is '${to}', expected ${expected}`)
}

/** @throws {PrewarmError} `JOB_CANCELLED` */
export function assertGoesOn(name: string, signal: AbortSignal): void {
  if (signal.aborted) throw new PrewarmError('JOB_CANCELLED', `Saving ${name} was cut off: the old one stays`)
}
