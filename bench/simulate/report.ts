import type { Contender, Replay, Row, Size } from './replay.ts'
import type { Trace } from './trace.ts'
import type { Windows } from './window.ts'

/** The traces of the stated target; others are shown beside them. */
const TARGET = [
  'nasa_http_1d',
  'shop_web07',
  'shop_orm_busy',
  'scarab_recs',
  'mathoverflow_6y',
  'email_eu_803d',
  'wikipedia_edits_30d',
]
/** In the order of their columns: `Object.keys` has 1000 first. */
const ALL: readonly Size[] = ['0.1%', '1%', '5%', '1000']

export interface TraceReport {
  trace: string
  sha256: string
  requests: number
  keys: number
  windows: number
  scored: number
  window: string
  restart: { requests: number; cold: number }
  rows: Row[]
}

export function reportOf(trace: Trace, windows: Windows, { rows, scored, restart }: Replay): TraceReport {
  const window = windows.isIndex ? `${Math.round(windows.length)} requests` : showLength(windows.length)
  const { name, sha256, ids, keys } = trace
  return {
    trace: name,
    sha256,
    requests: ids.length,
    keys: keys.length,
    windows: windows.count,
    scored,
    window,
    restart,
    rows,
  }
}

/** Markdown: a table of each trace, then the means. */
export function markdown(reports: readonly TraceReport[]): string {
  const parts = reports.map(ofTrace)
  if (reports.length > 1) parts.push(ofAll(reports))
  return `${parts.join('\n\n')}\n`
}

function ofTrace({ trace, sha256, requests, keys, windows, scored, window, restart, rows }: TraceReport): string {
  const about = `${requests} requests for ${keys} keys, ${windows} windows of ${window}, the last ${scored} count`
  const cold = `Hits of the first ${restart.requests} requests after a cold restart: ${percent(restart.cold)} with nothing warmed.`
  const lines = rows.map(({ predictor, k, restart: warm }) => {
    const cells = ALL.map((size) => percent(k[size])).concat(ALL.map((size) => percent(warm[size])))
    return `| ${predictor} | ${cells.join(' | ')} |`
  })
  const head = ALL.map((size) => `K = ${size}`).concat(ALL.map((size) => `restart, ${size}`))
  return [
    `**${trace}** (sha256 ${sha256.slice(0, 12)}): ${about}. ${cold}`,
    '',
    ...table(['predictor', ...head], lines),
  ].join('\n')
}

function ofAll(reports: readonly TraceReport[]): string {
  const target = reports.filter(({ trace }) => TARGET.includes(trace))
  const groups = [{ name: `all ${reports.length}`, of: reports }]
  if (target.length > 1 && target.length < reports.length)
    groups.push({ name: `the target's ${target.length}`, of: target })
  const predictors = (reports[0] as TraceReport).rows.map(({ predictor }) => predictor)
  const lines = predictors.map((predictor) => {
    const cells = groups.flatMap(({ of }) =>
      (['1%', '5%'] as const).map((size) => times(geometricMean(of, predictor, size))),
    )
    const worst = (['1%', '5%'] as const).map((size) =>
      times(Math.min(...reports.map((one) => ratio(one, predictor, size)))),
    )
    return `| ${predictor} | ${[...cells, ...worst].join(' | ')} |`
  })
  const head = groups.flatMap(({ name }) => ['1 %', '5 %'].map((size) => `${name}, ${size}`))
  return [
    'Beside the heuristic (geometric means over the traces; then the worst trace):',
    '',
    ...table(['predictor', ...head, 'worst, 1 %', 'worst, 5 %'], lines),
  ].join('\n')
}

export function geometricMean(reports: readonly TraceReport[], predictor: Contender, size: Size): number {
  return Math.exp(reports.reduce((sum, one) => sum + Math.log(ratio(one, predictor, size)), 0) / reports.length)
}

/** A predictor's share beside the heuristic's; 1 where both are 0. */
export function ratio({ rows }: TraceReport, predictor: Contender, size: Size): number {
  const shareOf = (name: Contender) => rows.find((row) => row.predictor === name)?.k[size] ?? Number.NaN
  const [share, heuristic] = [shareOf(predictor), shareOf('heuristic')]
  return share === heuristic ? 1 : share / heuristic
}

function table(head: string[], lines: string[]): string[] {
  return [`| ${head.join(' | ')} |`, `|${'---|'.repeat(head.length)}`, ...lines]
}

function percent(share: number): string {
  return `${(share * 100).toFixed(1)} %`
}

function times(value: number): string {
  return value.toFixed(3)
}

function showLength(ms: number): string {
  for (const [unit, length] of [
    ['d', 86_400_000],
    ['h', 3_600_000],
    ['min', 60_000],
    ['s', 1000],
  ] as const)
    if (ms >= length && ms % length === 0) return `${ms / length} ${unit}`
  return `${ms} ms`
}
