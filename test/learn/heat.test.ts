import { describe, it } from 'node:test'
import { assertEquals } from '@std/assert'
import { load } from '../../src/config/define.ts'
import type { Task } from '../../src/config/task.ts'
import { jitteredTtlMs } from '../../src/keyspace/ttl.ts'
import { HeatJudge } from '../../src/learn/heat.ts'
import { accessesOf, LFU_DEFAULTS } from '../../src/learn/lfu.ts'
import { stampedMs } from '../fakes/changes.ts'
import { taskOf } from '../fakes/tasks.ts'

const NOW = 1_700_000_000_700
const task = taskOf(load({ key: 'film:{id}', ttl: '10m', load: () => new Map() }))
const judge = new HeatJudge(LFU_DEFAULTS)
const exact = { nowMs: NOW, exact: true }

/** When a key expires that warming wrote so long ago. */
const warmedAgo = (ms: number, of: Task = task) => stampedMs(NOW - ms, jitteredTtlMs('film:1', of.ttlMs, of.ttlJitter))
const idle = (idleMs: number, expiresAtMs: number | null) => ({ counter: null, idleMs, expiresAtMs })
const counted = (counter: number, expiresAtMs: number | null) => ({ counter, idleMs: null, expiresAtMs })

describe('a key’s idle time', () => {
  it('says nothing of readers where it is the time since warming', () => {
    for (const ago of [0, 100, 699, 700, 701, 5000, 123_456, 500_000]) {
      // The server's whole seconds: of now and of then.
      const idleMs = (Math.floor(NOW / 1000) - Math.floor((NOW - ago) / 1000)) * 1000
      assertEquals(judge.judge('film:1', task, idle(idleMs, warmedAgo(ago)), exact), { is: 'warmed' }, `${ago}`)
      // It has not noticed yet that a second has begun.
      const late = idle(Math.max(0, idleMs - 1000), warmedAgo(ago))
      assertEquals(judge.judge('film:1', task, late, exact), { is: 'warmed' }, `${ago}, late`)
    }
  })

  it('is the time of the last read where a key was touched since', () => {
    const verdict = judge.judge('film:1', task, idle(60_000, warmedAgo(300_000)), exact)
    assertEquals(verdict, { is: 'read', reads: 1, lastMs: 1_700_000_000_000 - 60_000 })
  })

  it('counts for a key that a reader or the application wrote, and for one that never expires', () => {
    for (const expiresAtMs of [1_700_000_300_073, 1_700_000_300_000, null])
      assertEquals(judge.judge('film:1', task, idle(2000, expiresAtMs), exact).is, 'read')
  })

  it('is not trusted where nobody knows when warming wrote the key', () => {
    // With a TTL of its own, longer than the task's.
    const expiresAtMs = stampedMs(NOW, 3_600_000)
    assertEquals(judge.judge('film:1', task, idle(0, expiresAtMs), exact).is, 'warmed')
  })

  it('is not trusted where warming itself reads the key, to compare versions', () => {
    const versioned = taskOf(load({ key: 'film:{id}', ttl: '10m', version: 'v', load: () => new Map() }))
    const heat = idle(60_000, warmedAgo(300_000))
    assertEquals(judge.judge('film:1', versioned, heat, exact).is, 'warmed')
  })

  it('goes by the TTL alone where the server tells no exact expiry time', () => {
    const old = { nowMs: NOW, exact: false }
    // Who wrote it, a reader's miss or warming, can't be told then.
    const expiresAtMs = NOW - 300_000 + jitteredTtlMs('film:1', task.ttlMs, task.ttlJitter)
    assertEquals(judge.judge('film:1', task, idle(300_000, expiresAtMs), old).is, 'warmed')
    assertEquals(judge.judge('film:1', task, idle(60_000, expiresAtMs), old).is, 'read')
  })
})

describe('a key’s counter', () => {
  it('says nothing of readers below what warming can reach by itself', () => {
    for (const counter of [0, 5, 6, 7, 8, 9])
      assertEquals(judge.judge('film:1', task, counted(counter, warmedAgo(1000)), exact).is, 'warmed', `${counter}`)
  })

  it('is turned into reads, without warming’s own', () => {
    const verdict = judge.judge('film:1', task, counted(20, warmedAgo(1000)), exact)
    assertEquals(verdict, { is: 'read', reads: accessesOf(20, 10) - 4, lastMs: NOW })
  })

  it('counts from the first access where warming did not write the key', () => {
    const expiresAtMs = 1_700_000_300_073
    assertEquals(judge.judge('film:1', task, counted(5, expiresAtMs), exact), { is: 'unread' })
    assertEquals(judge.judge('film:1', task, counted(6, expiresAtMs), exact), { is: 'read', reads: 1, lastMs: NOW })
    assertEquals(judge.judge('film:1', task, counted(7, null), exact).is, 'read')
  })

  it('needs more where counters never fall: warming’s own accesses add up', () => {
    const heat = counted(20, warmedAgo(1000))
    assertEquals(new HeatJudge({ logFactor: 10, decayMinutes: 0 }).judge('film:1', task, heat, exact).is, 'warmed')
  })

  it('follows lfu-log-factor', () => {
    const flat = new HeatJudge({ logFactor: 0, decayMinutes: 1 })
    assertEquals(flat.judge('film:1', task, counted(9, warmedAgo(0)), exact).is, 'warmed')
    assertEquals(flat.judge('film:1', task, counted(12, warmedAgo(0)), exact), { is: 'read', reads: 3, lastMs: NOW })
  })
})
