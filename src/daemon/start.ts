import { chmodSync, existsSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { dirname } from 'node:path'
import process from 'node:process'
import { PrewarmError } from '../errors.ts'
import type { Runtime } from '../runtime/types.ts'
import { ask } from './ask.ts'
import { claim } from './claim.ts'
import type { Identity, Ready } from './control.ts'
import { find, sweep } from './find.ts'
import { checkLogFolder, type DaemonFiles } from './folder.ts'
import { linesSince, sizeOf } from './logs.ts'
import { stampOf } from './process.ts'
import { endProcess } from './stop.ts'

/** How a daemon was started: what `restart` does again. Holds no secret. */
export interface StartRecord {
  /** The arguments of `prewarm daemon exec`. */
  args: string[]
  cwd: string
  configFile: string
  log: string
  /** URLs that were given as flags; they are not written anywhere. */
  urls: string[]
}

export interface StartOptions {
  files: DaemonFiles
  record: StartRecord
  /** The daemon's whole environment. */
  env: Readonly<Record<string, string | undefined>>
  runtime: Runtime
  /** How long it may take to be ready, ms. */
  deadlineMs: number
  /** Ready only when its first warm-up has ended, or its time is up. */
  waitWarm: boolean
  /** Gives up when it aborts. */
  signal: AbortSignal
}

const POLL_MS = 50
const SHOWN_LINES = 20
/** What a daemon that is not wanted after all may take to end before it is killed, ms. */
const GIVE_UP_MS = 5000

/**
 * Starts a daemon; resolves when it is ready. One that does not get there is ended again.
 *
 * @throws {PrewarmError} `DAEMON_RUNNING`; `DAEMON_FAILED` with the last lines of its log; `JOB_CANCELLED`
 */
export async function startDaemon(options: StartOptions): Promise<Identity> {
  const { files, record, env, runtime } = options
  checkLogFolder(dirname(record.log))
  const lock = claim(files.lock, { pid: process.pid, stamp: stampOf(process.pid) ?? '' })
  if (!lock.mine) {
    const who = `another 'prewarm daemon start' (pid ${lock.holder.pid})`
    throw new PrewarmError('DAEMON_RUNNING', `Daemon '${files.name}' is being started by ${who}`)
  }
  try {
    const found = await find(files)
    if (found.state === 'running') throw await runningError(files, found.owner.pid)
    if (found.state === 'dead') sweep(files, found.owner)
    writeRecord(files.start, record)
    const from = sizeOf(record.log)
    const child = runtime.spawnDetached(record.args, record.log, env)
    chmodSync(record.log, 0o600)
    return await untilReady(child, from, options)
  } finally {
    lock.release()
  }
}

/** How the daemon was last started; null if it never was. */
export function readStart(files: DaemonFiles): StartRecord | null {
  if (!existsSync(files.start)) return null
  try {
    return JSON.parse(readFileSync(files.start, 'utf8')) as StartRecord
  } catch {
    return null
  }
}

async function untilReady(
  { pid, exited }: { pid: number; exited: Promise<number | null> },
  from: number,
  { files, record, deadlineMs, waitWarm, signal }: StartOptions,
): Promise<Identity> {
  let gone: { code: number | null } | undefined
  void exited.then((code) => {
    gone = { code }
  })
  const owner = { pid, stamp: stampOf(pid) ?? '' }
  const end = performance.now() + deadlineMs
  let seen: Ready | null = null
  for (;;) {
    if (gone !== undefined) {
      const how = gone.code === null ? 'was ended by a signal' : `ended with exit code ${gone.code}`
      throw failed(`Daemon '${files.name}' ${how} before it was ready`, record.log, from)
    }
    if (signal.aborted || performance.now() >= end) break
    seen = (await ask<Ready>(files.socket, 'GET', '/ready')) ?? seen
    if (seen?.ready === true && (seen.warm || !waitWarm)) {
      // Asked afterwards: only now does it know where it listens.
      const identity = await ask<Identity>(files.socket, 'GET', '/identity')
      if (identity?.pid === pid) return identity
    }
    await new Promise((resolve) => setTimeout(resolve, POLL_MS))
  }
  await endProcess(owner, GIVE_UP_MS)
  sweep(files, owner)
  if (signal.aborted) throw new PrewarmError('JOB_CANCELLED', 'interrupted')
  const missing = seen?.failures.map(({ message }) => message).join('; ')
  const why =
    missing ||
    (seen?.ready === true
      ? 'its first warm-up had not ended: ENABLE_CACHE_WARMING_ON_STARTUP=true begins one at the start'
      : (seen?.phase ?? 'it said nothing'))
  const message = `Daemon '${files.name}' was not ready within ${deadlineMs} ms (${why}) and was ended`
  throw failed(message, record.log, from)
}

/** The message's further lines are the end of what the daemon logged. */
function failed(message: string, log: string, from: number): PrewarmError {
  const lines = linesSince(log, from).slice(-SHOWN_LINES)
  const detail = lines.join('\n')
  return new PrewarmError('DAEMON_FAILED', `${message}; its log is ${log}`, detail === '' ? {} : { detail })
}

/** @param pid of the one that runs */
async function runningError(files: DaemonFiles, pid: number): Promise<PrewarmError> {
  const identity = await ask<Identity>(files.socket, 'GET', '/identity', 1000)
  const where = identity?.url == null ? '' : ` and listens at ${identity.url}`
  const hint = `stop it with 'prewarm daemon stop', or start another with --name`
  return new PrewarmError('DAEMON_RUNNING', `Daemon '${files.name}' is already running: pid ${pid}${where}; ${hint}`)
}

/** Renamed, so that nobody reads half of it. */
function writeRecord(file: string, record: StartRecord): void {
  const draft = `${file}.${process.pid}`
  try {
    writeFileSync(draft, JSON.stringify(record), { mode: 0o600 })
    renameSync(draft, file)
  } finally {
    rmSync(draft, { force: true })
  }
}
