import type { Command } from 'commander'
import { showMs } from '../config/duration.ts'
import { PrewarmError } from '../errors.ts'
import type { Change, Optimization, OptimizeOptions } from '../optimize/types.ts'
import { configuredCommand, type SharedFlags } from './command.ts'
import { type Cli, look, settle } from './context.ts'
import { requireRedis } from './stats.ts'
import { percent, table } from './table.ts'

/** `prewarm optimize` */
export function optimizeCommand(cli: Cli): Command {
  return configuredCommand(
    'optimize',
    'Propose how often, how much and how long each scheduled task is warmed, by what was read of it',
    'prewarm optimize --apply',
  )
    .option('--apply', 'register what is proposed: services run it within 30 s')
    .option('--revert', 'take back what --apply did')
    .action(async (flags: SharedFlags & OptimizeOptions) => {
      const { apply = false, revert = false } = flags
      if (apply && revert) throw new PrewarmError('USAGE', '--apply and --revert are each other’s contrary: give one')
      const config = await settle(cli, flags)
      requireRedis(config)
      const result = await look(cli, config, null, true, ({ warmer }) => warmer.optimizeSchedules({ apply, revert }))
      await cli.io.answer(flags.json === true ? JSON.stringify(result) : optimizationText(result, { apply, revert }))
    })
}

/** What is proposed, and what was done, for people. */
export function optimizationText(result: Optimization, { apply, revert }: Required<OptimizeOptions>): string {
  if (revert) return revertText(result)
  const { changes, expected, unchanged } = result
  const rows = changes.map((change) => [
    change.task,
    change.field,
    shown(change.field, change.from),
    shown(change.field, change.to),
    change.reason,
  ])
  const effects = expected.map(({ task, hitRate, originRequestsPerHour, originMsPerHour }) => [
    task,
    `${percent(hitRate.from)} -> ${percent(hitRate.to)}`,
    `${whole(originRequestsPerHour.from)} -> ${whole(originRequestsPerHour.to)}`,
    originMsPerHour === null ? 'not measured' : `${showMs(originMsPerHour.from)} -> ${showMs(originMsPerHour.to)}`,
  ])
  return [
    headline(result, apply),
    ...(rows.length === 0 ? [] : ['', ...table(['task', 'field', 'from', 'to', 'why'], rows)]),
    ...(effects.length === 0
      ? []
      : ['', ...table(['expected', 'hit rate', 'origin requests an hour', 'origin time an hour'], effects)]),
    ...(unchanged.length === 0
      ? []
      : [
          '',
          ...table(
            ['stays', 'why'],
            unchanged.map((one) => [one.task, one.reason]),
          ),
        ]),
    ...(apply ? appliedText(result) : []),
  ].join('\n')
}

function headline({ tasksOptimized, changes }: Optimization, apply: boolean): string {
  if (tasksOptimized === 0) return 'nothing to change'
  const what = `${counted(tasksOptimized, 'task')}, ${counted(changes.length, 'change')}`
  return apply ? `${what}, registered` : `${what} proposed; --apply registers them`
}

function appliedText({ applied }: Optimization): string[] {
  const { added = [], removed = [], paused = [], resumed = [] } = applied ?? {}
  const lines = [
    ...(added.length === 0 ? [] : [`registered  ${added.join(', ')}`]),
    ...(removed.length === 0 ? [] : [`removed     ${removed.join(', ')}`]),
    ...(paused.length === 0 ? [] : [`paused      ${paused.join(', ')}`]),
    ...(resumed.length === 0 ? [] : [`goes on     ${resumed.join(', ')}`]),
  ]
  return lines.length === 0 ? [] : ['', ...lines, 'take it back with `prewarm optimize --revert`']
}

function revertText({ applied }: Optimization): string {
  const { removed = [], resumed = [] } = applied ?? {}
  if (removed.length + resumed.length === 0) return 'nothing to take back: no schedule was registered by --apply'
  return [
    'taken back',
    `removed     ${removed.join(', ') || 'none'}`,
    `goes on     ${resumed.join(', ') || 'none'}`,
  ].join('\n')
}

function shown(field: Change['field'], value: number | null): string {
  if (value === null) return 'none'
  return field === 'interval' || field === 'ttl' ? showMs(value) : String(value)
}

function whole(number: number): string {
  return Math.round(number).toLocaleString('en-US')
}

function counted(count: number, one: string): string {
  return `${count} ${one}${count === 1 ? '' : 's'}`
}
