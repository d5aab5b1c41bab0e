import type { Clock } from '../clock.ts'
import { PrewarmError, toFailure } from '../errors.ts'
import { isOwnKey } from '../keyspace/known.ts'
import { Bursts } from './bursts.ts'
import { Hottest, type Ranked } from './hottest.ts'
import { Pace } from './pace.ts'
import { textOf } from './raw-key.ts'
import { type CopyCounts, type CopyEnding, type CopyReport, noCounts } from './report.ts'
import type { CopySource, CopyTarget, RawKey, ServerFacts } from './types.ts'

export interface CopyParts {
  source: CopySource
  target: CopyTarget
  clock: Clock
}

export interface CopyOptions {
  /** A Redis-style glob. */
  match: string
  /** At most this many keys, the hottest. */
  limit: number
  /** Keys a second, at most. */
  rate: number
  /** These, in this order, instead of the hottest. */
  keys?: readonly RawKey[] | undefined
  /** Bound on the whole copy, ms. */
  timeoutMs: number
  signal: AbortSignal
  /** Only look. */
  dryRun: boolean
  onProgress?: (counts: Readonly<CopyCounts>, looked: number) => void
}

/** Keys of one group at most: each is asked for in one pipeline. */
const GROUP = 500
/** Groups a second, at least: a low rate comes in small groups. */
const GROUPS_PER_S = 10
const TOP = 10
const TAGS = 'prewarm:tag:*'
/** Clocks that differ by more are told from a slow answer, ms. */
const SKEW_MS = 1000

/**
 * Copies hot keys from a warm server to a cold one, hottest first: only what is not there, with what it has left to live and how
 * hot it is, and never over or after a change that was made at the target, as far as that remembers it. prewarm's own records are left out, except
 * the versions of copied keys and of tags. What goes wrong on the way is told in the report.
 *
 * @throws {PrewarmError} `USAGE` where both are the same, `STORE_UNREACHABLE`, `STORE_REFUSED` before the first key
 */
export async function copyKeys(parts: CopyParts, options: CopyOptions): Promise<CopyReport> {
  const { source, target, clock } = parts
  const startNs = clock.nowNs()
  const [from, to] = await Promise.all([source.server(), target.server()])
  assertOther(from, to)
  const late = new AbortController()
  const takeBack = clock.after(options.timeoutMs, () => late.abort())
  const signal = AbortSignal.any([options.signal, late.signal])
  const report: CopyReport = {
    ...{ ...noCounts(), ended: 'all', looked: 0, by: options.keys === undefined ? from.heat : 'snapshot' },
    ...{ hottest: [], tags: 0, bytes: 0, durationMs: 0, dryRun: options.dryRun, firstError: null },
  }
  const cut = (): CopyEnding => (options.signal.aborted ? 'interrupted' : 'deadline')
  try {
    // Before anything is read: what is filled at the target from here on is newer.
    const ticket = options.dryRun ? '' : await target.begin()
    const chosen = await choose(parts, { ...options, signal }, from, report)
    report.chosen = report.left = chosen.length
    report.hottest = chosen.slice(0, TOP).map(({ key, heat }) => ({ key: textOf(key), heat }))
    const skewMs = Math.abs(to.nowMs - from.nowMs) > SKEW_MS ? to.nowMs - from.nowMs : 0
    const versions = [from.version, to.version] as const
    const bursts = new Bursts({ source, target, heat: from.heat, skewMs, ticket, versions, report })
    if (!options.dryRun && !signal.aborted) report.tags = await copyTags(parts, bursts, signal)
    report.ended = await copyAll(chosen, bursts, parts, { ...options, signal }, report)
    if (report.ended === 'interrupted') report.ended = cut()
  } catch (error) {
    // What ends it closes the connections.
    report.ended = signal.aborted ? cut() : 'failed'
    if (report.ended === 'failed') report.firstError = toFailure(error)
  } finally {
    takeBack()
  }
  report.durationMs = (clock.nowNs() - startNs) / 1e6
  return report
}

function assertOther(from: ServerFacts, to: ServerFacts): void {
  if (from.runId === '' || from.runId !== to.runId || from.database !== to.database) return
  throw new PrewarmError('USAGE', '--from and --to are the same database of the same server: name another')
}

/** The keys to copy, hottest first. */
async function choose(
  { source }: CopyParts,
  { match, limit, keys, signal, onProgress }: CopyOptions,
  { heat }: ServerFacts,
  report: CopyReport,
): Promise<Ranked[]> {
  if (keys !== undefined) {
    const ours = keys.filter((key) => !isOwnKey(key)).slice(0, limit)
    report.looked = keys.length
    return ours.map((key, at) => ({ key, heat: ours.length - at }))
  }
  const hottest = new Hottest(limit)
  for await (const page of source.scan(match)) {
    if (signal.aborted) break
    const theirs = page.filter((key) => !isOwnKey(key))
    const heats = await source.heatOf(theirs, heat)
    for (const [at, key] of theirs.entries()) {
      const one = heats[at]
      if (one !== null && one !== undefined) hottest.add(key, one)
    }
    report.looked = hottest.added
    onProgress?.(report, report.looked)
  }
  return hottest.take()
}

async function copyAll(
  chosen: readonly Ranked[],
  bursts: Bursts,
  { clock }: CopyParts,
  { rate, signal, dryRun, onProgress }: CopyOptions,
  report: CopyReport,
): Promise<CopyEnding> {
  const pace = new Pace(clock, rate)
  const size = Math.min(GROUP, Math.max(1, Math.floor(rate / GROUPS_PER_S)))
  for (let at = 0; at < chosen.length; at += size) {
    const keys = chosen.slice(at, at + size).map(({ key }) => key)
    await pace.take(keys.length, signal)
    if (signal.aborted) return 'interrupted'
    const missing = await bursts.missing(keys)
    if (dryRun) bursts.wouldCopy(missing)
    else {
      const end = await bursts.copy(missing, signal)
      if (end !== 'all') return end
    }
    onProgress?.(report, report.looked)
  }
  return signal.aborted ? 'interrupted' : 'all'
}

/** Without its version no tag's value is served. */
async function copyTags({ source }: CopyParts, bursts: Bursts, signal: AbortSignal): Promise<number> {
  let tags = 0
  for await (const page of source.scan(TAGS)) {
    for (let at = 0; at < page.length && !signal.aborted; at += GROUP)
      tags += await bursts.copyRecords(page.slice(at, at + GROUP))
  }
  return tags
}
