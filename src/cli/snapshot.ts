import process from 'node:process'
import type { Command } from 'commander'
import { composeWarmer } from '../compose.ts'
import { showMs } from '../config/duration.ts'
import type { Config } from '../config/load.ts'
import { redact } from '../errors.ts'
import { reach } from '../inspect/reach.ts'
import { select } from '../inspect/select.ts'
import type { LoadCounts } from '../snapshot/load.ts'
import type { LoadOutcome, SaveOutcome } from '../snapshot/snapshots.ts'
import { isRedisTarget } from '../snapshot/target.ts'
import type { Snapshot } from '../snapshot/types.ts'
import type { Warmer } from '../warmer.ts'
import { configuredCommand, PrewarmCommand, type SharedFlags } from './command.ts'
import { type Cli, settle } from './context.ts'
import { EXIT } from './failure.ts'
import { atMost, unlessInterrupted, watchInterrupts } from './interrupt.ts'
import { requireRedis } from './stats.ts'
import { NO_READS, table } from './table.ts'
import { durationOf, FLAG_BOUNDS, numberOf } from './values.ts'

interface SaveFlags extends SharedFlags {
  limit?: number
  force?: boolean
}

interface LoadFlags extends SharedFlags {
  timeout?: number
  anyConfig?: boolean
}

const PLACE = 'a file (.gz is packed), or redis:NAME for a key in Redis (default: snapshot.to of the configuration)'
const STOP_TIMEOUT_MS = 10_000
/** What an interrupted load may take to end. */
const GRACE_MS = 1500
const TOP = 10

/** `prewarm snapshot` */
export function snapshotCommand(cli: Cli): Command {
  const command = new PrewarmCommand('snapshot')
    .description('The ranked list of hot keys, to warm them again after a deploy, a failover or FLUSHALL')
    .addHelpText('after', '\nExample:\n  $ prewarm snapshot save hot.ndjson.gz && prewarm snapshot load hot.ndjson.gz')
  for (const make of [saveCommand, showCommand, loadCommand]) command.addCommand(make(cli))
  for (const one of command.commands) {
    one.exitOverride().configureOutput({ outputError: (text) => cli.io.note(redact(text).trimEnd()) })
  }
  return command
}

function saveCommand(cli: Cli): Command {
  return configuredCommand('save', 'Save which keys are hot now', 'prewarm snapshot save hot.ndjson.gz')
    .argument('[TO]', PLACE)
    .option('--limit <N>', 'at most this many keys, the hottest', numberOf('--limit', FLAG_BOUNDS.count))
    .option(
      '--force',
      'replace also what is worth more: a list of more than twice as many keys, younger than 24 h, or a file that is no snapshot',
    )
    .action(async (to: string | undefined, flags: SaveFlags) => {
      const config = await settle(cli, flags)
      requireRedis(config)
      const outcome = await withWarmer(cli, config, ({ snapshots }, signal) =>
        snapshots.save({ to, limit: flags.limit, force: flags.force === true, signal }),
      )
      await cli.io.answer(flags.json === true ? JSON.stringify(outcome) : saveText(outcome))
      if (!outcome.saved) process.exitCode = EXIT.failed
    })
}

function showCommand(cli: Cli): Command {
  return configuredCommand('show', 'Show what a snapshot holds', 'prewarm snapshot show hot.ndjson.gz')
    .argument('[FROM]', PLACE)
    .action(async (from: string | undefined, flags: SharedFlags) => {
      const config = await settle(cli, flags)
      if (isRedisTarget(from ?? config.settings.snapshot?.to ?? '')) requireRedis(config)
      const shown = await withWarmer(cli, config, async (warmer) =>
        summaryOf(await warmer.snapshots.read(from), warmer, Date.now()),
      )
      await cli.io.answer(flags.json === true ? JSON.stringify(shown) : showText(shown))
    })
}

function loadCommand(cli: Cli): Command {
  return configuredCommand(
    'load',
    'Warm the keys of a snapshot, hottest first; what is in Redis already is left alone',
    'prewarm snapshot load hot.ndjson.gz --timeout 2m',
  )
    .argument('[FROM]', PLACE)
    .option(
      '--timeout <TIME>',
      "bound on the whole load, in ms or as '2m' (default: snapshot.timeout, 2m)",
      durationOf('--timeout', FLAG_BOUNDS.timeoutMs),
    )
    .option('--any-config', 'load also what was saved under a configuration with other tasks or keys')
    .action(async (from: string | undefined, flags: LoadFlags) => {
      const config = await settle(cli, flags)
      requireRedis(config)
      const { io } = cli
      const outcome = await withWarmer(cli, config, async (warmer, signal) => {
        await unlessInterrupted(reach(warmer, select(config, {}), { withStore: true, signal }), signal)
        const onProgress = (counts: Readonly<LoadCounts>) => (io.isLive ? io.live([progressOf(counts)]) : undefined)
        const { timeout: timeoutMs, anyConfig = false } = flags
        const request = { source: 'cli' as const }
        return warmer.snapshots.load({ from, timeoutMs, anyConfig, signal, request, onProgress })
      })
      io.live([])
      await io.answer(flags.json === true ? JSON.stringify(outcome) : loadText(outcome))
      process.exitCode = exitCodeOf(outcome)
    })
}

