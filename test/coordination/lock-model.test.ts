import { describe, it } from 'node:test'
import { assert } from '@std/assert'
import fc from 'fast-check'
import { RedisLocks } from '../../src/coordination/lock.ts'
import type { HeldLock } from '../../src/coordination/types.ts'
import { entry, text, write } from '../contract/store.contract.ts'
import { FakeClock, turn } from '../fakes/clock.ts'
import { MemoryStore } from '../fakes/store.ts'
import { checkAsync } from '../support/property.ts'
import { LockServer } from './lock-server.ts'

const TTL_MS = 3000
const KEY = 'k'

const who = fc.nat(1)
const step = fc.oneof(
  { weight: 6, arbitrary: fc.record({ do: fc.constantFrom('acquire' as const, 'write' as const), who }) },
  { weight: 4, arbitrary: fc.record({ do: fc.constantFrom('pause' as const, 'wake' as const), who }) },
  {
    weight: 2,
    arbitrary: fc.record({ do: fc.constantFrom('release' as const, 'cut' as const, 'mend' as const), who }),
  },
  {
    weight: 4,
    arbitrary: fc.record({ do: fc.constant('wait' as const), ms: fc.constantFrom(100, 900, 1100, 2900, 3100) }),
  },
)

/** A clock that follows another one. While it is paused nothing runs by it, not even its timers; others' time goes on. */
class PausableClock extends FakeClock {
  isPaused = false
  #behindMs = 0

  override nowNs(): number {
    return super.nowNs() + this.#behindMs * 1e6
  }

  async follow(ms: number): Promise<void> {
    if (this.isPaused) this.#behindMs += ms
    else await this.advance(ms)
  }

  /** It wakes to a later time, with all timers yet to run. */
  async wake(): Promise<void> {
    this.isPaused = false
    const behindMs = this.#behindMs
    this.#behindMs = 0
    await this.advance(behindMs)
  }
}

class Instance {
  readonly clock = new PausableClock()
  readonly commands
  readonly locks
  lock: HeldLock | undefined

  constructor(server: LockServer) {
    this.commands = server.connection()
    this.locks = new RedisLocks({ commands: this.commands, clock: this.clock, ttlMs: TTL_MS })
  }
}

/** Of those who are awake, connected or not, one at most believes to hold the lock. */
function assertOneHolds(instances: Instance[]): void {
  const believing = instances.filter(({ clock, lock }) => !clock.isPaused && lock?.lost.aborted === false)
  assert(believing.length <= 1, 'two hold the lock')
}

describe('a lock with its fence', () => {
  it('whatever is paused, cut or late: nothing is written over what a later holder wrote', async () => {
    let written = 0
    let refused = 0
    await checkAsync(
      fc.asyncProperty(fc.array(step, { minLength: 20, maxLength: 60 }), async (steps) => {
        const world = new FakeClock()
        const server = new LockServer(world)
        const instances = [new Instance(server), new Instance(server)]
        const store = new MemoryStore(world)
        let newest = 0
        for (const one of steps) {
          if (one.do === 'wait') {
            for (let ms = 0; ms < one.ms; ms += 100) {
              await world.advance(100)
              for (const { clock } of instances) await clock.follow(100)
            }
            assertOneHolds(instances)
            continue
          }
          const instance = instances[one.who] as Instance
          const { clock, commands, locks, lock } = instance
          if (one.do === 'cut' || one.do === 'mend') commands.isDown = one.do === 'cut'
          else if (one.do === 'pause') clock.isPaused = true
          else if (one.do === 'wake') {
            // What was about to be written when it was paused goes out before any timer runs.
            clock.isPaused = false
            await attempt(instance)
            await clock.wake()
          } else if (clock.isPaused) continue
          else if (one.do === 'write') await attempt(instance)
          else if (one.do === 'release') {
            await lock?.release()
            instance.lock = undefined
          } else if (lock === undefined) {
            const got = await locks.acquire('warmup', String(one.who)).catch(() => undefined)
            if (!got?.held) continue
            instance.lock = got.lock
            store.setFence(got.lock.fence.key, server.fences.get(got.lock.fence.key) as number)
          }
          assertOneHolds(instances)
        }
        for (const { lock } of instances) await lock?.release()
        await turn()

        async function attempt({ lock }: Instance): Promise<void> {
          if (lock === undefined) return
          const { token } = lock.fence
          const { outcomes } = await write(store, [entry(KEY, text(String(token)), { ttlMs: 1e9 })], {
            fence: lock.fence,
          })
          if (outcomes[0] !== 'written') {
            refused++
            assert(token < (server.fences.get(lock.fence.key) as number), 'the holder itself was refused')
            return
          }
          written++
          assert(token >= newest, `${token} was written over ${newest}`)
          newest = token
        }
      }),
      150,
    )
    assert(written > 0 && refused > 0, `${written} written, ${refused} refused`)
  })
})
