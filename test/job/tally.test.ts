import { describe, it } from 'node:test'
import { assertEquals } from '@std/assert'
import { jobStatus, noKeys, presentKeys, Tally } from '../../src/job/tally.ts'
import type { FinalStatus, KeyCounts } from '../../src/types.ts'
import { reportOf } from '../fakes/worker.ts'
import { failure } from './lane-model.ts'

const counts = (some: Partial<KeyCounts>): KeyCounts => {
  const keys = { ...noKeys(), ...some }
  return { ...keys, planned: keys.written + keys.skippedPresent + keys.skippedNewer + keys.failed + keys.unknown }
}

function tallyOf(some: Partial<KeyCounts>): Tally {
  const tally = new Tally()
  tally.add(reportOf(0, { keys: counts(some) }))
  return tally
}

describe('Tally', () => {
  it('add sums reports up', () => {
    const tally = new Tally()
    tally.add(reportOf(3, { originRequests: 3, readNs: 2_000_000, writeNs: 1_000_000, sample: ['k:1'] }))
    tally.add(reportOf(0, { keys: counts({ written: 1, skippedNewer: 2, failed: 1 }), sample: ['k:9'] }))
    assertEquals(tally.keys, counts({ written: 4, skippedNewer: 2, failed: 1 }))
    assertEquals([tally.originRequests, tally.sample, tally.latency.summary().max], [4, ['k:1', 'k:9'], 3_000_000])
  })

  it('add keeps the first error, and none of a batch in which every key went well in the end', () => {
    const tally = new Tally()
    const report = (code: 'ORIGIN_TIMEOUT' | 'VALUE_INVALID' | 'KEY_INVALID', failed: number) =>
      tally.add(reportOf(0, { keys: counts({ written: 1, failed }), firstError: failure(code) }))
    report('ORIGIN_TIMEOUT', 0)
    assertEquals(tally.firstError, null)
    report('VALUE_INVALID', 1)
    report('KEY_INVALID', 1)
    assertEquals(tally.firstError?.code, 'VALUE_INVALID')
  })

  it('add puts a lost lock before any other error: the job is to end by it', () => {
    const tally = new Tally()
    for (const code of ['VALUE_INVALID', 'LOCK_LOST', 'KEY_INVALID'] as const)
      tally.add(reportOf(0, { keys: counts({ failed: 1 }), firstError: failure(code) }))
    assertEquals(tally.firstError?.code, 'LOCK_LOST')
  })

  it('add keeps a bounded sample', () => {
    const tally = new Tally()
    const sample = Array.from({ length: 300 }, (_, at) => `k:${at}`)
    for (let at = 0; at < 10; at++) tally.add(reportOf(300, { sample }))
    assertEquals([tally.sample.length, tally.keys.written], [1000, 3000])
  })

  it('give counts keys that no batch accounts for, and of none nothing', () => {
    const tally = new Tally()
    tally.give('failed', 0, failure('ORIGIN_FAILED'))
    tally.give('failed', -1, failure('ORIGIN_FAILED'))
    assertEquals([tally.keys, tally.firstError], [noKeys(), null])
    tally.give('unknown', 2, failure('WORKER_LOST'))
    tally.give('failed', 3, failure('ORIGIN_FAILED'))
    assertEquals([tally.keys, tally.firstError?.code], [counts({ unknown: 2, failed: 3 }), 'WORKER_LOST'])
  })

  it('status follows from the counts', () => {
    const cases: [Partial<KeyCounts>, FinalStatus][] = [
      [{}, 'success'],
      [{ written: 1 }, 'success'],
      [{ skippedPresent: 1 }, 'success'],
      [{ skippedNewer: 1 }, 'success'],
      [{ failed: 1 }, 'failed'],
      [{ unknown: 1 }, 'failed'],
      [{ written: 1, failed: 1 }, 'partial'],
      [{ skippedPresent: 1, unknown: 1 }, 'partial'],
      [{ skippedNewer: 1, failed: 1 }, 'partial'],
    ]
    for (const [some, status] of cases) assertEquals(tallyOf(some).status(0, null), status, JSON.stringify(some))
  })

  it('status of a task that broke off is never a success', () => {
    for (const [some, status] of [
      [{}, 'failed'],
      [{ written: 5 }, 'partial'],
    ] as const) {
      const tally = tallyOf(some)
      tally.break(failure('ORIGIN_UNREACHABLE'))
      assertEquals([tally.status(0, null), tally.firstError?.code], [status, 'ORIGIN_UNREACHABLE'])
    }
  })

  it('status is cancelled for who was cancelled, and by the counts for who ran out of time', () => {
    const tally = tallyOf({ written: 1 })
    assertEquals([tally.status(0, 'JOB_CANCELLED'), tally.status(0, 'STOPPED')], ['cancelled', 'cancelled'])
    tally.give('failed', 1, failure('JOB_TIMEOUT'))
    assertEquals(tally.status(0, 'JOB_TIMEOUT'), 'partial')
  })

  it('status is skipped when another job had every key', () => {
    assertEquals([tallyOf({}).status(5, null), tallyOf({ written: 1 }).status(5, null)], ['skipped', 'success'])
    assertEquals(tallyOf({ failed: 1 }).status(5, null), 'failed')
  })
})

describe('jobStatus', () => {
  it('jobStatus follows from the tasks’', () => {
    const cases: [FinalStatus[], FinalStatus][] = [
      [[], 'success'],
      [['success', 'success'], 'success'],
      [['success', 'skipped'], 'success'],
      [['skipped', 'skipped'], 'skipped'],
      [['failed', 'failed'], 'failed'],
      [['failed', 'skipped'], 'failed'],
      [['success', 'failed'], 'partial'],
      [['partial', 'success'], 'partial'],
      [['partial', 'failed'], 'partial'],
      [['success', 'cancelled', 'failed'], 'cancelled'],
    ]
    for (const [tasks, status] of cases) assertEquals(jobStatus(tasks), status, tasks.join())
  })
})

describe('presentKeys', () => {
  it('presentKeys counts what is in the store, whoever wrote it', () => {
    assertEquals(presentKeys(counts({ written: 1, skippedPresent: 2, skippedNewer: 4, failed: 8, unknown: 16 })), 7)
  })
})