/** Gives `work` a warmer that starts no embedded Redis, and stops it. */
async function withWarmer<T>(
  { io, runtime }: Cli,
  config: Config,
  work: (warmer: Warmer, signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const signal = watchInterrupts()
  const onNotice = (text: string) => io.note(`notice: ${text}`)
  const warmer = await unlessInterrupted(composeWarmer(config, { onNotice, withStore: false }, runtime), signal)
  // A worker or a Redis that does not listen is cut off.
  signal.addEventListener('abort', () => setTimeout(() => void warmer.stop(), GRACE_MS).unref())
  try {
    return await work(warmer, signal)
  } finally {
    await atMost(signal.aborted ? GRACE_MS : STOP_TIMEOUT_MS, warmer.stop())
  }
}

function exitCodeOf({ ended, failed }: LoadOutcome): number {
  if (ended === 'interrupted') return EXIT.interrupted
  return ended === 'all' && failed === 0 ? EXIT.ok : EXIT.failed
}

function saveText({ to, keys, saved, reason }: SaveOutcome): string {
  if (saved && keys === 0) return `saved: no key in ${to}: ${NO_READS}`
  if (saved) return `saved: ${keys} keys in ${to}`
  return `kept: ${to} stays as it is, because ${reason}; --force replaces it all the same`
}

function progressOf({ keys, left, loaded, present }: Readonly<LoadCounts>): string {
  return `Progress: ${keys - left}/${keys} - loaded: ${loaded} - there already: ${present}`
}

interface Shown {
  from: string
  config: string
  savedAt: string
  ageMs: number
  keys: number
  tasks: Record<string, number>
  unmatched: number
  top: Snapshot['entries']
}

function summaryOf(snapshot: Snapshot & { from: string }, warmer: Warmer, nowMs: number): Shown {
  const { from, config, savedAtMs, keys, entries } = snapshot
  const { matched, unmatched } = warmer.tasksOf(entries.map(({ key }) => key))
  return {
    ...{ from, config, keys },
    savedAt: new Date(savedAtMs).toISOString(),
    ageMs: Math.max(0, nowMs - savedAtMs),
    tasks: Object.fromEntries([...matched].map(([task, its]) => [task, its.length])),
    unmatched: unmatched.length,
    top: entries.slice(0, TOP),
  }
}

function showText({ from, config, savedAt, ageMs, keys, tasks, unmatched, top }: Shown): string {
  const rows = top.map(({ key, score, ttlMs }) => [key, Number(score.toPrecision(4)), ttlText(ttlMs)])
  return [
    `${from}: ${keys} keys, saved ${savedAt}, ${showMs(ageMs)} ago, under the configuration ${config}`,
    '',
    ...table(
      ['task', 'keys'],
      [...Object.entries(tasks), ...(unmatched === 0 ? [] : [['(none)', unmatched] as const])],
    ),
    '',
    ...table(['hottest', 'score', 'TTL left'], rows),
  ].join('\n')
}

function ttlText(ttlMs: number | null): string {
  if (ttlMs === null) return 'not in Redis'
  return ttlMs === -1 ? 'never expires' : showMs(ttlMs)
}

function loadText(outcome: LoadOutcome): string {
  const { from, ended, keys, loaded, present, unmatched, failed, deduplicated, leftOut, left, durationMs } = outcome
  const took = showMs(durationMs)
  const how = {
    all: `done: ${from} in ${took}`,
    deadline: `cut off by --timeout after ${took}: run the same command again to go on`,
    interrupted: `interrupted after ${took}: run the same command again to go on`,
    full: `ended after ${took}: Redis has room for no more keys; the hottest come first`,
  }[ended]
  const rows: [string, number][] = [
    ['in the snapshot', keys],
    ['loaded', loaded],
    ['there already', present],
    ['of no task', unmatched],
    ['failed', failed],
    ['loaded by another job', deduplicated],
    ['no room in Redis', leftOut],
    ['not come to', left],
  ]
  const { firstError } = outcome
  return [
    how,
    '',
    ...table(['keys', 'count'], rows),
    ...(firstError === null ? [] : ['', `error  ${firstError.code}: ${firstError.message}`]),
  ].join('\n')
}
