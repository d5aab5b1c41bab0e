import process from 'node:process'
import type { Command } from 'commander'
import { composeWarmer } from '../compose.ts'
import type { Config } from '../config/load.ts'
import { reach } from '../inspect/reach.ts'
import { select } from '../inspect/select.ts'
import type { JobHandle } from '../job/job.ts'
import type { JobRequest, JobResult } from '../types.ts'
import type { Warmer } from '../warmer.ts'
import {
  addJobOptions,
  addParams,
  addSelection,
  addStrategy,
  configuredCommand,
  requestOf,
  type SelectionFlags,
} from './command.ts'
import { type Cli, settle } from './context.ts'
import { EXIT, exitCodeOf } from './failure.ts'
import { atMost, unlessInterrupted, watchInterrupts } from './interrupt.ts'
import { printPlan } from './plan.ts'
import { showProgress } from './progress.ts'
import { spawnAgain } from './spawn.ts'
import { writeLastJob } from './state.ts'
import { summary } from './summary.ts'

interface RunFlags extends SelectionFlags {
  dryRun?: boolean
  background?: boolean
  spawn?: boolean
}

/** After Ctrl-C: what a batch may take to end by itself, then when Redis is given up, then when all is, ms. */
const GRACE_MS = 300
const STORE_GRACE_MS = 1600
const STOP_GRACE_MS = 1900
/** Without: embedded servers end by themselves if the program goes first. */
const STOP_TIMEOUT_MS = 10_000

/** `prewarm run` */
export function runCommand(cli: Cli): Command {
  const command = configuredCommand(
    'run',
    'Warm the cache: read from the origin, write to Redis',
    'prewarm run --critical --count 5000',
  )
  addJobOptions(addStrategy(addSelection(command, { withBounds: true }), cli.strategies))
    .option('--dry-run', 'show the plan, write nothing')
    .option('--background', 'go on in the background: print pid and log file, return at once')
    .option('--spawn', 'the same as --background')
  return addParams(command, cli.tasks).action(async (tasks: string[], flags: RunFlags) => {
    const config = await settle(cli, flags)
    const request = requestOf(tasks, flags)
    select(config, request)
    if (flags.dryRun === true) await printPlan(cli, config, request, flags)
    else if (flags.background === true || flags.spawn === true) await spawnAgain(cli, flags)
    else await run(cli, config, request, flags)
  })
}

async function run(cli: Cli, config: Config, request: JobRequest, flags: RunFlags): Promise<void> {
  const { io, runtime } = cli
  const signal = watchInterrupts()
  const onNotice = (text: string) => io.note(`notice: ${text}`)
  const warmer = await unlessInterrupted(composeWarmer(config, { onNotice }, runtime), signal)
  let interruptedMs: number | undefined
  signal.addEventListener('abort', () => {
    interruptedMs = Date.now()
  })
  try {
    await unlessInterrupted(reach(warmer, select(config, request), { withStore: true, signal }), signal)
    await unlessInterrupted(warmer.start(), signal)
    const result = await warm(warmer, request, io, signal)
    await io.answer(flags.json === true ? JSON.stringify(result) : summary(result, io.paint))
    await remember(cli, config, result)
    process.exitCode = signal.aborted ? EXIT.interrupted : exitCodeOf(result.status)
  } finally {
    const leftMs = interruptedMs === undefined ? STOP_TIMEOUT_MS : interruptedMs + STOP_GRACE_MS - Date.now()
    await atMost(leftMs, warmer.stop())
  }
}

async function warm(warmer: Warmer, request: JobRequest, io: Cli['io'], signal: AbortSignal): Promise<JobResult> {
  const handle = warmer.submit(request)
  const endProgress = showProgress(handle, io)
  const timers: ReturnType<typeof setTimeout>[] = []
  const interrupted = () => timers.push(...cancel(handle, warmer))
  if (signal.aborted) interrupted()
  signal.addEventListener('abort', interrupted)
  const result = await handle.result
  for (const timer of timers) clearTimeout(timer)
  endProgress(result)
  return result
}

/** Batches on their way are told to stop; a worker or a Redis that does not listen is cut off. */
function cancel(handle: JobHandle, warmer: Warmer): ReturnType<typeof setTimeout>[] {
  handle.cancel()
  return [
    setTimeout(() => void warmer.stop(), GRACE_MS),
    setTimeout(() => void warmer.store.close().catch(() => {}), STORE_GRACE_MS),
  ]
}

async function remember({ io, runtime }: Cli, config: Config, result: JobResult): Promise<void> {
  try {
    await writeLastJob(runtime, config.file ?? '', result)
  } catch (error) {
    io.note(`warning: this job can't be remembered for stats and verify: ${(error as Error).message}`)
  }
}
