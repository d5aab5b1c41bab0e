import { assert, assertEquals } from '@std/assert'
import { STAMPS } from '../../src/store/changes.ts'
import { entry, freshKey, hash, outcome, type Test, text } from './store.contract.ts'

/** How hot keys are: what every store tells, whatever its policy. */
export function heatContract(test: Test): void {
  test('heatOf tells each key in order, and null for one that is not there', async (store, { expiresAtMs }) => {
    const [there, gone, other] = [freshKey(), freshKey(), freshKey()]
    await outcome(store, entry(there, text('a')))
    await outcome(store, entry(other, hash('a', '1')))
    const { by, exact, nowMs, keys } = await store.heatOf([there, gone, other])
    assertEquals([keys.length, keys[1]], [3, null])
    for (const [at, key] of [there, null, other].entries()) {
      if (key === null) continue
      const heat = keys[at]
      assertEquals([heat?.counter === null, heat?.idleMs === null], [by === 'idle', by === 'counter'])
      assertEquals(heat?.expiresAtMs, await expiresAtMs(key))
      if (exact) assertEquals((heat?.expiresAtMs as number) % 100, STAMPS.warm)
      assert((heat?.expiresAtMs as number) > nowMs)
    }
  })

  test('heatOf does not touch the keys', async (store, { advance }) => {
    const key = freshKey()
    await outcome(store, entry(key, text('a')))
    const first = (await store.heatOf([key])).keys[0]
    await advance?.(3000)
    await store.heatOf([key, key])
    const last = (await store.heatOf([key])).keys[0]
    if (first?.counter != null) assertEquals(last?.counter, first.counter)
    else if (advance === undefined) assert((last?.idleMs as number) >= (first?.idleMs as number))
    else assertEquals(last?.idleMs, 3000)
  })

  test('heatOf takes no key at all, and 1000', async (store) => {
    assertEquals((await store.heatOf([])).keys, [])
    const many = Array.from({ length: 1000 }, freshKey)
    await outcome(store, entry(many[999] as string, text('a')))
    const { keys } = await store.heatOf(many)
    assertEquals([keys.length, keys[998], keys[999] === null], [1000, null, false])
  })
}
