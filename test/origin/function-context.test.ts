import { describe, it } from 'node:test'
import { assertEquals, assertRejects } from '@std/assert'
import type { LoadOptions } from '../../src/config/define.ts'
import { FunctionOrigin } from '../../src/origin/function.ts'
import type { ReadOptions } from '../../src/origin/types.ts'
import { FakeSqlClient } from '../fakes/sql-client.ts'
import { keys, loadTask } from '../fakes/tasks.ts'

const options = (more: Partial<ReadOptions> = {}): ReadOptions => {
  const { signal } = new AbortController()
  return { params: {}, timeoutMs: 60_000, signal, requestIntervalMs: 0, traceId: '1'.repeat(32), ...more }
}

function read(task: Partial<LoadOptions>, count = 1, more: Partial<ReadOptions> = {}) {
  const origin = new FunctionOrigin(loadTask(task), () => new FakeSqlClient())
  return origin.read({ kind: 'keys', keys: keys(count) }, options(more))
}

describe('FunctionOrigin, what goes in and what is taken', () => {
  it('read gives the function its keys, their placeholders, the parameters and a signal', async () => {
    let given: unknown[] = []
    const load: LoadOptions['load'] = (wanted, { ids, params, signal }) => {
      given = [[...wanted], ids, params, signal.aborted]
      const values = new Map(wanted.map((key) => [key, 1]))
      wanted.length = 0
      return values
    }
    const { records } = await read({ load }, 2, { params: { limit: 5 } })
    assertEquals(given, [['k:1', 'k:2'], [{ id: '1' }, { id: '2' }], { limit: 5 }, false])
    assertEquals(records.length, 2)
  })

  it('read opens the database only when the function asks for it', async () => {
    let opened = 0
    const client = () => {
      opened++
      return new FakeSqlClient()
    }
    const load = loadTask({ load: (wanted) => wanted.map(() => 1) })
    await new FunctionOrigin(load, client).read({ kind: 'keys', keys: ['k:1'] }, options())
    assertEquals(opened, 0)
    const asking = loadTask({ load: (wanted, { sql }) => wanted.map(() => typeof sql) })
    await assertRejects(() => new FunctionOrigin(asking, client).read({ kind: 'keys', keys: ['k:1'] }, options()))
    assertEquals(opened, 1)
  })

  it('read keeps the columns that are wanted, or the one that is', async () => {
    const load = () => ({ 'k:1': { id: 1, title: 'A', price: 2 } })
    const values = async (task: Partial<LoadOptions>) => (await read({ load, ...task })).records[0]?.value
    assertEquals(await values({}), { id: 1, title: 'A', price: 2 })
    assertEquals(await values({ columns: ['title', 'year'] }), { title: 'A' })
    assertEquals(await values({ value: { column: 'title' } }), 'A')
  })

  it('read reads versions from the whole value, and fails a key alone whose version is none', async () => {
    const rows = () => [{ v: 3, a: 1 }, { v: 'x' }, { v: '0012' }]
    const { records, failures } = await read({ load: rows, version: 'v', columns: ['a'] }, 3)
    assertEquals(records, [
      { key: 'k:1', value: { a: 1 }, version: '3' },
      { key: 'k:3', value: {}, version: '12' },
    ])
    assertEquals([failures[0]?.key, failures[0]?.failure.code], ['k:2', 'VERSION_INVALID'])
  })
})
