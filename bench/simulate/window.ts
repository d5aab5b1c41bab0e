import { existsSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { parseDuration } from '../../src/config/duration.ts'
import { Mistake } from './failure.ts'
import type { Trace } from './trace.ts'

/** Windows of a trace, where nothing else is said. */
const WINDOWS = 60
/** Lengths that people think in: a minute, a quarter of an hour, a day, four weeks. */
const NATURAL_MS = [
  ...[1, 2, 5, 10, 15, 30].map((seconds) => seconds * 1000),
  ...[1, 2, 5, 10, 15, 30].map((minutes) => minutes * 60_000),
  ...[1, 2, 3, 6, 12].map((hours) => hours * 3_600_000),
  ...[1, 2, 7, 14, 28].map((days) => days * 86_400_000),
]

/** How a trace is cut up. */
export interface Windows {
  /** Length, ms; for `index` in requests. */
  length: number
  /** By the request's number. */
  isIndex: boolean
  /** When request `at` was, in the unit of `length`; the first one's is 0. */
  timeOf(at: number): number
  /** Windows in all, empty ones too. */
  count: number
  /** Who said so. */
  from: '--window' | 'MANIFEST.md' | 'the span'
}

/**
 * Windows of a trace: as `--window` says; else as the table in a `MANIFEST.md` beside or above the trace says; else a
 * sixtieth of the span, rounded to a natural length, or of the requests where there are no times.
 *
 * @throws {Mistake}
 */
export function windowsOf(trace: Trace, file: string, flag: string | undefined): Windows {
  const said = flag ?? manifestWindow(file, trace.name)
  const from = flag !== undefined ? '--window' : said !== undefined ? 'MANIFEST.md' : 'the span'
  if (!trace.isTimed && said !== undefined && said !== 'index')
    throw new Mistake(
      `--window ${said}: ${trace.name} tells no times (ts_ms is the request's number); use --window index`,
    )
  const isIndex = said === 'index' || !trace.isTimed
  const first = trace.times[0] as number
  const requests = trace.ids.length
  const timeOf = isIndex ? (at: number) => at : (at: number) => (trace.times[at] as number) - first
  const length = isIndex
    ? Math.max(1, requests / WINDOWS)
    : (lengthOf(said) ?? naturalMs(timeOf(requests - 1) / WINDOWS))
  const count = Math.floor(timeOf(requests - 1) / length) + 1
  if (count < 2 || requests < 2)
    throw new Mistake(
      `--window ${said ?? length}: all ${requests} requests of ${trace.name} lie in one window; nothing can be predicted from ` +
        'none before it: use a shorter window or a longer trace',
    )
  return { length, isIndex, timeOf, count, from }
}

function lengthOf(said: string | undefined): number | undefined {
  if (said === undefined) return undefined
  const ms = parseDuration(said.replace(/min$/, 'm'))
  if (ms === null || ms <= 0)
    throw new Mistake(
      `--window ${said}: expected a length of time such as 15m or 12h, or index (requests / ${WINDOWS})`,
    )
  return ms
}

/** The natural length that is nearest to `ms`, by ratio. */
export function naturalMs(ms: number): number {
  const distance = (length: number) => Math.abs(Math.log(length / ms))
  return NATURAL_MS.reduce((nearest, length) => (distance(length) < distance(nearest) ? length : nearest))
}

/** What the column `window` of the table in `MANIFEST.md` says, such as `15 min` or `index`. */
function manifestWindow(file: string, name: string): string | undefined {
  for (const folder of [dirname(file), join(dirname(file), '..')]) {
    const manifest = join(folder, 'MANIFEST.md')
    if (!existsSync(manifest)) continue
    let column = -1
    for (const line of readFileSync(manifest, 'utf8').split('\n')) {
      const cells = line.split('|').map((cell) => cell.trim())
      if (cells.includes('trace') && cells.includes('window')) column = cells.indexOf('window')
      else if (column > 0 && cells[1] === name) return cells[column]?.replaceAll(' ', '').replace(/min$/, 'm')
    }
  }
  return undefined
}
