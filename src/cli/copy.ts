import process from 'node:process'
import { type Command, Option } from 'commander'
import { copyBetween } from '../compose-copy.ts'
import { showMs } from '../config/duration.ts'
import type { CopyCounts, CopyReport } from '../copy/report.ts'
import { PrewarmError } from '../errors.ts'
import { glob } from '../keyspace/glob.ts'
import { PrewarmCommand } from './command.ts'
import type { Cli } from './context.ts'
import { EXIT } from './failure.ts'
import { watchInterrupts } from './interrupt.ts'
import { showBytes, table } from './table.ts'
import { durationOf, FLAG_BOUNDS, numberOf, urlOf } from './values.ts'

interface CopyFlags {
  from: string
  to: string
  match: string
  limit: number
  rate: number
  timeout: number
  snapshot?: string
  dryRun?: boolean
  json?: boolean
}

const MAX_KEYS = 1_000_000

/** `prewarm copy` */
export function copyCommand({ io, runtime }: Cli): Command {
  return new PrewarmCommand('copy')
    .description('Copy hot keys from a warm Redis to a cold one, hottest first; nothing is replaced there')
    .requiredOption('--from <URL>', 'the warm Redis; it is only read', urlOf('--from', 'redis://', 'rediss://'))
    .requiredOption('--to <URL>', 'the cold Redis', urlOf('--to', 'redis://', 'rediss://'))
    .option('--match <GLOB>', "only keys that match, as in 'film:*'", '*')
    .option('--limit <N>', 'at most this many keys, the hottest', numberOf('--limit', [1, MAX_KEYS, true]), 100_000)
    .option('--rate <KEYS_PER_S>', 'at most this many keys a second', numberOf('--rate', [1, MAX_KEYS, false]), 5000)
    .addOption(
      new Option('--timeout <TIME>', "bound on the whole copy, in ms or as '10m'")
        .argParser(durationOf('--timeout', FLAG_BOUNDS.timeoutMs))
        .default(600_000, '10m'),
    )
    .option(
      '--snapshot <FILE>',
      'copy the keys of this snapshot, in its order, instead of the hottest by OBJECT FREQ or IDLETIME',
    )
    .option('--dry-run', 'only tell what would be copied')
    .option('--json', 'print exactly one JSON object on stdout')
    .addHelpText('after', '\nExample:\n  $ prewarm copy --from redis://old:6379 --to redis://new:6379 --limit 50000')
    .action(async ({ timeout: timeoutMs, json, ...flags }: CopyFlags) => {
      checkMatch(flags.match)
      const onProgress = (counts: Readonly<CopyCounts>, looked: number) =>
        io.isLive ? io.live([progressOf(counts, looked)]) : undefined
      const { dryRun = false } = flags
      const report = await copyBetween({ ...flags, dryRun, timeoutMs, signal: watchInterrupts(), onProgress }, runtime)
      io.live([])
      await io.answer(json === true ? JSON.stringify(report) : copyText(report))
      process.exitCode = exitCodeOf(report)
    })
}

/** Redis' own matcher tries again for each star. */
function checkMatch(match: string): void {
  if (glob(match).scanPattern === match.replace(/\*+/g, '*')) return
  throw new PrewarmError('USAGE', `--match is '${match}', expected at most 4 '*'`)
}

function exitCodeOf({ ended, failed, unknown, firstError }: CopyReport): number {
  if (ended === 'interrupted') return EXIT.interrupted
  if (firstError?.code === 'STORE_UNREACHABLE') return EXIT.unreachable
  return ended === 'all' && failed + unknown === 0 ? EXIT.ok : EXIT.failed
}

function progressOf({ chosen, left, copied, present }: Readonly<CopyCounts>, looked: number): string {
  if (chosen === 0) return `Looking: ${looked} keys`
  return `Progress: ${chosen - left}/${chosen} - copied: ${copied} - there already: ${present}`
}

function copyText(report: CopyReport): string {
  const { ended, copied, bytes, durationMs, dryRun, tags, firstError, by, hottest } = report
  const took = showMs(durationMs)
  const again = 'run the same command again to go on'
  const how = {
    all: `${dryRun ? 'would copy' : 'copied'} ${copied} keys, ${showBytes(bytes)}, in ${took}`,
    deadline: `cut off by --timeout after ${took}: ${again}`,
    interrupted: `interrupted after ${took}: ${again}`,
    full: `ended after ${took}: the target has no room for more (95 % of its maxmemory); the hottest came first`,
    failed: `failed after ${took}: ${again}`,
  }[ended]
  const rows: [string, number][] = [
    ['chosen', report.chosen],
    [dryRun ? 'would be copied' : 'copied', copied],
    ['at the target already', report.present],
    ['newer at the target', report.newer],
    ['expired or gone', report.gone],
    ['failed', report.failed],
    ['sent, never confirmed', report.unknown],
    ['no room', report.leftOut],
    ['not come to', report.left],
  ]
  const heat = { freq: 'LFU counter', idle: 'idle', snapshot: 'rank from below' }[by]
  const top = hottest.map((one) => [one.key, by === 'idle' ? showMs(-1000 * one.heat) : String(one.heat)])
  return [
    how,
    '',
    ...table(['keys', 'count'], rows),
    ...(tags === 0 ? [] : [`versions of ${tags} tags were copied as well`]),
    '',
    ...table(['hottest', heat], top),
    ...(firstError === null ? [] : ['', `error  ${firstError.code}: ${firstError.message}`]),
  ].join('\n')
}
