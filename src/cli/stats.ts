import type { Command } from 'commander'
import type { Config } from '../config/load.ts'
import { PrewarmError } from '../errors.ts'
import { EFFICIENCY_MEANING } from '../gain/performance.ts'
import { type Gain, type Stats, stats } from '../inspect/stats.ts'
import type { JobResult } from '../types.ts'
import { addParams, addSelection, configuredCommand, requestOf, type SelectionFlags } from './command.ts'
import { type Cli, look, settle } from './context.ts'
import { readLastJob } from './state.ts'
import { percent, showBytes, table } from './table.ts'

/** `prewarm stats` */
export function statsCommand(cli: Cli): Command {
  const command = configuredCommand(
    'stats',
    "Show the last job, how much of the plan is in Redis now, what readers found and warming gained, and Redis' memory",
    'prewarm stats --json',
  )
  addSelection(command, { withBounds: false })
  return addParams(command, cli.tasks).action(async (tasks: string[], flags: SelectionFlags) => {
    const config = await settle(cli, flags)
    requireRedis(config)
    const lastJob = await readLastJob(cli.runtime, config.file ?? '')
    const now = await look(cli, config, requestOf(tasks, flags), true, ({ warmer, selected, signal }) =>
      stats(warmer, selected, signal, lastJob === null ? [] : [lastJob]),
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

function statsText(lastJob: JobResult | null, { coverage, tasks, redis, gain, gainError, prediction }: Stats): string {
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
    ...(gain === null ? [`gain      unknown: ${gainError?.code}: ${gainError?.message}`] : gainText(gain)),
    ...predictionText(prediction),
    `redis     ${percent(hitRate)} hit rate (${hits} hits, ${misses} misses since it started, everybody's)`,
    `memory    ${showBytes(usedMemoryBytes)}, ${bound}, policy ${evictionPolicy}, ${evictedKeys} keys evicted`,
    '',
    ...table(['task', 'checked', 'present', 'coverage'], rows),
    ...tasks.flatMap(({ task, error }) => (error === null ? [] : [`error: ${task}: ${error.code}: ${error.message}`])),
  ].join('\n')
}

function predictionText(prediction: Stats['prediction']): string[] {
  if (prediction === null) return []
  const { predictor, learnedUntil, windows, scores } = prediction
  const own = scores.find((one) => one.predictor === predictor)
  const learned =
    learnedUntil === null
      ? 'nothing learned yet'
      : `learned from ${windows} windows, the last one until ${learnedUntil}`
  const did =
    own === undefined
      ? ''
      : `; of the last window's reads ${percent(own.coverage)} were of the ${own.limit} keys predicted`
  return [`predicts  by ${predictor}: ${learned}${did}`]
}

function gainText({ cache, pool, verdict, performance }: Gain): string[] {
  const { hits, misses, stale, errors, invalidations, warmHits, hitRate } = cache
  const counts = `${hits} hits, ${misses} misses, ${stale} stale, ${errors} errors, ${invalidations} invalidations`
  const told =
    hitRate === null
      ? 'no reads yet'
      : `${percent(hitRate)} of the last hour's reads (${counts}; ${warmHits} hits on what warming had filled)`
  const waits =
    pool === null ? 'no service tells' : `${pool.pending} wait, ${pool.available} of ${pool.size} workers free`
  const wrong = verdict.filter(({ level }) => level !== 'ok')
  return [
    `hit rate  ${told}`,
    `pool      ${waits}`,
    ...performanceText(performance),
    `verdict   ${wrong.length === 0 ? (hitRate === null ? 'nothing to judge yet' : 'ok') : ''}`.trimEnd(),
    ...verdict.flatMap(({ level, what, value, advice }) =>
      advice === null ? [] : [`  ${level}: ${what} ${shown(what, value)}: ${advice}`],
    ),
  ]
}

function performanceText(performance: Gain['performance']): string[] {
  const { avg_duration_ms, p95_duration_ms, jobs, keys_warmed, keys_read, keys_wasted, live, tasks } = performance
  const { efficiency_score, efficiency } = performance
  const durations =
    avg_duration_ms === null || p95_duration_ms === null
      ? 'none in the last 6 hours'
      : `${jobs} in the last 6 hours, ${avg_duration_ms.toFixed(0)} ms on average, p95 ${p95_duration_ms.toFixed(0)} ms`
  const score =
    efficiency_score !== null
      ? `${efficiency_score} (${efficiency}): ${keys_read} of ${keys_warmed} read, ${keys_wasted} never`
      : keys_warmed === 0
        ? 'unknown: nothing that was warmed has expired yet'
        : `unknown: ${keys_warmed} entries have expired, but no cache told what was read`
  const byTask = tasks.map((task) => [task.task, task.keys_warmed, task.keys_read, task.keys_wasted])
  return [
    `jobs      ${durations}`,
    `gain      ${score}; ${live.keys_read} of ${live.keys_warmed} that still live read so far`,
    `          (${EFFICIENCY_MEANING})`,
    ...(byTask.length === 0 ? [] : table(['task', 'warmed', 'read', 'wasted'], byTask).map((line) => `  ${line}`)),
  ]
}

function shown(what: Gain['verdict'][number]['what'], value: number | null): string {
  return value === null ? 'unknown' : what === 'pool_pending' ? String(value) : percent(value)
}
