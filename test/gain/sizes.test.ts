import { describe, it } from 'node:test'
import { assertEquals } from '@std/assert'
import { z } from 'zod'
import { defineConfig, load, type TaskDefinition } from '../../src/config/define.ts'
import { resolveConfig } from '../../src/config/load.ts'
import { poolOf, sizesOf } from '../../src/gain/sizes.ts'

function tasksOf(tasks: Record<string, TaskDefinition>) {
  return resolveConfig(defineConfig({ tasks }), { env: {}, flags: {}, nowMs: 0 }, 2).tasks
}
const task = (params: unknown, more: object = {}) =>
  load({ key: 's:{id}', load: () => [], params, ...more } as Parameters<typeof load>[0])

describe('sizesOf', () => {
  it('is what the task that warms sessions warms by default', () => {
    const sessions = task(z.object({ limit: z.number().default(1000), hours: z.number().default(24) }), {
      batchSize: 100,
    })
    const tasks = tasksOf({ other: task({ limit: 5 }), sessions })
    assertEquals(sizesOf(tasks, 50), { defaultSessionCount: 1000, batchSize: 100, recentWindowHours: 24 })
  })

  it('goes by the tag where none has the name, and knows days', () => {
    const tasks = tasksOf({ other: task({ limit: 5 }), mine: task({ limit: 7, days: 2 }, { tags: ['sessions'] }) })
    assertEquals(sizesOf(tasks, 50), { defaultSessionCount: 7, batchSize: 50, recentWindowHours: 48 })
  })

  it('is unknown where nothing says so', () => {
    const none = { defaultSessionCount: null, batchSize: 50, recentWindowHours: null }
    assertEquals(sizesOf(tasksOf({ other: task({ limit: 5 }) }), 50), none)
    assertEquals(sizesOf(tasksOf({ sessions: task(z.object({ limit: z.number() })) }), 50), none)
  })
})

describe('poolOf', () => {
  it('counts workers that are free, and tasks that wait', () => {
    const worker = { id: 'worker-1', currentKey: null, startedAt: null }
    const workers = (['idle', 'busy', 'starting', 'idle'] as const).map((state) => ({ ...worker, state }))
    assertEquals(poolOf({ workers, queuedTasks: 3 }), { size: 4, available: 2, pending: 3 })
  })
})
