import type { Outcome } from '../types.ts'

/** What sets a job going. */
export type JobSource = 'program' | 'cli' | 'http' | 'schedule' | 'startup' | 'rewarm'

/** How many keys ended in which outcome. */
export type EventKeys = { planned: number } & Record<Outcome, number>

/**
 * What happens, as subscribers are told: the same objects in the program, over SSE and on Redis' pub/sub channel.
 * Names are those of the HTTP API. Times of day are ISO 8601, durations ms.
 */
export type WarmEvent =
  | {
      type: 'job_started'
      job_id: string
      trace_id: string
      source: JobSource
      strategy: string
      tasks: string[]
      /** The caller's span. */
      parent_span_id?: string
      schedule?: string
    }
  | {
      type: 'job_ended'
      job_id: string
      trace_id: string
      source: JobSource
      strategy: string
      status: string
      duration_ms: number
      keys: EventKeys
      coverage: number
      /** It warmed a list of keys, not whole tasks. */
      is_named: boolean
      /** Keys that Redis had no room for, by task; absent: none. */
      left_out?: Record<string, number>
      schedule?: string
    }
  | {
      type: 'batch'
      job_id: string
      trace_id: string
      task: string
      worker: string
      status: 'done' | 'failed' | 'lost'
      duration_ms: number
      origin_ms: number
      origin_requests: number
      keys: EventKeys
    }
  /** Sampled: at most `events.keysPerSecond` of them. */
  | { type: 'key'; key: string; task: string; status: Outcome; duration_ms: number; job_id: string; trace_id: string }
  | { type: 'emergency_stop'; by: 'hand' | 'origin'; reason: string; p95_ms: number | null; threshold_ms: number }
  | { type: 'emergency_resume'; by: 'hand' | 'origin' }
  /** By setting, as the HTTP API names it; times in ms. */
  | { type: 'config_changed'; changes: Record<string, { from: unknown; to: unknown }> }
  | { type: 'schedule_fired'; schedule: string; job_id: string; trace_id: string }
  | { type: 'schedule_skipped'; schedule: string; reason: 'locked' | 'overlap' | 'paused' | 'missed'; holder?: string }
  | { type: 'schedule_changed'; schedule: string; change: 'added' | 'removed' | 'paused' | 'resumed' }

export type EventType = WarmEvent['type']
export type EventOf<T extends EventType> = Extract<WarmEvent, { type: T }>

/** An event with its place in the log. */
export interface LoggedEvent {
  /** Grows by one with each event of this process. */
  id: number
  /** ISO 8601 */
  at: string
  event: WarmEvent
}
