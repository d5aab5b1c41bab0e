import { PrewarmError } from '../errors.ts'
import type { PredictionModel } from '../predict/types.ts'
import { type BadLines, logInvalid } from './bad-lines.ts'
import type { Read } from './parsers.ts'
import { TOLERANCE_MS } from './windows.ts'

export function unsorted(file: string, line: number, { atMs }: Read, latestMs: number): PrewarmError {
  const minutes = TOLERANCE_MS / 60_000
  return logInvalid(
    { file, line },
    `it is of ${iso(atMs)}, and a line before it of ${iso(latestMs)}, more than ${minutes} minutes later: sort it by time, and name the oldest file first`,
  )
}

export function nothingRead(
  sources: readonly { name: string }[],
  { bad, firstOther }: { bad: BadLines; firstOther: string | null },
): PrewarmError {
  const [first, ...more] = sources
  const name = `${first?.name ?? 'no file'}${more.length === 0 ? '' : ` and ${more.length} more`}`
  if (firstOther === null)
    return logInvalid({ file: name }, `no read in ${bad.lines} lines: see whether it is the right file`)
  return logInvalid(
    { file: name },
    `no read of a key in ${bad.lines} lines; only GET and HEAD with a status below 400 and a mapped path count, the first other line is: ${firstOther}`,
  )
}

export function conflict({ foldedToMs }: PredictionModel, to: string): PrewarmError {
  const known = foldedToMs === null ? 'more' : `all up to ${iso(foldedToMs)}`
  return new PrewarmError(
    'CONFLICT',
    `The log ends at ${to}, and what was learned before knows ${known}: give --replace to learn from the log instead`,
  )
}

export function overtaken(): PrewarmError {
  return new PrewarmError(
    'CONFLICT',
    'A service has learned from another window meanwhile, and that was kept: run it again',
  )
}

export function iso(ms: number): string {
  return new Date(ms).toISOString()
}
