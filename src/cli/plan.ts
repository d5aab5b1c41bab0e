import process from 'node:process'
import type { Command } from 'commander'
import { showMs } from '../config/duration.ts'
import type { Config } from '../config/load.ts'
import { planJob } from '../inspect/plan.ts'
import type { JobRequest, PlanEntry } from '../types.ts'
import { addParams, addSelection, addStrategy, configuredCommand, requestOf, type SelectionFlags } from './command.ts'
import { type Cli, look, settle } from './context.ts'
import { explanationText } from './explain.ts'
import { EXIT } from './failure.ts'
import { table } from './table.ts'

interface PlanFlags extends SelectionFlags {
  explain?: boolean
}

/** `prewarm plan` */
export function planCommand(cli: Cli): Command {
  const command = configuredCommand(
    'plan',
    'Show what a run would do, and write nothing',
    'prewarm plan sessions --count 1000',
  )
  addStrategy(addSelection(command, { withBounds: true }), cli.strategies).option(
    '--explain',
    'show which keys come first, and why: 20, unless --count says how many',
  )
  return addParams(command, cli.tasks).action(async (tasks: string[], flags: PlanFlags) => {
    await printPlan(cli, await settle(cli, flags), requestOf(tasks, flags), flags)
  })
}

/** Prints the plan of a request; the exit code is 1 if a task has none. */
export async function printPlan(
  cli: Cli,
  config: Config,
  request: JobRequest,
  { json, explain: isExplained = false }: Pick<PlanFlags, 'json' | 'explain'>,
): Promise<void> {
  const { tasks, explain } = await look(cli, config, request, false, ({ warmer, selected, signal }) => {
    const ranking = warmer.rankingOf(
      request,
      selected.map(({ task }) => task),
    )
    return planJob(warmer, selected, { count: request.count, signal, ranking, isExplained })
  })
  const answer = explain === null ? { tasks } : { tasks, explain }
  const text = [planText(tasks), ...(explain === null ? [] : ['', ...explanationText(explain)])].join('\n')
  await cli.io.answer(json === true ? JSON.stringify(answer) : text)
  if (tasks.some((task) => task.error !== null)) process.exitCode = EXIT.failed
}

const HEAD = ['task', 'key', 'kind', 'value', 'mode', 'ttl', 'priority', 'keys', 'batches', 'origin requests']

function planText(tasks: readonly PlanEntry[]): string {
  const rows = tasks.map((task) => [
    task.task,
    task.key,
    task.kind,
    task.value,
    task.mode,
    showMs(task.ttlMs),
    task.priority,
    task.keys,
    task.batches,
    task.originRequests,
  ])
  const details = tasks.map(({ task, sample, error }) =>
    error === null
      ? `${task}: ${sample.length === 0 ? 'no keys' : `first ${sample.join(', ')}`}`
      : `${task}: error: ${error.code}: ${error.message}`,
  )
  return [...table(HEAD, rows), '', ...details].join('\n')
}
