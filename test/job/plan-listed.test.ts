import { describe, it } from 'node:test'
import { assertEquals, assertRejects } from '@std/assert'
import type { Select } from '../../src/config/define.ts'
import { PrewarmError } from '../../src/errors.ts'
import { planTask } from '../../src/job/plan.ts'
import { FakeSqlClient } from '../fakes/sql-client.ts'
import { loadTask } from '../fakes/tasks.ts'

const { signal } = new AbortController()

async function planned(select: Select, options: { count: number | null; listed?: number }) {
  const task = loadTask({ select, timeoutMs: 50 })
  const plan = await planTask(task, () => new FakeSqlClient(), { params: {}, batchSize: 10, signal, ...options })
  if (plan.kind !== 'keys') throw new Error(plan.kind)
  return plan
}

/** Three keys, then nothing any more. */
async function* stuck() {
  yield* [1, 2, 3]
  await new Promise(() => {})
}

describe('planTask with more listed than wanted', () => {
  it('lists no more than it is told, and the count alone without that', async () => {
    let asked = 0
    function* endless() {
      for (;;) yield ++asked
    }
    assertEquals((await planned(endless, { count: 2, listed: 5 })).keys.length, 5)
    assertEquals(asked, 6)
    asked = 0
    assertEquals((await planned(endless, { count: 2 })).keys, ['k:1', 'k:2'])
    assertEquals((await planned(() => [1, 2, 3], { count: null })).keys.length, 3)
  })

  it('takes what was listed in time, if it is as much as is wanted', async () => {
    assertEquals((await planned(stuck, { count: 3, listed: 100 })).keys, ['k:1', 'k:2', 'k:3'])
    for (const options of [{ count: 4, listed: 100 }, { count: 3 + 1 }, { count: null }]) {
      const error = await assertRejects(() => planned(stuck, options), PrewarmError)
      assertEquals(error.code, 'ORIGIN_TIMEOUT')
    }
  })

  it('counts bad keys among those that are wanted, and not beyond', async () => {
    const bad = { other: 1 }
    const { keys, failures } = await planned(() => [1, bad, 2, 3, bad, 4], { count: 3, listed: 100 })
    assertEquals([keys, failures.length], [['k:1', 'k:2', 'k:3', 'k:4'], 1])
  })
})
