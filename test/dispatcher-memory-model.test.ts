import { describe, it } from 'node:test'
import { assert, assertEquals } from '@std/assert'
import fc from 'fast-check'
import { MemoryGate } from '../src/job/memory-gate.ts'
import type { TaskPlan } from '../src/job/plan.ts'
import type { BatchMessage } from '../src/pool/protocol.ts'
import type { Demand } from '../src/predict/demand.ts'
import { FakeClock, turn } from './fakes/clock.ts'
import { desk } from './fakes/dispatcher.ts'
import { MemoryStore } from './fakes/store.ts'
import { type FakeWorker, reportOf } from './fakes/worker.ts'
import { checkAsync } from './support/property.ts'

const MOVES = [
  ...['finish', 'finish', 'fail', 'fail', 'giveBack', 'lose', 'halt', 'resume', 'stop'],
  ...['memory', 'full', 'full', 'guard', 'away', 'wait', 'wait'],
]
const POLICIES = ['allkeys-lru', 'noeviction', 'allkeys-random']

const move = fc.record({ what: fc.constantFrom(...MOVES), number: fc.nat(1_200_000) })
const lane = fc.record({ count: fc.integer({ min: 1, max: 150 }), priority: fc.nat(2), isRanked: fc.boolean() })

/** Keys `name:0` and on, each with a priority of its own where `isRanked`. */
function planOf(name: string, count: number, isRanked: boolean): TaskPlan {
  const keys = Array.from({ length: count }, (_, at) => `${name}:${at}`)
  return { kind: 'keys', keys, failures: [], ...(isRanked ? { priorities: keys.map((_, at) => count - at) } : {}) }
}

describe('Dispatcher with a memory guard, at random', () => {
  it('ends each key once: in a batch, or left out, whatever halts, fails, is lost or fills up', async () => {
    const property = fc.asyncProperty(
      fc.array(lane, { minLength: 1, maxLength: 4 }),
      fc.array(move, { maxLength: 80 }),
      fc.boolean(),
      async (lanes, moves, isFull) => {
        const clock = new FakeClock()
        const store = new MemoryStore(clock)
        store.memory = {
          usedMemoryBytes: isFull ? 1_000_000 : 0,
          maxMemoryBytes: 1_000_000,
          evictionPolicy: 'allkeys-lru',
          evictedKeys: 0,
        }
        let isAway = false
        const readsPerHour = (key: string) => (Number(key.split(':')[1]) % 3 === 0 ? 10_000 : 0)
        const demand: Demand = { readsPerHour, meanReadsPerHour: 1, keys: new Map([['a:0', 10]]) }
        const settings = { guard: true, reserve: 0.05 }
        const edge = {
          stats: async () => {
            await clock.sleep(10)
            if (isAway) throw new Error('away')
            return store.stats()
          },
          ttlsMs: async (keys: readonly string[]) => {
            await clock.sleep(5)
            if (isAway) throw new Error('away')
            return store.ttlsMs(keys)
          },
          randomKeys: (count: number) => store.randomKeys(count),
          heatOf: (keys: readonly string[]) => store.heatOf(keys),
        }
        const gate = new MemoryGate({ store: edge, demand: async () => demand, clock, settings: () => settings })
        const held: { batch: BatchMessage; worker: FakeWorker }[] = []
        const one = await desk({
          ...{ clock, memory: gate, slots: 4 },
          batch: (batch, worker) => void held.push({ batch, worker }),
        })
        for (let at = 0; at < 200; at++) store.fill(`idle:${at}`, 'there', 900_000_000)
        for (const name of ['a', 'b', 'c', 'd'])
          for (let at = 0; at < 40; at++) store.fill(`${name}:${at * 2}`, 'there', 900_000_000)
        clock.tick(3_600_000)
        const all = lanes.map(({ count, priority, isRanked }, at) => {
          const name = 'abcd'[at] as string
          return one.add(name, 0, { plan: planOf(name, count, isRanked), priority })
        })
        const done = new Set<string>()
        const end = (keys: readonly string[]) => {
          for (const key of keys) {
            assert(!done.has(key), `${key} ended twice`)
            done.add(key)
          }
        }
        const finish = (share = 1) => {
          const next = held.shift()
          if (next === undefined) return
          const { batch, worker } = next
          const keys = batch.work.kind === 'keys' ? batch.work.keys : []
          const some = keys.slice(0, Math.ceil(share * keys.length))
          const there = new Set(store.keys)
          const kept = batch.onlyPresent === true ? some.filter((key) => there.has(key)) : some
          end(some)
          const leftOut = some.length - kept.length
          const retryKeys = keys.slice(some.length)
          const firstError = retryKeys.length === 0 ? null : ({ code: 'ORIGIN_FAILED', message: 'no' } as const)
          worker.done(batch, { ...reportOf(kept.length), retryKeys, firstError, leftOut, bytesPerKey: 3000 })
        }
        const halts: Promise<unknown>[] = []
        for (const { what, number } of moves) {
          if (what === 'finish') finish()
          else if (what === 'giveBack') finish(0.5)
          else if (what === 'fail') {
            const next = held.shift()
            const failure = { code: 'ORIGIN_UNREACHABLE', message: 'no' } as const
            next?.worker.say({ type: 'failed', id: next.batch.id, failure, retryable: true })
          } else if (what === 'lose') {
            const next = held.shift()
            if (next !== undefined) {
              held.splice(0)
              next.worker.exit('lost')
            }
          } else if (what === 'halt') halts.push(one.dispatcher.halt(600_000_000))
          else if (what === 'resume') one.dispatcher.resume()
          else if (what === 'stop') {
            const stopped = all[number % 12]
            if (stopped !== undefined) one.dispatcher.stop(stopped, { code: 'JOB_CANCELLED', message: 'stop' })
          } else if (what === 'memory') {
            store.memory.usedMemoryBytes = number
            store.memory.evictionPolicy = POLICIES[number % 3] as string
            store.memory.evictedKeys += number % 2
          } else if (what === 'full') {
            store.memory.usedMemoryBytes = 1_000_000
            store.memory.evictionPolicy = POLICIES[number % 3] as string
          } else if (what === 'guard') settings.guard = number % 8 !== 0
          else if (what === 'away') isAway = number % 2 === 0
          else await clock.advance(number % 5000)
          await turn()
        }
        isAway = false
        one.dispatcher.resume()
        for (let round = 0; all.some((lane) => !lane.isEnded) && round < 3000; round++) {
          finish()
          await clock.advance(20)
        }
        await Promise.all(halts)
        for (const [at, lane] of all.entries()) {
          assert(lane.isEnded, `lane ${at} did not end`)
          assertEquals(lane.tally.keys.planned + lane.leftOut, lanes[at]?.count)
          const { planned, written, failed, unknown } = lane.tally.keys
          assertEquals(planned, written + failed + unknown)
        }
        await turn()
        assertEquals(one.dispatcher.queued, 0)
      },
    )
    await checkAsync(property, 200)
  })
})
