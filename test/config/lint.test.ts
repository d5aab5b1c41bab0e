import { describe, it } from 'node:test'
import { assertEquals } from '@std/assert'
import { z } from 'zod'
import { http, load, sql, type TaskDefinition } from '../../src/config/define.ts'
import { resolveConfig } from '../../src/config/load.ts'

const NOW = Date.UTC(2024, 0, 15, 12, 0, 30)

const warningsOf = (tasks: Record<string, TaskDefinition>): readonly string[] =>
  resolveConfig({ tasks }, { nowMs: NOW }, 4).warnings

const task = (options: Partial<Parameters<typeof sql>[0]> = {}) =>
  sql({ key: 'k:{id}', value: 'hash', query: 'select 1', ...options })

/** TTL and schedule, and whether the keys live until the next run. */
const SCHEDULES: [string, number, string, boolean][] = [
  ['5m', 0, '*/5 * * * *', true],
  ['5m', 0.1, '*/5 * * * *', false],
  ['6m', 0.1, '*/5 * * * *', true],
  ['299s', 0, '*/5 * * * *', false],
  ['1h', 0, '0,10 * * * *', true],
  ['49m', 0, '0,10 * * * *', false],
  ['23h', 0, '0 3 * * *', false],
  ['1d', 0, '0 3 * * *', true],
  ['2d', 0, '0 3 * * 1-5', false],
  ['3d', 0, '0 3 * * 1-5', true],
]

describe('lint', () => {
  it('lint is silent where there is nothing to say', () => {
    const tasks = { one: task({ params: { limit: 1 }, query: 'select :limit' }), two: task({ key: 'other:{id}' }) }
    assertEquals(warningsOf(tasks), [])
  })

  for (const [ttl, ttlJitter, schedule, isFine] of SCHEDULES)
    it(`lint ${isFine ? 'accepts' : 'warns of'} ttl ${ttl} less ${ttlJitter * 100} % with schedule ${schedule}`, () => {
      const warnings = warningsOf({ one: task({ ttl, ttlJitter, schedule }) })
      assertEquals(
        warnings.map((text) => text.startsWith('tasks.one.ttl is ')),
        isFine ? [] : [true],
      )
    })

  it('lint names the place, the numbers and the fix of a TTL that is too short', () => {
    assertEquals(warningsOf({ one: task({ ttl: '1m', schedule: '0 * * * *' }) }), [
      'tasks.one.ttl is 1 m (less 10 % jitter) but its schedule runs every 1 h: ' +
        'keys are gone before they are warmed again; raise ttl or run more often',
    ])
  })

  it('lint measures the default TTL, too', () => {
    assertEquals(warningsOf({ one: task({ schedule: '0 */2 * * *' }) }).length, 1)
  })

  it('lint warns of templates that make the same keys, whatever their placeholders are called', () => {
    const tasks = {
      one: task({ key: 'user:{id}' }),
      two: load({ key: 'user:{user_id}', load: () => new Map() }),
      three: http({ key: 'user:{id}:x', url: 'https://h/{id}' }),
    }
    assertEquals(warningsOf(tasks), [
      "tasks.two.key is 'user:{user_id}', the same template as tasks.one: they overwrite each other; give one another prefix",
    ])
  })

  it('lint warns of each parameter without a default, plain, mentioned or zod', () => {
    const warning = (name: string) =>
      `tasks.one.params.${name} has no default: every run must give --${name}; add a default`
    assertEquals(warningsOf({ one: task({ query: 'select :days, :limit', params: { limit: 5 } }) }), [warning('days')])
    const params = z.object({ since: z.string(), limit: z.number().default(5) })
    assertEquals(warningsOf({ one: task({ query: 'select :since, :limit', params }) }), [warning('since')])
  })
})
