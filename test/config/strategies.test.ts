import { describe, it } from 'node:test'
import { assertEquals, assertStringIncludes, assertThrows } from '@std/assert'
import type { ConfigDefinition } from '../../src/config/define.ts'
import { resolveConfig } from '../../src/config/load.ts'
import { checkConfig } from '../../src/config/schema.ts'
import { PrewarmError } from '../../src/errors.ts'
import type { Strategy } from '../../src/job/strategy/types.ts'

const mine: Strategy = { rank: (keys) => ({ keys, priorities: 0 }) }
const task = (parent?: string) =>
  ({ kind: 'load', key: 'k:{id}', load: () => ({}), ...(parent && { parent }) }) as const

/** What is wrong with it, in lines; empty: nothing. */
function problems(definition: object): string[] {
  try {
    checkConfig({ tasks: {}, ...definition })
    return []
  } catch (error) {
    return (error as PrewarmError).message.split('\n')
  }
}

describe('strategies of a configuration', () => {
  it('are taken by name, and can be the default', () => {
    assertEquals(problems({ strategies: { mine, 'my-2_Own': mine }, defaultStrategy: 'mine' }), [])
    for (const defaultStrategy of ['selective', 'breadth', 'priority']) assertEquals(problems({ defaultStrategy }), [])
  })

  const bad: [definition: object, says: string[]][] = [
    [{ strategies: { priority: mine } }, ['strategies.priority is an object', 'another name']],
    [{ strategies: { 'my own': mine } }, ['strategies.my own', 'letters, digits']],
    [{ strategies: { '': mine } }, ['strategies.', 'letters, digits']],
    [{ strategies: { mine: {} } }, ['strategies.mine.rank is undefined, expected a function']],
    [{ strategies: { mine: { rank: 'hottest' } } }, ["strategies.mine.rank is 'hottest', expected a function"]],
    [{ strategies: { mine: () => [] } }, ['strategies.mine is a function, expected { rank }']],
    [
      { strategies: { mine: { ...mine, rnak: 1 } } },
      ["strategies.mine.rnak is not a known field; did you mean 'rank'?"],
    ],
    [{ strategies: [] }, ['strategies is a list, expected strategies by name']],
    [{ defaultStrategy: 'best' }, ["defaultStrategy is 'best', expected one of 'selective', 'breadth', 'priority'"]],
    [
      { defaultStrategy: 'best', strategies: { mine } },
      ["defaultStrategy is 'best', expected one of 'selective', 'breadth', 'priority', 'mine'"],
    ],
    [{ defaultStrategy: 'toString' }, ["defaultStrategy is 'toString'"]],
    [{ defaultStrategy: 1 }, ['defaultStrategy is 1']],
    [{ tasks: { a: task('b') } }, ["tasks.a.parent is 'b', expected none: there is no other task"]],
    [{ tasks: { a: task('a'), b: task() } }, ["tasks.a.parent is 'a', expected one of b"]],
    [{ tasks: { a: task('toString'), b: task() } }, ["tasks.a.parent is 'toString', expected one of b"]],
    [
      { tasks: { a: task('b'), b: task('c'), c: task('a') } },
      ['tasks.a.parent', 'tasks.b.parent', 'tasks.c.parent', 'do not lead back to this one'],
    ],
  ]
  for (const [at, [definition, says]] of bad.entries())
    it(`are refused, naming what is wrong (${at + 1}: ${says[0]})`, () => {
      const text = problems(definition).join('\n')
      for (const one of says) assertStringIncludes(text, one)
    })

  it('takes parents that lead to their end, though others go round', () => {
    assertEquals(problems({ tasks: { a: task(), b: task('a'), c: task('b'), d: task('b') } }), [])
    const text = problems({ tasks: { a: task('b'), b: task('a'), c: task('a') } }).join('\n')
    assertEquals([text.includes('tasks.a'), text.includes('tasks.b'), text.includes('tasks.c')], [true, true, false])
  })

  it('can be the default by the environment', () => {
    const definition: ConfigDefinition = { tasks: { a: task(), b: task('a') }, strategies: { mine } }
    const resolved = (name: string) => resolveConfig(definition, { env: { WARMING_DEFAULT_STRATEGY: name } }, 1)
    assertEquals(resolved('mine').settings.defaultStrategy, 'mine')
    assertEquals(resolved('mine').tasks.get('b')?.parent, 'a')
    const error = assertThrows(() => resolved('best'), PrewarmError)
    assertEquals(
      error.message,
      "Environment variable WARMING_DEFAULT_STRATEGY is 'best', expected one of selective, breadth, priority, mine",
    )
  })
})
