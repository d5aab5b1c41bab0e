import { describe, it } from 'node:test'
import { assertEquals } from '@std/assert'
import type { JobLog, JobRecord } from '../../src/coordination/types.ts'
import { noKeys } from '../../src/job/tally.ts'
import type { JobResult } from '../../src/types.ts'

export function jobRecord(id: string, more: Partial<JobRecord> = {}): JobRecord {
  return {
    id,
    traceId: 'a'.repeat(32),
    source: 'http',
    strategy: 'selective',
    schedule: null,
    tasks: ['cities', 'cars'],
    status: 'running',
    submittedAt: '2026-11-21T10:00:00.000Z',
    request: { tasks: ['cities'], params: { limit: 5, names: [], at: 'é😀"' } },
    result: null,
    instance: 'here',
    ...more,
  }
}

export function ended(record: JobRecord): JobRecord {
  const { id: jobId, traceId, submittedAt: startedAt } = record
  const result: JobResult = {
    ...{ jobId, traceId, startedAt, status: 'success', endedAt: startedAt, durationNs: 1_234_567_890, coverage: 1 },
    ...{ keys: { ...noKeys(), planned: 5, written: 5 }, latencyNs: { p50: 1, p95: 2, p99: 3, max: 4 }, tasks: [] },
  }
  return { ...record, status: 'success', result }
}

/** What every {@linkcode JobLog} does. `create` gives an empty one. */
export function jobLogContract(name: string, create: () => Promise<{ log: JobLog; cleanUp(): Promise<void> }>): void {
  const test = (title: string, body: (log: JobLog) => Promise<void>) =>
    it(title, async () => {
      const { log, cleanUp } = await create()
      try {
        await body(log)
      } finally {
        await cleanUp()
      }
    })
  const ids = async (log: JobLog) => (await log.list()).map(({ id }) => id)

  describe(`${name}: as every job log`, () => {
    test('list and get tell of nothing', async (log) => {
      assertEquals([await log.list(), await log.get('none'), await log.adopt()], [[], null, []])
    })

    test('begin and end keep the whole record', async (log) => {
      const record = jobRecord('j1')
      await log.begin(record)
      assertEquals([await log.get('j1'), await log.list()], [record, [record]])
      await log.end(ended(record))
      assertEquals([await log.get('j1'), await log.list()], [ended(record), [ended(record)]])
    })

    test('list is newest first, by the time a job began', async (log) => {
      for (const id of ['a', 'b', 'c']) await log.begin(jobRecord(id))
      await log.end(ended(jobRecord('a')))
      assertEquals(await ids(log), ['c', 'b', 'a'])
    })

    test('end notes a job whose beginning was not', async (log) => {
      await log.end(ended(jobRecord('a')))
      assertEquals((await log.get('a'))?.status, 'success')
    })

    test('the last 200 are remembered, and those that run are the last to be forgotten', async (log) => {
      for (let at = 0; at < 250; at++) {
        await log.begin(jobRecord(`j${at}`))
        if (at % 50 !== 0) await log.end(ended(jobRecord(`j${at}`)))
      }
      const listed = await ids(log)
      assertEquals(listed.length, 200)
      assertEquals(listed.slice(-3), ['j52', 'j50', 'j0'])
      assertEquals([await log.get('j51'), (await log.get('j0'))?.status], [null, 'running'])
    })

    test('also of jobs that all run, 200 are remembered', async (log) => {
      for (let at = 0; at < 210; at++) await log.begin(jobRecord(`j${at}`))
      const listed = await ids(log)
      assertEquals([listed.length, listed[0], listed.at(-1)], [200, 'j209', 'j10'])
    })

    test('a request is kept without its signal and its fence, and with few keys once it has ended', async (log) => {
      const keys = Array.from({ length: 10_000 }, (_, at) => `city:${at}`)
      const { signal } = new AbortController()
      const record = jobRecord('j1', { request: { keys, signal, fence: { key: 'f', token: 1 }, count: 3 } })
      await log.begin(record)
      assertEquals((await log.get('j1'))?.request, { keys, count: 3 })
      await log.end(ended(record))
      assertEquals((await log.get('j1'))?.request, { keys: keys.slice(0, 100), count: 3 })
    })

    test('what is given out is a copy', async (log) => {
      const record = jobRecord('j1')
      await log.begin(record)
      const got = (await log.get('j1')) as JobRecord
      got.tasks.push('mine')
      record.tasks.push('mine, too')
      assertEquals((await log.list())[0]?.tasks, ['cities', 'cars'])
    })
  })
}
