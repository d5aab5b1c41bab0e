import type { Clock } from '../clock.ts'
import type { Commands } from '../coordination/types.ts'
import { PrewarmError } from '../errors.ts'
import { logInvalid, shownLine } from './bad-lines.ts'
import { keepReads } from './keep.ts'
import { type LearnedFromLog, Learner } from './learner.ts'
import { linesOf } from './lines.ts'
import { conflict, nothingRead, overtaken, unsorted } from './log-errors.ts'
import type { ModelHome } from './model-home.ts'
import {
  commonLogParser,
  csvParser,
  formatOf,
  type LineParser,
  type LogFormat,
  ndjsonParser,
  type ParserOptions,
} from './parsers.ts'

/** One file. */
export interface LogSource {
  name: string
  /** Its text in UTF-8, unpacked. May throw a {@linkcode PrewarmError}. */
  chunks: AsyncIterable<Uint8Array>
}

export interface LearnLogOptions extends ParserOptions {
  /** The oldest first. */
  sources: readonly LogSource[]
  /** @default told by the first line of each file */
  format?: LogFormat | undefined
  home: ModelHome
  commands: Commands
  clock: Clock
  /** Instead of what was learned before, however new that is. */
  replace: boolean
  /** Look only. */
  dryRun: boolean
  signal: AbortSignal
  onProgress?: (lines: number) => void
}

/**
 * Learns from access logs: folds what was read into the model of `home`, window by window, and writes what was read in the last
 * 25 hours into the access log in Redis. In bounded memory; nothing is written before all was read.
 *
 * @throws {PrewarmError} `LOG_INVALID` naming file and line, `CONFLICT` if the model is as new as the log, `USAGE`, `JOB_CANCELLED`
 * when `signal` aborts, `STORE_UNREACHABLE`, `STORE_REFUSED`
 */
export async function learnFromLog(options: LearnLogOptions): Promise<LearnedFromLog> {
  const { sources, home, commands, clock, replace, dryRun } = options
  const stored = await home.load()
  const learner = new Learner(home, (replace ? null : stored?.model) ?? home.create(), clock.nowMs())
  for (const source of sources) await readAll(source, options, learner)
  learner.bad.judge()
  learner.cutter.end()
  if (learner.reads === 0) throw nothingRead(sources, learner)
  const { model } = learner
  const told = learner.told()
  if (told.windows === 0 && told.knownWindows > 0) throw conflict(model, told.to)
  if (!dryRun) {
    await keepReads(
      commands,
      [...learner.buckets].map(([bucket, counts]) => [bucket, counts.entries()]),
    )
    if (told.windows > 0 && !(await home.save(model, stored?.id ?? null))) throw overtaken()
  }
  return { ...told, kept: dryRun ? 0 : told.kept }
}

async function readAll(source: LogSource, options: LearnLogOptions, learner: Learner): Promise<void> {
  const { bad } = learner
  const file = source.name
  let number = 0
  let parse: LineParser | null = null
  for await (const lines of linesOf(source.chunks)) {
    if (options.signal.aborted) throw new PrewarmError('JOB_CANCELLED', 'interrupted: nothing was learned')
    for (const line of lines) {
      number++
      if (line.trim() === '') continue
      if (parse === null) {
        const format = options.format ?? formatOf(line)
        parse = parserOf(format, line, { file, line: number }, options)
        // A line with the columns' names is none of the log's.
        if (format === 'csv') continue
      }
      bad.lines++
      const read = parse(line)
      if (read === 'bad' || (read !== 'other' && learner.isAhead(read.atMs))) bad.add(file, number, line)
      else if (read === 'other') {
        learner.other++
        learner.firstOther ??= shownLine(line)
      } else if (!learner.add(read)) throw unsorted(file, number, read, learner.cutter.latestMs)
    }
    options.onProgress?.(bad.lines)
  }
}

function parserOf(
  format: LogFormat | null,
  line: string,
  at: { file: string; line: number },
  { keyField, timeField, keyOf }: LearnLogOptions,
): LineParser {
  const fields = { keyField, timeField, keyOf }
  if (format === 'ndjson') return ndjsonParser(fields)
  if (format === 'csv') {
    const parser = csvParser(line, fields)
    if (typeof parser === 'string') throw logInvalid(at, `${parser}; the line is: ${shownLine(line)}`)
    return parser
  }
  if (format === null) {
    throw logInvalid(
      at,
      `it is no JSON object, no CSV with a line of columns, and no common log format: ${shownLine(line)}: name it with --format`,
    )
  }
  if (keyOf !== undefined) return commonLogParser({ keyOf })
  throw new PrewarmError(
    'USAGE',
    `${at.file} holds paths, not keys: say which key is read for them, such as --map '/films/{id}=film:{id}'`,
  )
}
