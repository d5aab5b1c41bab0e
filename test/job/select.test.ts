import { describe, it } from 'node:test'
import { assertEquals, assertThrows } from '@std/assert'
import { type LoadOptions, load } from '../../src/config/define.ts'
import { PrewarmError } from '../../src/errors.ts'
import { selectTasks, settleParams } from '../../src/job/select.ts'
import type { JobRequest } from '../../src/types.ts'
import { configOf } from '../fakes/tasks.ts'

const task = (name: string, options: Partial<LoadOptions> = {}) =>
  load({ key: `${name}:{id}`, load: () => new Map(), ...options })

const { tasks } = configOf({
  plain: task('plain', { tags: ['a'] }),
  hot: task('hot', { priority: 90, tags: ['a', 'b'], params: { limit: 1 } }),
  vital: task('vital', { critical: true, tags: ['b'], params: { limit: 2, days: 7 } }),
  cold: task('cold', { priority: -5 }),
  other: task('other'),
})
const selected = (request: JobRequest) => selectTasks(tasks, request).map(({ name }) => name)

const CASES: [JobRequest, string[]][] = [
  [{}, ['vital', 'hot', 'plain', 'other', 'cold']],
  [{ tasks: [], tags: [] }, ['vital', 'hot', 'plain', 'other', 'cold']],
  [{ tasks: ['cold', 'hot'] }, ['hot', 'cold']],
  [{ tasks: ['hot', 'hot'] }, ['hot']],
  [{ tags: ['a'] }, ['hot', 'plain']],
  [{ tags: ['a', 'b'] }, ['vital', 'hot', 'plain']],
  [{ critical: true }, ['vital']],
  [{ critical: false, tags: ['b'] }, ['vital', 'hot']],
  [{ tasks: ['hot', 'plain', 'cold'], tags: ['b'] }, ['hot']],
  [{ tags: ['b'], critical: true }, ['vital']],
  [{ priority: 1 }, ['plain', 'hot', 'vital', 'cold', 'other']],
]

const refusal = (work: () => unknown) => {
  const { code, message } = assertThrows(work, PrewarmError)
  return `${code}: ${message}`
}

describe('selectTasks', () => {
  for (const [request, names] of CASES)
    it(`selectTasks takes ${names.join(', ')} for ${JSON.stringify(request)}`, () =>
      assertEquals(selected(request), names))

  it('selectTasks refuses a name that is not declared, and tells those that are', () => {
    assertEquals(
      refusal(() => selected({ tasks: ['hot', 'warm'] })),
      "TASK_UNKNOWN: There is no task 'warm': the configuration has plain, hot, vital, cold, other",
    )
  })

  it('selectTasks refuses a selection of nothing, and tells why', () => {
    assertEquals(
      refusal(() => selected({ tags: ['x', 'y'] })),
      'USAGE: No task matches tag x, y',
    )
    assertEquals(
      refusal(() => selected({ tags: ['a'], critical: true })),
      'USAGE: No task matches tag a and critical',
    )
    assertEquals(
      refusal(() => selectTasks(new Map(), {})),
      'USAGE: The configuration has no tasks',
    )
  })
})

describe('settleParams', () => {
  const pick = (...names: string[]) => selectTasks(tasks, { tasks: names })

  it('settleParams lays what is given over each task’s own defaults', () => {
    const params = settleParams(pick('hot', 'vital', 'plain'), { limit: '9' })
    assertEquals(
      [...params],
      [
        ['vital', { limit: 9, days: 7 }],
        ['hot', { limit: 9 }],
        ['plain', {}],
      ],
    )
    assertEquals(settleParams(pick('vital')).get('vital'), { limit: 2, days: 7 })
  })

  it('settleParams refuses a name that no selected task declares', () => {
    assertEquals(
      refusal(() => settleParams(pick('hot', 'vital'), { dayz: 1 })),
      "PARAM_INVALID: No selected task has a parameter 'dayz': they declare limit, days",
    )
    assertEquals(
      refusal(() => settleParams(pick('plain'), { limit: 1 })),
      "PARAM_INVALID: No selected task has a parameter 'limit': they declare none",
    )
  })

  it('settleParams refuses a value that is wrong for one of them', () => {
    assertEquals(
      refusal(() => settleParams(pick('hot'), { limit: 'many' })),
      "PARAM_INVALID: Parameter 'limit' of task 'hot' is 'many', expected a number like 1",
    )
  })
})
