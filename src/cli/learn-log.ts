import { type Command, Option } from 'commander'
import { PrewarmError } from '../errors.ts'
import type { LearnedFromLog } from '../learn/learner.ts'
import { learnFromLog } from '../learn/log.ts'
import { RedisModelHome } from '../learn/model-home.ts'
import { LOG_FORMATS, type LogFormat } from '../learn/parsers.ts'
import { type PathMapping, pathMap } from '../learn/path-map.ts'
import { createModel, loadModel } from '../predict/model/index.ts'
import { wholeBuckets } from '../predict/online/spans.ts'
import { configuredCommand, type SharedFlags } from './command.ts'
import { type Cli, lookInRedis, settle } from './context.ts'
import { openLog } from './learn-files.ts'
import { slowly } from './slowly.ts'
import { requireRedis } from './stats.ts'
import { table } from './table.ts'
import { listOf } from './values.ts'

interface LearnLogFlags extends SharedFlags {
  format?: LogFormat
  keyField?: string
  timeField?: string
  map?: string[]
  path?: string
  key?: string
  replace?: boolean
  dryRun?: boolean
}

/** `prewarm learn log` */
export function learnLogCommand(cli: Cli): Command {
  const command = configuredCommand(
    'log',
    'Learn from access logs which keys users read: NDJSON, CSV with a line of columns, or the common log format; also packed (gz)',
    `prewarm learn log access.log.gz --map '/films/{id}=film:{id}'`,
  )
  return command
    .argument('<file...>', "files, the oldest first; '-' for stdin")
    .addOption(new Option('--format <NAME>', 'instead of what the first line looks like').choices(LOG_FORMATS))
    .option('--key-field <NAME>', 'field or column with the key, or with the path where paths are mapped')
    .option('--time-field <NAME>', 'field or column with the time')
    .option('--map <PATH=KEY>', "which key is read for a path: '/films/{id}=film:{id}'; may be repeated", listOf)
    .option('--path <PATH>', "with --key: the same for one path: '/films/{id}'")
    .option('--key <KEY>', "the key of --path: 'film:{id}'")
    .option('--replace', 'learn from this log instead of what was learned before')
    .option('--dry-run', 'read only, and write nothing')
    .action(async (files: string[], { replace = false, dryRun = false, ...flags }: LearnLogFlags) => {
      const mappings = mappingsOf(flags)
      const keyOf = mappings.length === 0 ? undefined : pathMap(mappings)
      const config = await settle(cli, flags)
      requireRedis(config)
      const { windowMs, keys: capacity } = config.settings.prediction
      const say = slowly(cli.io, Date.now)
      const { format, keyField, timeField } = flags
      const learned = await lookInRedis(cli, config, ({ warmer, signal }) => {
        const { commands, clock } = warmer
        const models = { create: createModel, load: loadModel }
        return learnFromLog({
          ...{ format, keyField, timeField, keyOf, commands, clock, replace, dryRun, signal },
          sources: files.map((file) => openLog(file, cli.runtime)),
          home: new RedisModelHome({ commands, models, of: { windowMs: wholeBuckets(windowMs), capacity } }),
          onProgress: (lines) => say(() => `read ${lines} lines`),
        })
      }).finally(() => cli.io.live([]))
      await cli.io.answer(flags.json === true ? JSON.stringify({ dryRun, ...learned }) : logText(dryRun, learned))
    })
}

function mappingsOf({ map = [], path, key }: LearnLogFlags): PathMapping[] {
  const mappings = map.map((text) => {
    const at = text.indexOf('=')
    if (at > 0) return { path: text.slice(0, at), key: text.slice(at + 1) }
    throw new PrewarmError('USAGE', `--map is '${text}', expected PATH=KEY, such as '/films/{id}=film:{id}'`)
  })
  if (path === undefined && key === undefined) return mappings
  if (path !== undefined && key !== undefined) return [...mappings, { path, key }]
  const [given, missing] = path === undefined ? ['--key', '--path'] : ['--path', '--key']
  throw new PrewarmError(
    'USAGE',
    `${given} is given without ${missing}: give both, such as --path '/films/{id}' --key 'film:{id}'`,
  )
}

function logText(dryRun: boolean, learned: LearnedFromLog): string {
  const { lines, reads, other, bad, firstBad, from, to, windows, knownWindows, foldedTo, kept, top } = learned
  const first = firstBad === null ? '' : `, the first is ${firstBad.file}:${firstBad.line}: ${firstBad.text}`
  const rows = top.map(({ key, reads: count, lastReadAt }) => [key, count, lastReadAt])
  const known = knownWindows === 0 ? '' : `, ${knownWindows} were known already`
  return [
    `${lines} lines: ${reads} reads from ${from} to ${to}`,
    `left out: ${other} lines that are no reads of a key, ${bad} that can't be read${first}`,
    '',
    ...table(['key', 'reads', 'last read'], rows),
    '',
    dryRun
      ? `nothing was written: it would be ${windows} windows of the prediction${known}; run it without --dry-run to keep this`
      : `learned ${windows} windows${known}${foldedTo === null ? '' : `, up to ${foldedTo}`}; ${kept} counts of the last 25 hours are in the access log: see \`prewarm predict\``,
  ].join('\n')
}
