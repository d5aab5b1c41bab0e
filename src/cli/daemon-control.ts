import process from 'node:process'
import type { Command } from 'commander'
import { showMs } from '../config/duration.ts'
import { ask } from '../daemon/ask.ts'
import type { DaemonStatus } from '../daemon/control.ts'
import { find } from '../daemon/find.ts'
import { type DaemonFiles, daemonFiles } from '../daemon/folder.ts'
import { follow, lastLines, sizeOf } from '../daemon/logs.ts'
import type { Reloaded } from '../daemon/service.ts'
import { readStart } from '../daemon/start.ts'
import { stopDaemon } from '../daemon/stop.ts'
import { PrewarmError } from '../errors.ts'
import { PrewarmCommand } from './command.ts'
import type { Cli } from './context.ts'
import { EXIT } from './failure.ts'
import { watchInterrupts } from './interrupt.ts'
import { numberOf } from './values.ts'

export interface DaemonFlags {
  name: string
  json?: boolean
}

interface LogsFlags extends DaemonFlags {
  follow?: boolean
  lines: number
}

/** A reload reads the configuration and replaces the workers one after the other. */
const RELOAD_TIMEOUT_MS = 120_000

export function addName<C extends Command>(command: C): C {
  return command.option('--name <NAME>', 'which daemon, where there are several', 'default')
}

/** `prewarm daemon stop` */
export function stopCommand({ io, runtime }: Cli): Command {
  return controlCommand('stop', 'Stop a daemon: it finishes its jobs first, for as long as its --drain').action(
    async ({ name, json }: DaemonFlags) => {
      const outcome = await stopDaemon(daemonFiles(runtime.env, name))
      const text =
        outcome.state === 'not running'
          ? `daemon '${name}' is not running`
          : outcome.state === 'stopped'
            ? `daemon '${name}' has ended (pid ${outcome.pid})`
            : `daemon '${name}' did not end within ${showMs(outcome.waitedMs)} and was killed (pid ${outcome.pid})`
      await io.answer(json === true ? JSON.stringify({ name, ...outcome }) : text)
      if (outcome.state === 'killed') process.exitCode = EXIT.failed
    },
  )
}

/** `prewarm daemon status` */
export function statusCommand({ io, runtime }: Cli): Command {
  return controlCommand('status', 'Show whether a daemon runs, where it listens, and how it is').action(
    async ({ name, json }: DaemonFlags) => {
      const files = daemonFiles(runtime.env, name)
      const pid = await requireRunning(files)
      const status = await ask<DaemonStatus>(files.socket, 'GET', '/status')
      if (status === null) throw silent(files, pid)
      await io.answer(json === true ? JSON.stringify(status) : statusText(status))
    },
  )
}

/** `prewarm daemon reload` */
export function reloadCommand({ io, runtime }: Cli): Command {
  return controlCommand('reload', 'Let a daemon read its configuration again; what is queued goes on').action(
    async ({ name, json }: DaemonFlags) => {
      const files = daemonFiles(runtime.env, name)
      const pid = await requireRunning(files)
      const outcome = await ask<Reloaded>(files.socket, 'POST', '/reload', RELOAD_TIMEOUT_MS)
      if (outcome === null) throw silent(files, pid)
      if (!outcome.ok)
        throw new PrewarmError(outcome.failure.code, `The configuration stays as it was: ${outcome.failure.message}`)
      const { restart } = outcome
      const rest = restart.length === 0 ? '' : `; only a restart changes ${restart.join(', ')}`
      await io.answer(
        json === true ? JSON.stringify({ name, restart }) : `daemon '${name}' goes by the new configuration${rest}`,
      )
    },
  )
}

/** `prewarm daemon logs` */
export function logsCommand({ io, runtime }: Cli): Command {
  return controlCommand('logs', "Show the end of a daemon's log")
    .option('-f, --follow', 'go on with what is written, until interrupted')
    .option('-n, --lines <N>', 'how many lines', numberOf('--lines', [0, 1_000_000, true]), 100)
    .action(async ({ name, follow: isFollowed, lines, json }: LogsFlags) => {
      const files = daemonFiles(runtime.env, name)
      if (json === true && isFollowed === true) {
        throw new PrewarmError('USAGE', '--json and --follow exclude each other: leave one of them out')
      }
      const log = readStart(files)?.log
      if (log !== undefined) {
        const from = sizeOf(log)
        const last = lastLines(log, lines)
        if (json === true) {
          const running = (await find(files)).state === 'running'
          await io.answer(JSON.stringify({ name, log, running, lines: last }))
          if (!running) process.exitCode = EXIT.failed
          return
        }
        if (last.length > 0) await io.answer(last.join('\n'))
        if (isFollowed === true) {
          await follow(log, from, (bytes) => void process.stdout.write(bytes), watchInterrupts())
          return
        }
      }
      await requireRunning(files)
    })
}

function controlCommand(name: string, description: string): Command {
  const command = new PrewarmCommand(name)
    .description(description)
    .option('--json', 'print exactly one JSON object on stdout')
    .addHelpText('after', `\nExample:\n  $ prewarm daemon ${name}`)
  return addName(command)
}

/** @throws {PrewarmError} `DAEMON_NOT_RUNNING` */
async function requireRunning(files: DaemonFiles): Promise<number> {
  const found = await find(files)
  if (found.state === 'running') return found.owner.pid
  const killed = found.state === 'dead' ? ` (pid ${found.owner.pid} is gone: it was killed)` : ''
  const flag = files.name === 'default' ? '' : ` --name ${files.name}`
  const message = `Daemon '${files.name}' is not running${killed}: start it with 'prewarm daemon start${flag}'`
  throw new PrewarmError('DAEMON_NOT_RUNNING', message)
}

function silent({ name }: DaemonFiles, pid: number): PrewarmError {
  return new PrewarmError('DAEMON_FAILED', `Daemon '${name}' runs (pid ${pid}) but does not answer: see its logs`)
}

function statusText(status: DaemonStatus): string {
  const { name, pid, phase, url, version, startedAt, configFile, log, failures, lastJob: job } = status
  const isFine = phase === 'serving' && status.ready
  const health =
    phase !== 'serving' ? phase : isFine ? 'ready' : `not ready: ${failures.map((one) => one.message).join('; ')}`
  const last =
    job === null
      ? 'none'
      : `${job.id}: ${job.status}, from ${job.source} at ${job.submittedAt}, ${job.keysWritten ?? '?'} of ${job.keysPlanned ?? '?'} keys written`
  return [
    `daemon    '${name}', version ${version}, pid ${pid}`,
    `health    ${health}${isFine && !status.warm ? ', not warm yet' : ''}`,
    `uptime    ${showMs(Date.now() - Date.parse(startedAt))}`,
    `listens   ${url ?? 'not yet'}`,
    `config    ${configFile}`,
    `log       ${log}`,
    `jobs      ${status.activeJobs} active; last ${last}`,
  ].join('\n')
}
