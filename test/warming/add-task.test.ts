import { describe, it } from 'node:test'
import { assertEquals, assertRejects, assertThrows } from '@std/assert'
import { PrewarmError } from '../../src/errors.ts'
import { bunWarmer } from './support.ts'

describe('what BunCacheWarmer takes', () => {
  it('refuses what can not be, naming the field, its value and the fix', async () => {
    const { warmer } = bunWarmer()
    const execute = () => 1
    warmer.addTask({ name: 'one', execute })
    for (const [task, message] of [
      [{ name: '', execute }, "name is '', expected text"],
      [{ name: 'one', execute }, "There is a task 'one' already: choose another name"],
      [{ name: 'x', execute: 7 as never }, "execute of task 'x' is number, expected a function"],
      [{ name: 'x', execute, priority: Number.NaN }, "priority of task 'x' is NaN, expected a number from -1000000"],
      [{ name: 'x', execute, retries: 1.5 }, "retries of task 'x' is 1.5, expected a whole number from 0 to 20"],
      [{ name: 'x', execute, ttl: '5' }, "ttl of task 'x' is '5', expected ms as a number, or text such as '5m'"],
      [{ name: 'x', execute, timeout: 0 }, "timeout of task 'x' is '0', expected ms as a number"],
      [{ name: 'x', execute, key: 'film:{id}' }, "key of task 'x' is 'film:{id}', expected a whole key"],
      [{ name: 'x', execute, key: 'warmup:one' }, "key of task 'x' is 'warmup:one', which task 'one' has already"],
      [{ name: 'x', execute, key: 'prewarm:x' }, "key of task 'x' is 'prewarm:x', which is prewarm's own"],
      [{ name: 'x', execute, key: 'cache:warmup:task:x' }, "which is prewarm's own"],
    ] as const) {
      const error = assertThrows(() => warmer.addTask(task), PrewarmError, message)
      assertEquals(error.code, 'USAGE')
    }
    assertEquals(warmer.tasks, ['one'])
    for (const concurrency of [0, 1001, 1.5, Number.NaN])
      await assertRejects(
        () => warmer.executeTasks(concurrency),
        PrewarmError,
        `concurrency is ${concurrency}, expected`,
      )
    assertThrows(() => bunWarmer({ ttl: 'soon' }), PrewarmError, "ttl is 'soon'")
    assertThrows(() => bunWarmer({ keyPrefix: 'a{b}{c}' }), PrewarmError, 'key template')
  })

  it('tells names apart that a configuration would write alike', async () => {
    const bench = bunWarmer()
    for (const name of ['top films', 'top/films', 'top-films', '2 films', 'Ünï'])
      bench.warmer.addTask({ name, execute: () => name })
    const results = await bench.run()
    assertEquals(
      results.map((one) => one.status === 'fulfilled' && one.value),
      results.map(({ name }) => name),
    )
    assertEquals(Object.keys(bench.given[0]?.config?.tasks ?? {}), [
      'top-films',
      'top-films-2',
      'top-films-3',
      'task-2-films',
      'task--n-',
    ])
  })
})
