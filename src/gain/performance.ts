import type { JobResult } from '../types.ts'
import type { GainFigures } from './figures.ts'

/** What the efficiency is, for where it is printed. */
export const EFFICIENCY_MEANING =
  'share of the entries written by warming that were read at least once before they expired or were replaced; of entries ' +
  'that live at most a day and have expired in the last six hours, to within about a percent. Above 90 excellent, above 80 good'

/** How well warming does. Figures of the last six hours. */
export interface WarmingPerformance {
  /** Of jobs that ran to their end, ms; null where there was none. */
  avg_duration_ms: number | null
  /** 95 % of the jobs took at most as long. */
  p95_duration_ms: number | null
  /** Jobs that ran to their end: not those that were cancelled, or left everything to another. */
  jobs: number
  /** Entries that warming wrote and that have expired. */
  keys_warmed: number
  /** Of these, read at least once. */
  keys_read: number
  /** Of these, never read. */
  keys_wasted: number
  /** Share of `keys_read`, 0 to 100; null before the first has expired, and where no cache tells of reads. */
  efficiency_score: number | null
  efficiency: 'excellent' | 'good' | 'low' | null
  /** ISO 8601: which entries' ends, and which jobs' ends, are looked at. */
  window: { from: string; to: string }
  /** Entries that have not expired yet, and how many of them were read so far. */
  live: { keys_warmed: number; keys_read: number }
  /** The same by task: of tasks that share a key template, the one of the higher priority has the other's reads. */
  tasks: { task: string; keys_warmed: number; keys_read: number; keys_wasted: number }[]
}

/** @param jobs in any order, the same one twice if need be */
export function warmingPerformance(jobs: readonly JobResult[], gain: GainFigures, nowMs: number): WarmingPerformance {
  const durations = durationsOf(jobs, gain.fromMs, nowMs)
  const { warmed, read, byTask } = gain.ended
  const score = gain.isObserved && warmed > 0 ? Math.round((1000 * read) / warmed) / 10 : null
  return {
    avg_duration_ms: durations.length === 0 ? null : durations.reduce((sum, ms) => sum + ms, 0) / durations.length,
    // Nearest rank.
    p95_duration_ms: durations[Math.ceil(durations.length * 0.95) - 1] ?? null,
    jobs: durations.length,
    keys_warmed: warmed,
    keys_read: read,
    keys_wasted: warmed - read,
    efficiency_score: score,
    efficiency: efficiencyOf(score),
    window: { from: new Date(gain.fromMs).toISOString(), to: new Date(nowMs).toISOString() },
    live: { keys_warmed: gain.live.warmed, keys_read: gain.live.read },
    tasks: [...byTask].map(([task, counts]) => ({
      task,
      keys_warmed: counts.warmed,
      keys_read: counts.read,
      keys_wasted: counts.warmed - counts.read,
    })),
  }
}

export function efficiencyOf(score: number | null): WarmingPerformance['efficiency'] {
  if (score === null) return null
  return score > 90 ? 'excellent' : score > 80 ? 'good' : 'low'
}

/** In ms, shortest first. */
function durationsOf(jobs: readonly JobResult[], fromMs: number, toMs: number): number[] {
  const byId = new Map(jobs.map((job) => [job.jobId, job]))
  return [...byId.values()]
    .filter(({ status, endedAt }) => {
      const endMs = Date.parse(endedAt)
      return ['success', 'partial', 'failed'].includes(status) && endMs >= fromMs && endMs <= toMs
    })
    .map(({ durationNs }) => durationNs / 1e6)
    .sort((a, b) => a - b)
}
