import process from 'node:process'
import { type Command, Option } from 'commander'
import { composeWarmer, settleConfig } from '../compose.ts'
import { BOUNDS } from '../config/fields.ts'
import type { Config } from '../config/load.ts'
import { Gate } from '../daemon/gate.ts'
import { type Reloaded, Service } from '../daemon/service.ts'
import { reach } from '../inspect/reach.ts'
import { select } from '../inspect/select.ts'
import type { Runtime } from '../runtime/types.ts'
import { assertMayListen } from '../server/access/index.ts'
import { controlPlane } from '../server/index.ts'
import type { Warmer } from '../warmer.ts'
import { configuredCommand, type SharedFlags } from './command.ts'
import { type Cli, settle } from './context.ts'
import { EXIT } from './failure.ts'
import { atMost, unlessInterrupted, watchInterrupts } from './interrupt.ts'
import { logThrough } from './service-log.ts'
import { durationOf, numberOf } from './values.ts'

export interface ServeFlags extends SharedFlags {
  port?: number
  host?: string
  drain: number
  logFormat: 'text' | 'json'
}

/** What a daemon adds to `prewarm serve`. */
export interface ServeHooks {
  /** Ends the service, as SIGTERM does. */
  stop: AbortSignal
  onLine: () => void
  onService: (service: Service) => void
}

export const DRAIN_MS = 25_000
const DRAIN_BOUNDS = [0, 3_600_000, false] as const
/** Longest wait for what was opened by a start that failed. */
const STOP_TIMEOUT_MS = 10_000

/** `prewarm serve` */
export function serveCommand(cli: Cli): Command {
  const command = configuredCommand(
    'serve',
    'Serve the HTTP API, and warm by itself: at startup and by schedule',
    'prewarm serve --port 4000',
  )
  return addServeOptions(command).action((flags: ServeFlags) => serve(cli, flags))
}

/** What `serve` and `daemon start` have in common. */
export function addServeOptions<C extends Command>(command: C): C {
  command
    .option('--port <N>', 'port, 0 for a free one (default: 4000)', numberOf('--port', BOUNDS.port))
    .option('--host <ADDRESS>', 'address to listen at; beyond loopback a secret is needed (default: 127.0.0.1)')
    .addOption(
      new Option('--drain <TIME>', "what running jobs are left to end by themselves, in ms or as '25s'")
        .argParser(durationOf('--drain', DRAIN_BOUNDS))
        .default(DRAIN_MS, '25s'),
    )
    .addOption(new Option('--log-format <FORMAT>', 'how the log is written').choices(['text', 'json']).default('text'))
  return command
}

/**
 * Serves until SIGTERM or SIGINT; SIGHUP reads the configuration again.
 *
 * @throws {PrewarmError} what keeps it from serving: configuration, servers, a taken port
 */
export async function serve(cli: Cli, flags: ServeFlags, hooks?: ServeHooks): Promise<void> {
  const { io, runtime } = cli
  const configureLog = logThrough(io, {
    format: flags.logFormat,
    dated: hooks !== undefined,
    ...(hooks === undefined ? {} : { onLine: hooks.onLine }),
  })
  const interrupts = watchInterrupts()
  const signal = hooks === undefined ? interrupts : AbortSignal.any([interrupts, hooks.stop])
  let service: Service | undefined
  // A hang-up would end the program unless somebody listens.
  process.on('SIGHUP', () => void (service === undefined ? io.note('still starting') : tellReload(cli, service)))

  const config = await unlessInterrupted(settle(cli, flags), signal)
  configureLog()
  const { control } = config.settings
  const { host = control.host, port = control.port } = flags
  assertMayListen(control, host)
  const onNotice = (text: string) => io.note(`notice: ${text}`)
  const warmer = await unlessInterrupted(composeWarmer(config, { onNotice, service: true }, runtime), signal)
  try {
    service = await unlessInterrupted(open(warmer, config, { host, port }, cli, flags, signal), signal)
    await announce(cli, flags, service, hooks)
    if (config.settings.startupEnabled) void warmer.warmOnStartup()
    await aborted(signal)
  } finally {
    process.exitCode = await end(cli, warmer, service)
  }
}

/** Opens what the warmer needs, checks it, listens, and lets it run: schedules, and jobs that others left unfinished. */
async function open(
  warmer: Warmer,
  config: Config,
  at: { host: string; port: number },
  { runtime }: Cli,
  flags: ServeFlags,
  signal: AbortSignal,
): Promise<Service> {
  const streams = new AbortController()
  // First, because it refuses keys that are no good.
  const app = controlPlane(warmer, { signal: streams.signal })
  await reach(warmer, select(config, {}), { withStore: true, signal })
  const gate = new Gate((request, env) => app.fetch(request, env as object))
  // Before jobs begin that a taken port would cut off again.
  const listening = await runtime.serveHttp({ ...at, fetch: gate.fetch })
  await warmer.start()
  gate.open()
  return new Service({
    warmer,
    gate,
    listening,
    endStreams: () => streams.abort(),
    drainMs: flags.drain,
    readConfig: () => readAgain(config, flags, runtime),
  })
}

/** The file, and what it imports, as they are now; the environment and the flags are those of the start. */
function readAgain({ file }: Config, { redis, database, workers }: ServeFlags, runtime: Runtime): Promise<Config> {
  const fresh: Runtime = { ...runtime, importConfig: (path) => runtime.importConfigAgain(path) }
  const options = { redisUrl: redis, databaseUrl: database, workers }
  return settleConfig(file === undefined ? options : { ...options, file }, fresh)
}

/** Reads the configuration again, and says what came of it. */
export async function tellReload({ io }: Pick<Cli, 'io'>, service: Service): Promise<Reloaded> {
  const reloaded = await service.reload()
  if (!reloaded.ok) {
    const { code, message } = reloaded.failure
    io.note(`error: the configuration stays as it was: ${code}: ${message.replace(/\s*\n\s*/g, '; ')}`)
  } else if (reloaded.restart.length > 0) {
    io.note(`warning: configuration reloaded; only a restart changes ${reloaded.restart.join(', ')}`)
  } else io.note('configuration reloaded')
  return reloaded
}

async function announce({ io }: Cli, { json }: ServeFlags, service: Service, hooks?: ServeHooks): Promise<void> {
  const { url } = service
  const text = `prewarm listens on ${url}; docs at ${url}/docs`
  if (hooks !== undefined) io.note(text)
  else await io.answer(json === true ? JSON.stringify({ url, docs: `${url}/docs`, pid: process.pid }) : text)
  hooks?.onService(service)
}

/** The exit code: 0 if nothing was cut off. */
async function end({ io }: Cli, warmer: Warmer, service: Service | undefined): Promise<number> {
  if (service === undefined) {
    await atMost(STOP_TIMEOUT_MS, warmer.stop())
    return EXIT.failed
  }
  const { activeJobs } = warmer.status()
  io.note(`ending: no new requests; ${activeJobs} ${activeJobs === 1 ? 'job runs' : 'jobs run'}`)
  const { clean, cutJobs } = await service.stop()
  io.note(clean ? 'ended' : `warning: ended; cut off at the deadline: ${cutJobs} jobs`)
  return clean ? EXIT.ok : EXIT.failed
}

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve()
    else signal.addEventListener('abort', () => resolve(), { once: true })
  })
}
