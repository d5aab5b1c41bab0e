import { existsSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { Mistake } from './failure.ts'
import { replay } from './replay.ts'
import { markdown, reportOf, type TraceReport } from './report.ts'
import { readTrace } from './trace.ts'
import { windowsOf } from './window.ts'

const USAGE = 'bun run simulate [--trace FILE] [--window 15m|index] [--keys N] [--json]'

export interface Output {
  /** The report, and nothing else. */
  out(text: string): unknown
  /** What is being done, and what went wrong. */
  say(line: string): unknown
}

interface Flags {
  trace: string | undefined
  window: string | undefined
  /** That the model and the log may remember. @default the product's 50_000 */
  keys: number | undefined
  isJson: boolean
}

/**
 * Runs the command.
 *
 * @param shared the folder that has `traces/`
 * @returns the exit code: 1 where there are no traces, 2 for a mistake in the flags or in a file
 */
export async function simulate(args: string[], shared: string, { out, say }: Output): Promise<number> {
  try {
    const flags = flagsOf(args)
    const folder = join(shared, 'traces')
    const files = flags.trace === undefined ? tracesIn(folder) : [flags.trace]
    if (files.length === 0) {
      say(`${folder} has no *.csv.gz: name the folder above it by PREWARM_SHARED_DATA, or one file by --trace FILE`)
      return 1
    }
    const reports: TraceReport[] = []
    for (const file of files) reports.push(await reportOn(file, flags, say))
    out(flags.isJson ? `${JSON.stringify(flags.trace === undefined ? reports : reports[0])}\n` : markdown(reports))
    return 0
  } catch (error) {
    if (!(error instanceof Mistake)) throw error
    say(error.message)
    return 2
  }
}

/** @throws {Mistake} */
function flagsOf(args: string[]): Flags {
  try {
    const text = { type: 'string' } as const
    const options = { trace: text, window: text, keys: text, json: { type: 'boolean' } } as const
    const { values } = parseArgs({ args, options, strict: true })
    const { trace, window, keys, json = false } = values
    if (keys !== undefined && !/^[1-9]\d{2,6}$/.test(keys))
      throw new Error(`--keys is '${keys}', expected a whole number from 100 to 9999999`)
    return { trace, window, keys: keys === undefined ? undefined : Number(keys), isJson: json }
  } catch (error) {
    throw new Mistake(`${error instanceof Error ? error.message : error}\nUsage: ${USAGE}`)
  }
}

function tracesIn(folder: string): string[] {
  if (!existsSync(folder)) return []
  const names = readdirSync(folder).filter((name) => /\.csv(\.gz)?$/.test(name))
  return names.sort().map((name) => join(folder, name))
}

async function reportOn(file: string, { window, keys }: Flags, say: Output['say']): Promise<TraceReport> {
  const trace = await readTrace(file)
  const windows = windowsOf(trace, file, window)
  const startedMs = performance.now()
  const replayed = replay(trace, windows, keys === undefined ? {} : { capacity: keys })
  const seconds = ((performance.now() - startedMs) / 1000).toFixed(1)
  const cost = `${replayed.nsPerRequest.toFixed(0)} ns a request to count, fold and learn`
  say(`${trace.name}: ${windows.count} windows (by ${windows.from}), ${seconds} s, ${cost}`)
  return reportOf(trace, windows, replayed)
}
