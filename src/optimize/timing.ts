import { showMs } from '../config/duration.ts'
import { lowerLimit } from './limit.ts'
import { forecast } from './model.ts'
import { meanOf, roundedDown, roundedUp, shown } from './numbers.ts'
import type { Step, StepContext } from './step.ts'
import type { Change, TaskFacts } from './types.ts'

/** A run should come when this share of the shortest life has passed: it takes its time, too. */
const MARGIN = 0.9
/** Share of an interval by which a run may begin later at random. */
const JITTER = 0.05
/** No run more often than this is proposed, ms. */
export const MIN_INTERVAL_MS = 60_000
/** No TTL longer than this is proposed, ms. */
export const MAX_TTL_MS = 86_400_000
/** Requests that more warming may cost for each miss that it spares a reader. */
const MAX_PRICE = 3

/**
 * A task whose keys are gone before they are renewed is to be warmed as often as it takes. Where that would be too often, it
 * is warmed as often as it may be, and its TTL grows to what that takes, and no further: how old a value may be is the user's.
 */
export function timingStep(facts: TaskFacts, context: StepContext): Step {
  const { task, schedule, gapsMs, jitterMs, ttlMs, ttlJitter } = facts
  const needMs = Math.max(...gapsMs) + jitterMs
  const lifeMs = ttlMs * (1 - ttlJitter)
  if (needMs <= lifeMs) return { changes: [], notes: [] }
  const lives = `what is warmed lives ${showMs(ttlMs)}${ttlJitter > 0 ? ` (less ${Math.round(ttlJitter * 100)} % jitter)` : ''}`
  const every = new Set(gapsMs).size === 1 ? `every ${showMs(needMs)}` : `up to ${showMs(needMs)} apart`
  const gone = `${lives} but is warmed ${every}: it is gone before it is renewed`
  const note = (why: string): Step => ({ changes: [], notes: [`${gone}; ${why}`] })
  if (!facts.renews) return note("its mode 'add' leaves what is there, so that no interval renews it in time")

  const wantedMs = roundedDown(MARGIN * lifeMs - Math.min(jitterMs, JITTER * lifeMs))
  let against = ''
  for (const intervalMs of intervalsFrom(wantedMs, Math.max(...gapsMs))) {
    const isWanted = intervalMs === wantedMs
    const nextMs = intervalMs + jitterFor(jitterMs, intervalMs)
    const longerMs = isWanted ? ttlMs : Math.max(ttlMs, covering(nextMs, ttlJitter))
    if (longerMs > MAX_TTL_MS && longerMs > ttlMs) break
    const objected = objection(facts, { intervalMs, ttlMs: longerMs }, context)
    if (objected !== null) {
      against ||= `${objected}; `
      continue
    }
    if (!isWanted && against === '')
      against = `to be renewed in time it would have to run more often than every ${showMs(MIN_INTERVAL_MS)}; `
    const interval = { task, schedule, field: 'interval' as const, from: meanOf(gapsMs), to: intervalMs }
    const change: Change = {
      ...interval,
      reason: `${gone}; ${against}every ${showMs(intervalMs)} ${isWanted ? 'renews it in time' : 'is near to that'}`,
    }
    if (longerMs === ttlMs) return { changes: [change], notes: [] }
    return { changes: [change, ttlChange(facts, longerMs, `${gone}; ${against}`, intervalMs)], notes: [] }
  }
  const longerMs = covering(needMs, ttlJitter)
  if (against === '')
    against = `to be renewed in time it would have to run more often than every ${showMs(MIN_INTERVAL_MS)}; `
  if (!(longerMs <= MAX_TTL_MS))
    return note(`${against}a ttl above ${showMs(MAX_TTL_MS)} is for you to choose: raise ttl, or run it more often`)
  return { changes: [ttlChange(facts, longerMs, `${gone}; ${against}`, needMs)], notes: [] }
}

function ttlChange({ task, schedule, ttlMs: from }: TaskFacts, to: number, why: string, nextMs: number): Change {
  const reason = `${why}it is to live until the next run, ${showMs(nextMs)} later, and may be that old when it is read`
  return { task, schedule, field: 'ttl', from, to, reason }
}

/** From the one that is wanted, or the shortest that may be, to below what there is; each twice the one before. */
function* intervalsFrom(wantedMs: number, presentMs: number): Generator<number> {
  for (let intervalMs = Math.max(MIN_INTERVAL_MS, wantedMs); intervalMs < presentMs; intervalMs *= 2) yield intervalMs
}

/** The TTL that lasts until a run that comes so much later. */
function covering(nextMs: number, ttlJitter: number): number {
  return roundedUp(nextMs / (1 - ttlJitter) / MARGIN)
}

/** Why the task should not be warmed like that; null: nothing. */
function objection(
  facts: TaskFacts,
  { intervalMs, ttlMs }: { intervalMs: number; ttlMs: number },
  context: StepContext,
): string | null {
  const more = { ...facts, gapsMs: [intervalMs], ttlMs }
  const warmed = Math.min(facts.warmed, lowerLimit(more, context) ?? facts.warmed)
  const now = forecast(facts, facts)
  const then = forecast(more, { ...more, warmed })
  if (then.warmRequestsPerHour > context.roomPerHour)
    return `every ${showMs(intervalMs)} would ask the origin ${shown(then.warmRequestsPerHour)} times an hour, and ${shown(Math.max(0, context.roomPerHour))} are left for it`
  const extra = then.warmRequestsPerHour - now.warmRequestsPerHour
  const saved = now.missesPerHour - then.missesPerHour
  if (extra > MAX_PRICE * saved)
    return `every ${showMs(intervalMs)} would cost ${shown(extra)} more requests an hour to spare readers ${shown(Math.max(0, saved))} misses`
  return null
}

/** How much later a run may begin where runs come every `intervalMs`. */
export function jitterFor(jitterMs: number, intervalMs: number): number {
  return Math.min(jitterMs, Math.floor(intervalMs * JITTER))
}
