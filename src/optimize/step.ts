import { limitStep } from './limit.ts'
import { jitterFor, timingStep } from './timing.ts'
import type { Change, TaskFacts } from './types.ts'

export interface StepContext {
  /** Requests an hour that the origin has left for warming this task. */
  roomPerHour: number
  observedMs: number
  /** What is warmed is what is read most, as far as is known. */
  isOrdered: boolean
}

export interface Step {
  changes: Change[]
  /** Why something that seems wrong stays as it is. */
  notes: string[]
}

/** The next change of a task's timing and limit, one after the other; none where all is well. */
export function step(facts: TaskFacts, context: StepContext): Step {
  const timing = timingStep(facts, context)
  const after = timing.changes.reduce(withChange, facts)
  const limit = limitStep(after, context)
  return { changes: [...timing.changes, ...limit.changes], notes: [...timing.notes, ...limit.notes] }
}

/** The facts as they are once `change` is in force. */
export function withChange(facts: TaskFacts, { field, to }: Pick<Change, 'field' | 'to'>): TaskFacts {
  switch (field) {
    case 'interval':
      return { ...facts, gapsMs: [to], jitterMs: jitterFor(facts.jitterMs, to) }
    case 'ttl':
      return { ...facts, ttlMs: to }
    case 'limit':
      return { ...facts, limit: to, warmed: facts.limit !== null && to > facts.limit ? to : Math.min(facts.warmed, to) }
    case 'priority':
      return { ...facts, priority: to }
  }
}
