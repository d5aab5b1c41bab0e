import { getLogger } from '@logtape/logtape'
import type { Clock } from './clock.ts'
import type { Dispatcher } from './dispatcher.ts'
import type { EventLog } from './events/event-log.ts'
import type { EmergencyState, HaltResult } from './facade.ts'
import type { EmergencyChange } from './origin/emergency.ts'
import type { OriginGuard } from './origin/guard.ts'
import type { Runner } from './runner.ts'

const log = getLogger(['prewarm'])

export interface EmergencyParts {
  dispatcher: Dispatcher
  runner: Runner
  guard: OriginGuard
  events: EventLog
  clock: Clock
  thresholdMs: () => number
}

/** The emergency stop, by hand or the origin's own: whether anything may go on. */
export class Emergency {
  readonly #parts: EmergencyParts
  #halted: { reason: string; since: string } | null = null
  /** How often it was stopped by hand. */
  times = 0

  constructor(parts: EmergencyParts) {
    this.#parts = parts
  }

  get state(): EmergencyState {
    if (this.#halted !== null) return { state: 'stopped', by: 'hand', ...this.#halted }
    const { emergency, sinceMs, p95Ms, thresholdMs } = this.#parts.guard.state
    if (emergency === 'none') return { state: 'none' }
    const since = new Date(sinceMs ?? this.#parts.clock.nowMs()).toISOString()
    if (emergency === 'probing') return { state: 'probing', since }
    const reason = `the origin's p95 is ${Math.round(p95Ms ?? 0)} ms, above ${thresholdMs} ms`
    return { state: 'stopped', by: 'origin', reason, since }
  }

  /** Resolves when no worker writes any more, at most `timeoutMs` later. */
  async halt(reason: string, timeoutMs: number): Promise<HaltResult> {
    const { clock, events, runner, dispatcher, thresholdMs } = this.#parts
    if (this.#halted === null) {
      this.times++
      this.#halted = { reason, since: new Date(clock.nowMs()).toISOString() }
      events.emit({ type: 'emergency_stop', by: 'hand', reason, p95_ms: null, threshold_ms: thresholdMs() })
      log.warn('emergency stop by hand: {reason}', { reason })
    }
    runner.hold()
    return dispatcher.halt(timeoutMs)
  }

  /** The guard has stopped or resumed by itself. */
  told(change: EmergencyChange): void {
    const { events, thresholdMs, dispatcher } = this.#parts
    if (change.change === 'stop') {
      const { reason, p95Ms } = change
      events.emit({ type: 'emergency_stop', by: 'origin', reason, p95_ms: p95Ms, threshold_ms: thresholdMs() })
      log.warn('emergency stop: {reason}', { reason })
      return
    }
    events.emit({ type: 'emergency_resume', by: 'origin' })
    log.warn('the origin has recovered: resumed')
    dispatcher.wake()
  }

  resume(): void {
    const wasHalted = this.#halted !== null
    this.#halted = null
    const wasStopped = this.#parts.guard.resume()
    this.#parts.runner.resume()
    this.#parts.dispatcher.resume()
    if (!wasHalted && !wasStopped) return
    this.#parts.events.emit({ type: 'emergency_resume', by: 'hand' })
    log.warn('resumed by hand')
  }
}
