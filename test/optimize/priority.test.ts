import { describe, it } from 'node:test'
import { assertEquals, assertStringIncludes } from '@std/assert'
import { priorityChanges } from '../../src/optimize/priority.ts'
import type { TaskFacts } from '../../src/optimize/types.ts'
import { factsOf } from './support.ts'

/** Tasks of these reads an hour. */
function changes(...tasks: [readsPerHour: number, over?: Partial<TaskFacts>][]) {
  const facts = tasks.map(([reads, over = {}], at) =>
    factsOf({ task: 'abc'[at] as string, declaredPriority: over.priority ?? 0, readsPerHour: [reads], ...over }),
  )
  return priorityChanges(facts).map(({ task, from, to }) => [task, from, to])
}

describe('adaptive priority', () => {
  it('moves tasks that are read more up, and the others down, by ten for each factor of ten', () => {
    assertEquals(changes([10_000], [100]), [
      ['a', 0, 10],
      ['b', 0, -10],
    ])
    assertEquals(changes([10_000, { priority: 30 }], [100, { priority: 30 }]), [
      ['a', 30, 40],
      ['b', 30, 20],
    ])
  })

  it('moves by at most 20', () => {
    assertEquals(changes([1e12], [1], [1]), [
      ['a', 0, 20],
      ['b', 0, -20],
      ['c', 0, -20],
    ])
  })

  it('leaves what hardly differs, and one task alone', () => {
    assertEquals([changes([100], [200]), changes([100_000])], [[], []])
  })

  it('does not cross 100, unless the task is declared critical', () => {
    assertEquals(changes([1e12, { priority: 90 }], [1, { priority: 104 }], [1]).slice(0, 1), [['a', 90, 99]])
    assertEquals(changes([1e12], [1, { priority: 110 }], [1, { priority: 99.5 }])[1], ['b', 110, 100])
    assertEquals(changes([1e12, { priority: 90, critical: true }], [1], [1])[0], ['a', 90, 110])
    assertEquals(changes([1], [1e12, { priority: 100, critical: true }], [1e12])[1], ['b', 100, 120])
    assertEquals(changes([1, { priority: 110, critical: true }], [1e12], [1e12])[0], ['a', 110, 100])
  })

  it('is bounded by what is declared, not by what it was moved to, and comes back to it', () => {
    assertEquals(
      changes([1e12, { priority: 20, declaredPriority: 0 }], [1, { priority: -20, declaredPriority: 0 }]),
      [],
    )
    assertEquals(changes([100, { priority: 20, declaredPriority: 0 }], [100, { priority: -20, declaredPriority: 0 }]), [
      ['a', 20, 0],
      ['b', -20, 0],
    ])
  })

  it('says why', () => {
    const [first] = priorityChanges([
      factsOf({ task: 'a', readsPerHour: [10_000] }),
      factsOf({ task: 'b', readsPerHour: [100] }),
    ])
    assertStringIncludes(
      first?.reason ?? '',
      'read 10,000 times an hour, 10.0 times as often as the mean of 2 tasks (1,000)',
    )
  })
})
