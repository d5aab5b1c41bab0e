import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import process from 'node:process'
import { fileURLToPath } from 'node:url'
import { type Command, Option } from 'commander'
import type { Config } from '../config/load.ts'
import { ask } from '../daemon/ask.ts'
import type { Identity } from '../daemon/control.ts'
import { beDaemon } from '../daemon/exec.ts'
import { type DaemonFiles, daemonFiles } from '../daemon/folder.ts'
import { LOG_LIMITS } from '../daemon/rotate.ts'
import { readStart, type StartRecord, startDaemon } from '../daemon/start.ts'
import { stopDaemon } from '../daemon/stop.ts'
import { isPrewarmError, PrewarmError } from '../errors.ts'
import { assertMayListen } from '../server/access/index.ts'
import { configuredCommand, PrewarmCommand } from './command.ts'
import { type Cli, settle } from './context.ts'
import { addName, type DaemonFlags } from './daemon-control.ts'
import { watchInterrupts } from './interrupt.ts'
import { addServeOptions, type ServeFlags, serve, tellReload } from './serve.ts'
import { stateFolder } from './state.ts'
import { durationOf, numberOf } from './values.ts'

interface WaitFlags extends DaemonFlags {
  deadline: number
  waitWarm?: boolean
}

interface StartFlags extends WaitFlags, ServeFlags {
  logSize: number
  logFiles: number
}

interface ExecFlags extends StartFlags {
  log: string
}

const MAIN = fileURLToPath(new URL('./main.ts', import.meta.url))
const DEADLINE_MS = 30_000

/** `prewarm daemon start` */
export function startCommand(cli: Cli): Command {
  const command = configuredCommand(
    'start',
    'Start a daemon; returns when it is ready, or says why it is not',
    'prewarm daemon start --config prewarm.config.ts --wait-warm',
  )
  return addWait(addName(addLog(addServeOptions(command)))).action(async (flags: StartFlags) => {
    const { env } = cli.runtime
    const files = daemonFiles(env, flags.name)
    const config = await inTime(settle(cli, flags), flags.deadline)
    assertMayListen(config.settings.control, flags.host ?? config.settings.control.host)
    const log = join(await stateFolder(cli.runtime), `daemon-${flags.name}.log`)
    const configFile = config.file ?? ''
    const urls = [
      ...(flags.redis === undefined ? [] : ['REDIS_URL']),
      ...(flags.database === undefined ? [] : ['DATABASE_URL']),
    ]
    const record = { args: execArguments(flags, configFile, log), cwd: process.cwd(), configFile, log, urls }
    // Every user of the machine sees a program's arguments, so URLs travel in the environment.
    const given = { REDIS_URL: flags.redis, DATABASE_URL: flags.database }
    const set = Object.fromEntries(Object.entries(given).filter(([, url]) => url !== undefined))
    await launch(cli, files, record, { ...env, ...set }, flags)
  })
}

/** `prewarm daemon restart` */
export function restartCommand(cli: Cli): Command {
  const command = new PrewarmCommand('restart')
    .description('Stop a daemon and start it again with the arguments it was started with')
    .option('--json', 'print exactly one JSON object on stdout')
    .addHelpText('after', '\nExample:\n  $ prewarm daemon restart')
  return addWait(addName(command)).action(async (flags: WaitFlags) => {
    const { env } = cli.runtime
    const files = daemonFiles(env, flags.name)
    const record = readStart(files)
    if (record === null) {
      const flag = flags.name === 'default' ? '' : ` --name ${flags.name}`
      const message = `Daemon '${flags.name}' was never started here: use 'prewarm daemon start${flag}'`
      throw new PrewarmError('DAEMON_NOT_RUNNING', message)
    }
    const kept = (await ask<Record<string, string>>(files.socket, 'GET', '/variables')) ?? {}
    const missing = record.urls.filter((name) => kept[name] === undefined && !env[name])
    if (missing.length > 0) {
      const message = `Daemon '${flags.name}' was given ${missing.join(' and ')} by flags, which are kept nowhere, and it does not answer: use 'prewarm daemon start' with them`
      throw new PrewarmError('USAGE', message)
    }
    process.chdir(record.cwd)
    const flagged = Object.fromEntries(Object.entries(kept).filter(([name]) => record.urls.includes(name)))
    const next = { ...kept, ...env, ...flagged }
    // A configuration that is wrong by now must not end a daemon that runs.
    const settled = settle({ ...cli, runtime: { ...cli.runtime, env: next } }, { config: record.configFile })
    await inTime(settled, flags.deadline)
    const stopped = await stopDaemon(files)
    if (stopped.state === 'killed') {
      cli.io.note(`warning: it did not end within ${stopped.waitedMs} ms and was killed (pid ${stopped.pid})`)
    }
    await launch(cli, files, record, next, flags)
  })
}

