import type { Command } from 'commander'
import type { Config } from '../config/load.ts'
import { PrewarmError } from '../errors.ts'
import { type Stats, stats } from '../inspect/stats.ts'
import type { JobResult } from '../types.ts'
import { addParams, addSelection, configuredCommand, requestOf, type SelectionFlags } from './command.ts'
import { type Cli, look, settle } from './context.ts'
import { readLastJob } from './state.ts'
import { percent, showBytes, table } from './table.ts'

/** `prewarm stats` */
export function statsCommand(cli: Cli): Command {
  const command = configuredCommand(
    'stats',
    "Show the last job, how much of the plan is in Redis now, and Redis' hit rate and memory",
    'prewarm stats --json',
  )
  addSelection(command, { withBounds: false })
  return addParams(command, cli.tasks).action(async (tasks: string[], flags: SelectionFlags) => {
    const config = await settle(cli, flags)
    requireRedis(config)
    const lastJob = await readLastJob(cli.runtime, config.file ?? '')
    const now = await look(cli, config, requestOf(tasks, flags), true, ({ warmer, selected, signal }) =>
      stats(warmer, selected, signal),
    )
    await cli.io.answer(flags.json === true ? JSON.stringify({ lastJob, ...now }) : statsText(lastJob, now))
  })
}

/**
 * Commands that look into Redis need a real one: an embedded Redis ends with the program that filled it.
 *
 * @throws {PrewarmError} `CONFIG_INVALID`
 */
export function requireRedis({ settings }: Config): void {
  if (settings.redisUrl !== undefined) return
  const message = 'No Redis is configured to look into: set REDIS_URL, --redis or `redis` in the configuration'
  throw new PrewarmError('CONFIG_INVALID', message)
}

function statsText(lastJob: JobResult | null, { coverage, tasks, redis }: Stats): string {
  const { hitRate, hits, misses, usedMemoryBytes, maxMemoryBytes, evictionPolicy, evictedKeys } = redis
  const bound = maxMemoryBytes === 0 ? 'no maxmemory' : `maxmemory ${showBytes(maxMemoryBytes)}`
  const rows = tasks.map((task) => [task.task, task.checked, task.present, percent(task.coverage)])
  const job =
    lastJob === null
      ? 'none remembered'
      : `${lastJob.status}, ended ${lastJob.endedAt}, ${lastJob.keys.written} of ${lastJob.keys.planned} keys written, trace ${lastJob.traceId}`
  return [
    `last job  ${job}`,
    `coverage  ${percent(coverage)}`,
    `hit rate  ${percent(hitRate)} (${hits} hits, ${misses} misses since Redis started)`,
    `memory    ${showBytes(usedMemoryBytes)}, ${bound}, policy ${evictionPolicy}, ${evictedKeys} keys evicted`,
    '',
    ...table(['task', 'checked', 'present', 'coverage'], rows),
    ...tasks.flatMap(({ task, error }) => (error === null ? [] : [`error: ${task}: ${error.code}: ${error.message}`])),
  ].join('\n')
}
