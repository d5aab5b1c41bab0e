import { composeWarmer, settleConfig } from '../compose.ts'
import type { Config } from '../config/load.ts'
import type { Task } from '../config/task.ts'
import { reach } from '../inspect/reach.ts'
import { type Selected, select } from '../inspect/select.ts'
import type { Runtime } from '../runtime/types.ts'
import type { JobRequest } from '../types.ts'
import type { Warmer } from '../warmer.ts'
import type { SharedFlags } from './command.ts'
import { atMost, unlessInterrupted, watchInterrupts } from './interrupt.ts'
import type { Io } from './io.ts'
import { configureLog } from './log.ts'

/** What every command is given. */
export interface Cli {
  io: Io
  runtime: Runtime
  /** As the user typed them. */
  argv: readonly string[]
  /** The configuration's tasks, for their parameters' flags; absent where it was not needed or could not be read. */
  tasks: ReadonlyMap<string, Task> | undefined
  /** Names of the configuration's strategies. @default those of the built-in ones */
  strategies?: readonly string[]
}

/** Longest wait for embedded servers to end; they end by themselves if the program goes first. */
const STOP_TIMEOUT_MS = 10_000

/** Settles the configuration by the flags, and tells its warnings. */
export async function settle({ io, runtime }: Cli, flags: SharedFlags): Promise<Config> {
  configureLog(io, flags.verbose === true)
  const { config: file, redis: redisUrl, database: databaseUrl, workers } = flags
  const config = await settleConfig(
    { ...(file === undefined ? {} : { file }), redisUrl, databaseUrl, workers },
    runtime,
  )
  for (const warning of config.warnings) io.note(`warning: ${warning}`)
  return config
}

/** What a command that only looks works with. */
export interface Look {
  warmer: Warmer
  selected: Selected[]
  /** There is a Redis to ask: an embedded one would be empty. */
  withStore: boolean
  signal: AbortSignal
}

/**
 * Opens what a look needs, runs `work`, closes it again. Starts no workers and no embedded Redis.
 *
 * @param request which tasks; null: none of them is read
 * @param withStore also look at Redis, if one is configured
 */
export async function look<T>(
  cli: Cli,
  config: Config,
  request: JobRequest | null,
  withStore: boolean,
  work: (look: Look) => Promise<T>,
): Promise<T> {
  const selected = request === null ? [] : select(config, request)
  const signal = watchInterrupts()
  const onNotice = (text: string) => cli.io.note(`notice: ${text}`)
  const hasStore = withStore && config.settings.redisUrl !== undefined
  const warmer = await unlessInterrupted(
    composeWarmer(config, { onNotice, withStore: false, withDatabase: request !== null }, cli.runtime),
    signal,
  )
  try {
    await unlessInterrupted(reach(warmer, selected, { withStore: hasStore, signal }), signal)
    return await unlessInterrupted(work({ warmer, selected, withStore: hasStore, signal }), signal)
  } finally {
    await atMost(signal.aborted ? 500 : STOP_TIMEOUT_MS, warmer.stop())
  }
}

/** The same for a command that works on Redis alone, and reads no task. */
export function lookInRedis<T>(cli: Cli, config: Config, work: (look: Look) => Promise<T>): Promise<T> {
  return look(cli, config, null, true, work)
}
