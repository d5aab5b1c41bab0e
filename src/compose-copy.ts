import { resolve } from 'node:path'
import { systemClock } from './clock.ts'
import type { CopyOptions } from './copy/copy.ts'
import { copyKeys } from './copy/copy.ts'
import { rawOf } from './copy/raw-key.ts'
import { RedisEnd } from './copy/redis.ts'
import type { CopyReport } from './copy/report.ts'
import { PrewarmError, redact } from './errors.ts'
import type { Runtime } from './runtime/types.ts'
import { fileTarget } from './snapshot/file.ts'
import { parseSnapshot } from './snapshot/format.ts'

export interface CopyRequest extends Omit<CopyOptions, 'keys'> {
  /** `redis://` or `rediss://` */
  from: string
  to: string
  /** A snapshot's file: its keys are copied, in its order. */
  snapshot?: string | undefined
}

/** What an interrupt, or the deadline, leaves the servers to answer, ms. */
const GRACE_MS = 1000

/**
 * Copies hot keys from one Redis to another: see `copyKeys`. Needs no configuration.
 *
 * @throws {PrewarmError} `USAGE`, `NOT_FOUND`, `SNAPSHOT_INVALID`, `STORE_UNREACHABLE`, `STORE_REFUSED`; `JOB_CANCELLED`,
 *   `JOB_TIMEOUT` before both servers have answered
 */
export async function copyBetween(request: CopyRequest, { nowNs }: Runtime): Promise<CopyReport> {
  const { from, to, snapshot, ...options } = request
  if (from === to) throw new PrewarmError('USAGE', '--from and --to are the same: name another server')
  const clock = systemClock(nowNs)
  const keys = snapshot === undefined ? undefined : await keysOf(snapshot)
  const source = new RedisEnd({ url: from, clock })
  const target = new RedisEnd({ url: to, clock })
  const close = () => {
    source.close()
    target.close()
  }
  let isLate = false
  const late = () => {
    isLate = true
    close()
  }
  const timers = [clock.after(options.timeoutMs + GRACE_MS, late)]
  options.signal.addEventListener('abort', () => timers.push(clock.after(GRACE_MS, close)))
  try {
    return await copyKeys({ source, target, clock }, { ...options, keys })
  } catch (error) {
    if (options.signal.aborted) throw new PrewarmError('JOB_CANCELLED', 'interrupted')
    if (!isLate) throw error
    throw new PrewarmError('JOB_TIMEOUT', `Not both servers answered within --timeout: ${redact(`${from}, ${to}`)}`)
  } finally {
    for (const takeBack of timers) takeBack()
    close()
  }
}

async function keysOf(file: string): Promise<string[]> {
  const text = await fileTarget(file, resolve(file)).read()
  if (text === null) throw new PrewarmError('NOT_FOUND', `There is no snapshot ${file}: check --snapshot`)
  return parseSnapshot(text, file).entries.map(({ key }) => rawOf(key))
}