/** `prewarm daemon exec`: the daemon itself. */
export function execCommand(cli: Cli): Command {
  const command = configuredCommand('exec', 'Be the daemon', 'prewarm daemon start')
  addWait(addName(addLog(addServeOptions(command)))).requiredOption('--log <FILE>', 'where its output goes')
  return command.action(async (flags: ExecFlags) => {
    const { runtime, io } = cli
    const { logSize: maxBytes, logFiles, log, drain: drainMs, name, config = '' } = flags
    const { version } = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8'))
    const files = daemonFiles(runtime.env, name)
    const limits = { maxBytes, files: logFiles }
    const options = { files, runtime, log, limits, drainMs, configFile: config, version }
    await beDaemon({ ...options, reload: (service) => tellReload({ io }, service) }, (hooks) =>
      serve(cli, flags, hooks),
    )
  })
}

function addWait<C extends Command>(command: C): C {
  return command
    .addOption(
      new Option('--deadline <TIME>', 'how long it may take to be ready')
        .argParser(durationOf('--deadline', [1000, 3_600_000, false]))
        .default(DEADLINE_MS, '30s'),
    )
    .option(
      '--wait-warm',
      'ready only when its first warm-up has ended, as ENABLE_CACHE_WARMING_ON_STARTUP=true begins it',
    )
}

function addLog<C extends Command>(command: C): C {
  return command
    .option(
      '--log-size <BYTES>',
      'put the log file aside when it is larger',
      numberOf('--log-size', [1000, 1_000_000_000, true]),
      LOG_LIMITS.maxBytes,
    )
    .option(
      '--log-files <N>',
      'log files put aside that are kept',
      numberOf('--log-files', [1, 100, true]),
      LOG_LIMITS.files,
    )
}

/** The arguments of the daemon's own process; none of them is a secret. */
function execArguments(flags: StartFlags, configFile: string, log: string): string[] {
  const { name, logSize, logFiles, drain, logFormat, port, host, workers, verbose } = flags
  const given = { name, log, config: configFile, logSize, logFiles, drain, logFormat, port, host, workers }
  const words = Object.entries(given).flatMap(([option, value]) =>
    value === undefined ? [] : [`--${option.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}=${value}`],
  )
  return [MAIN, 'daemon', 'exec', ...words, ...(verbose === true ? ['--verbose'] : [])]
}

async function launch(
  { io, runtime }: Cli,
  files: DaemonFiles,
  record: StartRecord,
  env: Readonly<Record<string, string | undefined>>,
  flags: WaitFlags,
): Promise<void> {
  const signal = watchInterrupts()
  const { deadline: deadlineMs, waitWarm = false } = flags
  try {
    const started = await startDaemon({ files, record, env, runtime, deadlineMs, waitWarm, signal })
    await io.answer(flags.json === true ? JSON.stringify(started) : startedText(started))
  } catch (error) {
    if (isPrewarmError(error) && error.code === 'DAEMON_FAILED' && error.detail !== undefined) {
      for (const line of error.detail.split('\n')) io.note(`| ${line}`)
    }
    throw error
  }
}

/** A configuration may wait for something at its top level. */
function inTime(settling: Promise<Config>, deadlineMs: number): Promise<Config> {
  const { promise, reject } = Promise.withResolvers<never>()
  const message = `Reading the configuration took longer than ${deadlineMs} ms: see what it awaits, or set --deadline`
  const timer = setTimeout(() => reject(new PrewarmError('CONFIG_INVALID', message)), deadlineMs)
  return Promise.race([settling, promise]).finally(() => clearTimeout(timer))
}

function startedText({ name, pid, url, log }: Identity): string {
  return [`daemon '${name}' is ready: pid ${pid}`, `listens on ${url}; docs at ${url}/docs`, `log ${log}`].join('\n')
}
