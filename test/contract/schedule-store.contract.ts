import { describe, it } from 'node:test'
import { assertEquals } from '@std/assert'
import type { ScheduleRecord, ScheduleStore } from '../../src/coordination/types.ts'

function scheduleRecord(name: string, more: Partial<ScheduleRecord> = {}): ScheduleRecord {
  return {
    name,
    spec: {
      cron: '0 2 * * *',
      timeZone: 'Europe/Berlin',
      tasks: [],
      params: { id: 9_007_199_254_740_991, empty: [], none: {}, text: 'é"' },
      predictive: false,
      jitterMs: 0,
      catchUp: true,
    },
    origin: 'custom',
    paused: false,
    lastRunAt: null,
    lastStatus: null,
    lastJobId: null,
    ...more,
  }
}

const at = (hour: number) => `2026-11-21T0${hour}:00:00.000Z`
const lastOf = async (store: ScheduleStore) =>
  (await store.load()).map(({ name, lastRunAt, lastStatus, lastJobId }) => [name, lastRunAt, lastStatus, lastJobId])

/** What every {@linkcode ScheduleStore} does. `create` gives an empty one. */
export function scheduleStoreContract(
  name: string,
  create: () => Promise<{ store: ScheduleStore; cleanUp(): Promise<void> }>,
): void {
  const test = (title: string, body: (store: ScheduleStore) => Promise<void>) =>
    it(title, async () => {
      const { store, cleanUp } = await create()
      try {
        await body(store)
      } finally {
        await cleanUp()
      }
    })

  describe(`${name}: as every schedule store`, () => {
    test('load gives what was saved, whole', async (store) => {
      assertEquals(await store.load(), [])
      const records = [
        scheduleRecord('a'),
        scheduleRecord('b', { paused: true, lastRunAt: at(1), lastStatus: 'success', lastJobId: 'j' }),
      ]
      for (const record of records) await store.save(record)
      const loaded = await store.load()
      assertEquals(
        loaded.sort((a, b) => (a.name < b.name ? -1 : 1)),
        records,
      )
    })

    test('save replaces', async (store) => {
      await store.save(scheduleRecord('a'))
      await store.save(scheduleRecord('a', { paused: true, origin: 'config' }))
      assertEquals(await store.load(), [scheduleRecord('a', { paused: true, origin: 'config' })])
    })

    test('remove forgets a schedule and its last run, and tells whether it was there', async (store) => {
      await store.save(scheduleRecord('a'))
      await store.noteRun('a', { at: at(1), status: 'success', jobId: 'j1' })
      assertEquals([await store.remove('a'), await store.remove('a'), await store.load()], [true, false, []])
      await store.save(scheduleRecord('a'))
      assertEquals(await lastOf(store), [['a', null, null, null]])
    })

    test('noteRun changes the last run and nothing else', async (store) => {
      await store.save(scheduleRecord('a', { paused: true }))
      await store.noteRun('a', { at: at(1), status: 'running', jobId: null })
      await store.noteRun('a', { at: at(1), status: 'failed', jobId: 'j1' })
      const last = { lastRunAt: at(1), lastStatus: 'failed', lastJobId: 'j1' }
      assertEquals(await store.load(), [scheduleRecord('a', { paused: true, ...last })])
    })

    test('noteRun of an earlier run than the last changes nothing', async (store) => {
      await store.save(scheduleRecord('a'))
      await store.noteRun('a', { at: at(2), status: 'success', jobId: 'j2' })
      await store.noteRun('a', { at: at(1), status: 'failed', jobId: 'j1' })
      assertEquals(await lastOf(store), [['a', at(2), 'success', 'j2']])
    })

    test('noteRun brings back no schedule that was removed', async (store) => {
      await store.noteRun('gone', { at: at(1), status: 'success', jobId: 'j1' })
      assertEquals(await store.load(), [])
    })

    test('save of what was read before a run does not roll the run back', async (store) => {
      await store.save(scheduleRecord('a'))
      const [read] = await store.load()
      await store.noteRun('a', { at: at(2), status: 'success', jobId: 'j2' })
      await store.save({ ...(read as ScheduleRecord), paused: true })
      assertEquals(await lastOf(store), [['a', at(2), 'success', 'j2']])
      assertEquals((await store.load())[0]?.paused, true)
    })
  })
}
