import { describe, it } from 'node:test'
import { assert, assertEquals, assertStringIncludes } from '@std/assert'
import fc from 'fast-check'
import type { SqlTask } from '../../src/config/task.ts'
import { planTask, type TaskPlan } from '../../src/job/plan.ts'
import { boundariesStatement, rangeStatement } from '../../src/origin/ranges.ts'
import type { RowRange } from '../../src/origin/types.ts'
import { FakeSqlClient } from '../fakes/sql-client.ts'
import { meets } from '../fakes/sql-condition.ts'
import { sqlTask } from '../fakes/tasks.ts'
import { checkAsync } from '../support/property.ts'

type Row = Record<string, number>

const NAMES = ['a', 'b', 'c']
const orders = fc
  .array(fc.boolean(), { minLength: 1, maxLength: 3 })
  .map((descending) => descending.map((down, at) => ({ column: NAMES[at] as string, descending: down })))
const row = fc.record({
  a: fc.integer({ min: 0, max: 6 }),
  b: fc.integer({ min: 0, max: 4 }),
  c: fc.integer({ min: -20, max: 20 }),
})
const rows = fc.array(row, { maxLength: 60 })

function sorted(all: readonly Row[], { orderBy }: SqlTask): Row[] {
  return [...all].sort((one, other) => {
    for (const { column, descending } of orderBy) {
      const difference = (one[column] as number) - (other[column] as number)
      if (difference !== 0) return descending ? -difference : difference
    }
    return 0
  })
}

/** Plans over `all` as Postgres would have it: every page's first row with the totals. */
async function planOver(
  all: readonly Row[],
  task: SqlTask,
  batchSize: number,
  count: number | null,
): Promise<TaskPlan> {
  const client = new FakeSqlClient()
  client.answer = ({ before }) => {
    if (before.startsWith('explain')) return { columns: ['QUERY PLAN'], rows: [['[{"Plan":{"Plan Rows":12}}]']] }
    const ordered = sorted(all, task)
    const keyOf = (one: Row) => JSON.stringify(task.orderBy.map(({ column }) => `'${one[column]}'`))
    const boundaries = ordered.flatMap((one, index) => {
      if (index % batchSize !== 0) return []
      const first = ordered.findIndex((other) => keyOf(other) === keyOf(one))
      return [[String(all.length), '0', ...JSON.parse(keyOf(one)), String(index + 1), String(first)]]
    })
    return { columns: [], rows: boundaries }
  }
  const { signal } = new AbortController()
  return planTask(task, () => client, { params: {}, batchSize, count, signal })
}

/** The rows that the statement of `range` gives. */
function rowsOf(range: RowRange, all: readonly Row[], task: SqlTask): Row[] {
  const { after } = rangeStatement(task, {}, range)
  const found = /^\) q(?: where (.+?))? order by .+?(?: limit (\d+))?$/.exec(after)
  assert(found !== null, after)
  const [, where, limit] = found
  const met = where === undefined ? all : all.filter((one) => meets(where, one))
  return sorted(met, task).slice(0, limit === undefined ? undefined : Number(limit))
}

function task(orderBy: SqlTask['orderBy']): SqlTask {
  return sqlTask({ orderBy: orderBy.map(({ column, descending }) => (descending ? `${column} desc` : column)) })
}

describe('planTask', () => {
  it('planTask puts every row, also one that appears later, into exactly one range', async () => {
    const size = fc.integer({ min: 1, max: 12 })
    const property = fc.asyncProperty(orders, rows, rows, size, async (orderBy, all, later, batchSize) => {
      const plan = await planOver(all, task(orderBy), batchSize, null)
      if (plan.kind !== 'ranges') return
      assertEquals(
        plan.ranges.reduce((sum, range) => sum + range.rows, 0),
        all.length,
      )
      for (const one of [...all, ...later]) {
        const hits = plan.ranges.filter(({ range }) => rowsOf(range, [one], task(orderBy)).length === 1)
        assertEquals(hits.length, 1, `${JSON.stringify(one)} lies in ${hits.length} ranges`)
      }
    })
    await checkAsync(property, 300)
  })

  it('planTask keeps the ranges in order, so that the hottest rows come first', async () => {
    const property = fc.asyncProperty(
      orders,
      rows,
      fc.integer({ min: 1, max: 12 }),
      async (orderBy, all, batchSize) => {
        const plan = await planOver(all, task(orderBy), batchSize, null)
        if (plan.kind !== 'ranges') return
        const read = plan.ranges.flatMap(({ range }) => rowsOf(range, all, task(orderBy)))
        assertEquals(read, sorted(all, task(orderBy)))
      },
    )
    await checkAsync(property)
  })

  it('planTask with a count reads the first rows: all of them, in order', async () => {
    const unique = fc.uniqueArray(row, { maxLength: 40, selector: (one) => JSON.stringify(one) })
    const count = fc.integer({ min: 0, max: 50 })
    const three = fc.tuple(fc.boolean(), fc.boolean(), fc.boolean())
    const size = fc.integer({ min: 1, max: 9 })
    const property = fc.asyncProperty(three, unique, size, count, async (downs, all, batchSize, most) => {
      const one = task(downs.map((descending, at) => ({ column: NAMES[at] as string, descending })))
      const plan = await planOver(all, one, batchSize, most)
      assert(plan.kind === 'ranges')
      const read = plan.ranges.flatMap(({ range }) => rowsOf(range, all, one))
      assertEquals(read, sorted(all, one).slice(0, most))
      assertEquals(plan.total, Math.min(all.length, most))
    })
    await checkAsync(property)
  })

  it('planTask with a count reads as many, also among equal order keys', async () => {
    const property = fc.asyncProperty(
      rows,
      fc.integer({ min: 1, max: 9 }),
      fc.nat(60),
      async (all, batchSize, most) => {
        const one = task([{ column: 'a', descending: false }])
        const plan = await planOver(all, one, batchSize, most)
        if (plan.kind !== 'ranges') return
        assertEquals(plan.ranges.flatMap(({ range }) => rowsOf(range, all, one)).length, Math.min(all.length, most))
        for (const { range, rows } of plan.ranges) assertEquals(rowsOf(range, all, one).length, rows)
      },
    )
    await checkAsync(property)
  })

  it('planTask reads as a stream what ranges would cut badly: many rows of one order key', async () => {
    const same = Array.from({ length: 50 }, () => ({ a: 1, b: 1, c: 1 }))
    const plan = await planOver(same, task([{ column: 'a', descending: false }]), 10, 20)
    assertEquals(plan, { kind: 'stream', limit: 20, guess: 12 })
  })

  it('planTask reads once where there is no row yet', async () => {
    const plan = await planOver([], task([{ column: 'a', descending: true }]), 10, null)
    assertEquals(plan, {
      kind: 'ranges',
      ranges: [{ range: { from: null, to: null, limit: null }, rows: 0 }],
      total: 0,
    })
  })
})

describe('rangeStatement', () => {
  it('boundariesStatement lets Postgres quote the boundaries, as no one else can for every type', () => {
    const { before } = boundariesStatement(task([{ column: 'a', descending: false }]), {}, 10)
    assertStringIncludes(before, 'quote_literal(q."a"::text) as k0')
  })

  it('rangeStatement uses a row comparison where all directions are one, which an index can serve', () => {
    const one = task([
      { column: 'a', descending: true },
      { column: 'b', descending: true },
    ])
    const { after } = rangeStatement(one, {}, { from: ["'1'", "'2'"], to: null, limit: null })
    assertEquals(after, `) q where (q."a", q."b") <= ('1', '2') order by q."a" desc, q."b" desc`)
  })
})
