import { describe, it } from 'node:test'
import { assert, assertEquals } from '@std/assert'
import fc from 'fast-check'
import { load } from '../../src/config/define.ts'
import { glob } from '../../src/keyspace/glob.ts'
import { isOwnKey, knownKeys, mayMatch, tasksOfKeys } from '../../src/keyspace/known.ts'
import { configOf } from '../fakes/tasks.ts'
import { check } from '../support/property.ts'

/** Tasks by name: a key template each, with a priority. */
function tasksOf(templates: Record<string, [string, number?]>) {
  const definitions = Object.entries(templates).map(([name, [key, priority = 0]]) => [
    name,
    load({ key, priority, load: () => new Map() }),
  ])
  return configOf(Object.fromEntries(definitions)).tasks
}
const sorted = (...args: Parameters<typeof tasksOfKeys>) => {
  const { matched, unmatched } = tasksOfKeys(...args)
  return [Object.fromEntries(matched), unmatched]
}

describe('tasksOfKeys', () => {
  it('gives each key to the task whose template it is of, once', () => {
    const tasks = tasksOf({ users: ['user:{id}'], names: ['user:{id}:name'], fixed: ['config'] })
    const keys = ['user:1', 'user:1:name', 'nobody', 'user:2', 'user:1', 'nobody', 'config', 'config:1', 'user:']
    const expected = { users: ['user:1', 'user:2'], names: ['user:1:name'], fixed: ['config'] }
    assertEquals(sorted(tasks, keys), [expected, ['nobody', 'config:1', 'user:']])
  })

  it('gives a key of several to the warmest, then to the one declared first', () => {
    const same = tasksOf({ first: ['k:{a}'], second: ['k:{b}'] })
    assertEquals(sorted(same, ['k:1']), [{ first: ['k:1'] }, []])
    const warmer = tasksOf({ first: ['k:{a}'], second: ['{any}:{b}', 5], third: ['k:{b}', 5] })
    assertEquals(sorted(warmer, ['k:1']), [{ second: ['k:1'] }, []])
  })

  it('gives prewarm’s own records to nobody', () => {
    const tasks = tasksOf({ all: ['{a}:{b}'], deep: ['{a}:{b}:{c}'] })
    const own = ['prewarm:jobs', 'prewarm:version:k', 'cache:warmup:lock', 'cache:warmup:fence']
    assertEquals(sorted(tasks, [...own, 'cache:warm', 'prewarmed:1']), [{ all: ['cache:warm', 'prewarmed:1'] }, own])
    assert(own.every(isOwnKey) && !isOwnKey('cache:warmups:1'))
  })

  it('leaves no key out and takes none twice, however many tasks there are', () => {
    const names = Array.from({ length: 50 }, (_, at) => [`t${at}`, [`${'abcde'[at % 5]}${at}:{id}`, at % 3]] as const)
    const tasks = tasksOf(Object.fromEntries(names) as Record<string, [string, number]>)
    const key = fc
      .tuple(fc.constantFrom(...'abcde'), fc.nat(59), fc.constantFrom(':1', ':2', ''))
      .map((all) => all.join(''))
    const property = fc.property(fc.array(key, { maxLength: 300 }), (keys) => {
      const { matched, unmatched } = tasksOfKeys(tasks, keys)
      for (const [name, list] of matched) for (const one of list) assert(tasks.get(name)?.key.match(one) !== null)
      for (const one of unmatched) assert([...tasks.values()].every((task) => task.key.match(one) === null))
      assertEquals([...[...matched.values()].flat(), ...unmatched].sort(), [...new Set(keys)].sort())
    })
    check(property)
  })
})

describe('mayMatch', () => {
  const tasks = tasksOf({ users: ['user:{id}'], anything: ['{a}:x'], fixed: ['config'] })
  const possible = (pattern: string) =>
    [...tasks.values()].filter((task) => mayMatch(task, glob(pattern))).map(({ name }) => name)

  it('goes by what pattern and template begin with', () => {
    assertEquals(possible('user:1*'), ['users', 'anything'])
    assertEquals(possible('u*'), ['users', 'anything'])
    assertEquals(possible('car:*'), ['anything'])
    assertEquals(possible('con*'), ['anything', 'fixed'])
    assertEquals(possible('[uc]*'), ['users', 'anything', 'fixed'])
  })

  it('is never wrong about a key that matches both', () => {
    const known = knownKeys(tasks.values())
    const pattern = fc.string({ unit: fc.constantFrom(...'user:config*?x'), minLength: 1, maxLength: 8 })
    const key = fc.oneof(
      fc.constant('config'),
      fc.constantFrom('user:', '').chain((a) => fc.constantFrom('1', 'u', 'x', 'u:x').map((b) => a + b)),
    )
    const property = fc.property(pattern, key, (text, name) => {
      const task = known.taskOf(name)
      if (task !== undefined && glob(text).matches(name)) assert(mayMatch(task, glob(text)), `${text} ${name}`)
    })
    check(property, 1000)
  })
})
