import { HotCounts } from '../../src/predict/hot-counts.ts'
import { createModel, type Model, type ModelPredictor } from '../../src/predict/model/index.ts'
import type { AccessWindow } from '../../src/predict/types.ts'
import type { Trace } from './trace.ts'
import type { Windows } from './window.ts'

export const PREDICTORS = ['recency', 'frequency', 'heuristic', 'decayed', 'learned'] as const
export type Contender = (typeof PREDICTORS)[number] | 'oracle'

/** How many keys are warmed: shares of the keys that were seen so far, or a number. */
export const SIZES = { '0.1%': 0.001, '1%': 0.01, '5%': 0.05, '1000': 1000 } as const
export type Size = keyof typeof SIZES
export type BySize = Record<Size, number>

/** Requests after a cold restart whose hits are counted. */
const RESTART_REQUESTS = 1000

export interface Row {
  predictor: Contender
  /** Share of the next window's requests for the first K keys, the mean of the second half's windows. */
  k: BySize
  /** The same of all requests of those windows together. */
  pooled: BySize
  /** Hit rate in the first requests after a cold restart in the middle of the trace, with the K keys warmed. */
  restart: BySize
}

export interface Replay {
  rows: Row[]
  /** Windows that were predicted and scored. */
  scored: number
  restart: { requests: number; cold: number }
  /** Of a request, on its way through the access log and `fold`, ns. */
  nsPerRequest: number
}

/** Where the keys come from that are predicted. */
interface State {
  model: Model
  /** Keys seen so far. */
  seen: number
  /** Reads of the window that follows, by key. */
  next: ReadonlyMap<string, number>
}

/** Replays a trace: access log, model, keys to warm, next window. */
export function replay(trace: Trace, windows: Windows, { capacity }: { capacity?: number } = {}): Replay {
  const model = createModel({
    windowMs: windows.length,
    ...(capacity === undefined ? {} : { capacity }),
    ...(windows.isIndex ? { bonusMs: [windows.length / 12, windows.length / 2] as const } : {}),
  })
  const contenders: Contender[] = [...PREDICTORS, 'oracle']
  const sums = new Map(contenders.map((name) => [name, { k: zeros(), pooled: zeros(), restart: zeros() }]))
  const half = Math.floor(windows.count / 2)
  const seen = new Uint8Array(trace.keys.length)
  const tally = { seen: 0, scored: 0, requests: 0, tookMs: 0 }
  let restart = { requests: 0, cold: 0 }
  let at = 0
  for (let window = 0; window < windows.count; window++) {
    const from = at
    while (at < trace.ids.length && windows.timeOf(at) < (window + 1) * windows.length) at++
    if (window === windows.count - 1) at = trace.ids.length
    if (window >= Math.max(1, half) && at > from) {
      const next = countsOf(trace, from, at)
      const isFirst = tally.scored === 0
      if (isFirst) restart = coldRestart(trace, from)
      tally.scored++
      tally.requests += at - from
      for (const name of contenders) {
        const sum = sums.get(name) as { k: BySize; pooled: BySize; restart: BySize }
        for (const size of Object.keys(SIZES) as Size[]) {
          const keys = predicted(name, { model, seen: tally.seen, next }, size)
          const covered = keys.reduce((total, key) => total + (next.get(key) ?? 0), 0)
          sum.k[size] += covered / (at - from)
          sum.pooled[size] += covered
          if (isFirst) sum.restart[size] = warmRestart(trace, from, keys)
        }
      }
    }
    const startedMs = performance.now()
    const log = accessLog(trace, windows, { from, to: at, window, capacity })
    model.fold(log)
    tally.tookMs += performance.now() - startedMs
    for (let request = from; request < at; request++) {
      const id = trace.ids[request] as number
      if (seen[id] === 0) tally.seen++
      seen[id] = 1
    }
  }
  const rows = contenders.map((predictor) => {
    const { k, pooled, restart } = sums.get(predictor) as { k: BySize; pooled: BySize; restart: BySize }
    return { predictor, k: scaled(k, tally.scored), pooled: scaled(pooled, tally.requests), restart }
  })
  return { rows, scored: tally.scored, restart, nsPerRequest: (tally.tookMs * 1e6) / trace.ids.length }
}

/** What a source would tell of a window: counted as the access log counts. */
function accessLog(
  trace: Trace,
  windows: Windows,
  { from, to, window, capacity = 50_000 }: { from: number; to: number; window: number; capacity?: number | undefined },
): AccessWindow {
  const counts = new HotCounts(capacity)
  for (let at = from; at < to; at++) counts.add(trace.keys[trace.ids[at] as number] as string, 1, windows.timeOf(at))
  const [fromMs, toMs] = [window * windows.length, (window + 1) * windows.length]
  return { fromMs, toMs, reads: to - from, keys: new Map(counts.entries()) }
}

function predicted(name: Contender, { model, seen, next }: State, size: Size): string[] {
  const share = SIZES[size]
  const limit = share >= 1 ? share : Math.max(1, Math.ceil(seen * share))
  if (name === 'oracle')
    return [...next]
      .sort(([, a], [, b]) => b - a)
      .slice(0, limit)
      .map(([key]) => key)
  const keys = model.top(name satisfies ModelPredictor, { limit }).map(({ key }) => key)
  return keys.length < limit ? filled(keys, model, limit) : keys
}

/** Keys whose score is 0 are as good as each other: the order is who came first. Every predictor is given all K keys. */
function filled(keys: string[], model: Model, limit: number): string[] {
  const chosen = new Set(keys)
  const others = Array.from(model.histories(), ([key]) => key).filter((key) => !chosen.has(key))
  return keys.concat(others.slice(0, limit - keys.length))
}

function countsOf(trace: Trace, from: number, to: number): Map<string, number> {
  const counts = new Map<string, number>()
  for (let at = from; at < to; at++) {
    const key = trace.keys[trace.ids[at] as number] as string
    counts.set(key, (counts.get(key) ?? 0) + 1)
  }
  return counts
}

function coldRestart(trace: Trace, from: number): { requests: number; cold: number } {
  const requests = Math.min(RESTART_REQUESTS, trace.ids.length - from)
  return { requests, cold: warmRestart(trace, from, []) }
}

/** Hit rate of the first requests into a cache that holds `warm`, keeps what is read, and drops nothing. */
function warmRestart(trace: Trace, from: number, warm: readonly string[]): number {
  const held = new Set(warm)
  const to = Math.min(trace.ids.length, from + RESTART_REQUESTS)
  let hits = 0
  for (let at = from; at < to; at++) {
    const key = trace.keys[trace.ids[at] as number] as string
    if (held.has(key)) hits++
    else held.add(key)
  }
  return hits / (to - from)
}

function zeros(): BySize {
  return { '0.1%': 0, '1%': 0, '5%': 0, '1000': 0 }
}

function scaled(sums: BySize, by: number): BySize {
  return Object.fromEntries(Object.entries(sums).map(([size, sum]) => [size, sum / by])) as BySize
}
