import { describe, it } from 'node:test'
import { assert, assertEquals, assertRejects } from '@std/assert'
import type { HeldLock, Locks } from '../../src/coordination/types.ts'
import { PrewarmError } from '../../src/errors.ts'

export interface LocksUnderTest {
  /** Two instances on the same server. */
  one: Locks
  other: Locks
  /** The lock expires; whether its holder knows is left open. */
  expire(name: string): Promise<void>
  cleanUp(): Promise<void>
}

export async function held(locks: Locks, name: string, holder = 'holder'): Promise<HeldLock> {
  const attempt = await locks.acquire(name, holder)
  assert(attempt.held, `the lock ${name} is ${JSON.stringify(attempt)}`)
  return attempt.lock
}

let number = 0
const freshName = () => `contract-${Date.now().toString(36)}:${number++}`

/** What all {@linkcode Locks} do. */
export function locksContract(name: string, create: () => Promise<LocksUnderTest>): void {
  const test = (title: string, body: (locks: LocksUnderTest, name: string) => Promise<void>) =>
    it(title, async () => {
      const locks = await create()
      try {
        await body(locks, freshName())
      } finally {
        await locks.cleanUp()
      }
    })

  describe(`${name}: as every lock`, () => {
    test('acquire gives a lock once, and tells others who has it', async ({ one, other }, name) => {
      const lock = await held(one, name, 'trace:1')
      assertEquals(lock.lost.aborted, false)
      for (const locks of [one, other]) {
        const attempt = await locks.acquire(name, 'trace:2')
        assert(!attempt.held)
        assertEquals(attempt.holder, 'trace:1')
        assert(attempt.leftMs > 0 && attempt.leftMs <= 30_000, `${attempt.leftMs} ms left`)
      }
      await lock.release()
    })

    test('acquire of another name is another lock', async ({ one, other }, name) => {
      const locks = [await held(one, name), await held(other, `${name}x`)]
      assert(locks[0]?.fence.key !== locks[1]?.fence.key)
      for (const lock of locks) await lock.release()
    })

    test('release makes room for the next, and is safe to call twice', async ({ one, other }, name) => {
      const first = await held(one, name)
      await first.release()
      const second = await held(other, name)
      await first.release()
      assert(!(await one.acquire(name, 'third')).held)
      assertEquals([first.lost.aborted, second.lost.aborted], [false, false])
      await second.release()
    })

    test('release of a lock that somebody else has by now leaves it alone', async ({ one, other, expire }, name) => {
      const first = await held(one, name)
      await expire(name)
      const second = await held(other, name, 'second')
      await first.release()
      const attempt = await one.acquire(name, 'third')
      assertEquals(attempt.held === false && attempt.holder, 'second')
      await second.release()
    })

    test('fence tokens of one name grow from holder to holder', async ({ one, other, expire }, name) => {
      let last = 0
      for (let round = 0; round < 6; round++) {
        const { fence, release } = await held(round % 2 === 0 ? one : other, name).then((lock) => ({
          fence: lock.fence,
          release: () => lock.release(),
        }))
        assert(Number.isSafeInteger(fence.token) && fence.token > last, `${fence.token} after ${last}`)
        last = fence.token
        if (round < 3) await release()
        else await expire(name)
      }
    })

    test('acquire refuses a name that could be another key', async ({ one }) => {
      for (const bad of ['', 'a b', 'a*', 'é', 'a\n', 'x'.repeat(129)]) {
        const error = await assertRejects(() => one.acquire(bad, 'holder'), PrewarmError)
        assertEquals(error.code, 'USAGE', bad)
      }
    })
  })
}
