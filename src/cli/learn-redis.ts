import type { Command } from 'commander'
import { type LearnedFromRedis, learnFromRedis } from '../learn/redis.ts'
import { configuredCommand, type SharedFlags } from './command.ts'
import { type Cli, lookInRedis, settle } from './context.ts'
import { slowly } from './slowly.ts'
import { requireRedis } from './stats.ts'
import { table } from './table.ts'
import { FLAG_BOUNDS, numberOf } from './values.ts'

interface LearnRedisFlags extends SharedFlags {
  match?: string
  limit?: number
  rate: number
  dryRun?: boolean
}

const RATE = 10_000

/** `prewarm learn redis` */
export function learnRedisCommand(cli: Cli): Command {
  const command = configuredCommand(
    'redis',
    "Learn from Redis' own records of accesses which keys of the tasks users read; what only warming wrote does not count",
    'prewarm learn redis --match "film:*" --dry-run',
  )
  return command
    .option('--match <GLOB>', 'only keys that match, such as film:*')
    .option('--limit <N>', 'look at no more than so many keys', numberOf('--limit', FLAG_BOUNDS.count))
    .option('--rate <KEYS_PER_S>', 'keys a second to look at', numberOf('--rate', [1, 1_000_000, true]), RATE)
    .option('--dry-run', 'look only, and write nothing')
    .action(async ({ match, limit, rate, dryRun = false, ...flags }: LearnRedisFlags) => {
      const config = await settle(cli, flags)
      requireRedis(config)
      const say = slowly(cli.io, Date.now)
      const given = { ...(match === undefined ? {} : { match }), ...(limit === undefined ? {} : { limit }) }
      const { policy, ...learned } = await lookInRedis(cli, config, async ({ warmer, signal }) => {
        const { store, commands, clock } = warmer
        const { evictionPolicy } = await store.stats()
        const result = await learnFromRedis({
          ...{ ...given, store, commands, clock, rate, dryRun, signal },
          tasks: config.tasks.values(),
          capacity: config.settings.prediction.keys,
          onProgress: ({ seen, read }) => say(() => `looked at ${seen} keys, ${read} of them were read`),
        })
        return { ...result, policy: evictionPolicy }
      }).finally(() => cli.io.live([]))
      await cli.io.answer(
        flags.json === true ? JSON.stringify({ policy, dryRun, ...learned }) : redisText(policy, dryRun, learned),
      )
    })
}

function redisText(policy: string, dryRun: boolean, { by, keys, kept, top }: LearnedFromRedis): string {
  const left = [
    `${keys.warmed} last touched by warming`,
    `${keys.unread} not read since they were written`,
    `${keys.withoutTask} without a task`,
    ...(keys.old === 0 ? [] : [`${keys.old} not read for 25 hours`]),
    ...(keys.gone === 0 ? [] : [`${keys.gone} gone by then`]),
  ]
  const lines = [`looked at ${keys.seen} keys: users read ${keys.read}`, `left out: ${left.join(', ')}`]
  if (by !== null) lines.push('', howItKnows(by, policy))
  if (top.length > 0) {
    const rows = top.map(({ key, task, reads, lastReadAt }) => [key, task, reads, lastReadAt])
    lines.push('', ...table(['key', 'task', 'reads', 'last read'], rows))
  }
  lines.push('', nextStep(keys.read, kept, dryRun))
  return lines.join('\n')
}

function howItKnows(by: NonNullable<LearnedFromRedis['by']>, policy: string): string {
  return by === 'counter'
    ? `${policy}: Redis counts accesses roughly, so that reads are estimates, and the last read of each is taken to be now`
    : `${policy}: Redis only knows when a key was touched last, so that each counts as read once; an LFU policy counts accesses`
}

function nextStep(read: number, kept: number, dryRun: boolean): string {
  if (read === 0) return 'nothing was learned: no key of a task was read'
  if (dryRun) return 'nothing was written: run it without --dry-run to keep this'
  return `${kept} keys are in the access log now: see \`prewarm predict\` for what will be read next`
}
