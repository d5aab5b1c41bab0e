import { rmSync } from 'node:fs'
import process from 'node:process'
import { ownVariables } from '../config/environment.ts'
import { PrewarmError } from '../errors.ts'
import type { Runtime } from '../runtime/types.ts'
import { claim } from './claim.ts'
import { controlHandler, type Identity } from './control.ts'
import type { DaemonOwner } from './find.ts'
import type { DaemonFiles } from './folder.ts'
import { stampOf } from './process.ts'
import { type LogLimits, LogRotation } from './rotate.ts'
import type { Reloaded, Service } from './service.ts'

export interface DaemonOptions {
  files: DaemonFiles
  runtime: Runtime
  log: string
  limits: LogLimits
  drainMs: number
  configFile: string
  version: string
  /** Reloads, and says what came of it. */
  reload: (service: Service) => Promise<Reloaded>
}

/** What serving takes from the daemon. */
export interface DaemonHooks {
  stop: AbortSignal
  onLine: () => void
  onService: (service: Service) => void
}

/**
 * Is the daemon for as long as `serve` lasts: holds the pid file, answers on the control socket, keeps the log in bounds.
 *
 * @throws {PrewarmError} `DAEMON_RUNNING` if another is, or what `serve` throws
 */
export async function beDaemon(options: DaemonOptions, serve: (hooks: DaemonHooks) => Promise<void>): Promise<void> {
  const { files, runtime, log, limits, drainMs, configFile, version } = options
  const rotation = new LogRotation(log, limits)
  const startedAt = new Date().toISOString()
  const own: DaemonOwner = { pid: process.pid, stamp: stampOf(process.pid) ?? '', startedAt, drainMs, log }
  const claimed = claim(files.pid, own)
  if (!claimed.mine) {
    throw new PrewarmError('DAEMON_RUNNING', `Daemon '${files.name}' is already running: pid ${claimed.holder.pid}`)
  }
  // Also when a second signal ends the program at once.
  process.on('exit', claimed.release)
  const stop = new AbortController()
  let service: Service | undefined
  const identity = (): Identity => ({
    pid: process.pid,
    name: files.name,
    version,
    startedAt,
    configFile,
    url: service?.url ?? null,
    log,
    drainMs,
    phase: stop.signal.aborted || service?.isStopping ? 'stopping' : service === undefined ? 'starting' : 'serving',
  })
  const starting: Reloaded = { ok: false, failure: { code: 'NOT_READY', message: 'The daemon is still starting' } }
  const handle = controlHandler({
    identity,
    service: () => service,
    reload: async () => (service === undefined ? starting : options.reload(service)),
    stop: () => stop.abort(),
    variables: () => startVariables(runtime.env),
  })
  // Whoever left it is dead: the pid file is ours.
  rmSync(files.socket, { force: true })
  const control = await runtime.serveHttp({ unix: files.socket, fetch: handle })
  try {
    await serve({
      stop: stop.signal,
      onLine: () => rotation.check(),
      onService: (served) => {
        service = served
      },
    })
  } finally {
    await control.stop(200)
    rmSync(files.socket, { force: true })
    rotation.stop()
    claimed.release()
  }
}

/** What a restart must give the next daemon, too. */
export function startVariables(env: Readonly<Record<string, string | undefined>>): Record<string, string> {
  const { PREWARM_JWT_SECRET: secret } = env
  return { ...ownVariables(env), ...(secret === undefined ? {} : { PREWARM_JWT_SECRET: secret }) }
}
