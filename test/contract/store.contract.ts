import { describe, it } from 'node:test'
import { assert, assertEquals } from '@std/assert'
import type { Encoded } from '../../src/codec/types.ts'
import type { Entry, Store, WriteOptions, WriteResult } from '../../src/store/types.ts'
import type { Outcome } from '../../src/types.ts'
import { changesContract } from './store-changes.contract.ts'
import { fenceContract, type SetFence } from './store-fence.contract.ts'
import { heatContract } from './store-heat.contract.ts'
import { newerContract } from './store-newer.contract.ts'

export interface StoreUnderTest {
  store: Store
  /** Lets time pass, where the store's time can be moved. */
  advance?(ms: number): Promise<void>
  /** Sets the newest token of a fence, as a lock does. */
  setFence: SetFence
  /** Writes a text as a reader's miss does through a cache. */
  fill(key: string, value: string): Promise<void>
  /** Takes a key away behind everybody's back. */
  drop(key: string): Promise<void>
  /** Takes everything away, as FLUSHALL does. */
  empty(): Promise<void>
  /** By the store's time, ms since 1970; null: not there. */
  expiresAtMs(key: string): Promise<number | null>
  nowMs(): number
  cleanUp(): Promise<void>
}

export type Body = (store: Store, more: Omit<StoreUnderTest, 'store' | 'cleanUp'>) => Promise<void>
export type Test = (title: string, body: Body) => unknown

/** What every {@linkcode Store} does. `create` gives one that is connected; its keys need not be the only ones there. */
export function storeContract(name: string, create: () => Promise<StoreUnderTest>): void {
  const test = (title: string, body: Body) =>
    it(title, async () => {
      const { store, cleanUp, ...more } = await create()
      try {
        await body(store, more)
      } finally {
        await cleanUp()
      }
    })

  describe(`${name}: modes`, () => modeContract(test))
  describe(`${name}: newer`, () => newerContract(test))
  describe(`${name}: fences and deleting`, () => fenceContract(test))
  describe(`${name}: heat`, () => heatContract(test))
  describe(`${name}: changes`, () => changesContract(test))
  describe(`${name}: values`, () => valueContract(test))
}

let number = 0
/** A key that no other test uses. */
export const freshKey = () => `contract:${Date.now().toString(36)}:${number++}`
export const text = (value: string): Encoded => ({ type: 'string', value })
export const hash = (...fields: string[]): Encoded => ({ type: 'hash', fields })
export const entry = (key: string, encoded: Encoded, more: Partial<Entry> = {}): Entry => ({
  key,
  ttlMs: 60_000,
  encoded,
  ...more,
})

export function write(store: Store, entries: Entry[], more: Partial<WriteOptions> = {}): Promise<WriteResult> {
  const { signal } = new AbortController()
  return store.write(entries, { mode: 'overwrite', versionField: null, timeoutMs: 5000, signal, ...more })
}

export async function outcome(store: Store, one: Entry, more: Partial<WriteOptions> = {}): Promise<Outcome> {
  const { outcomes, failures } = await write(store, [one], more)
  assertEquals(
    [...failures.values()].map(({ failure }) => failure.message),
    [],
  )
  return outcomes[0] as Outcome
}

function modeContract(test: Test): void {
  test('write with overwrite replaces what is there', async (store) => {
    const key = freshKey()
    assertEquals(await outcome(store, entry(key, text('old'))), 'written')
    assertEquals(await outcome(store, entry(key, text('new'))), 'written')
    assertEquals(await store.read([key]), [{ type: 'string', value: 'new' }])
  })

  test('write with add leaves what is there, and its TTL, alone', async (store) => {
    const key = freshKey()
    assertEquals(await outcome(store, entry(key, text('first')), { mode: 'add' }), 'written')
    assertEquals(
      await outcome(store, entry(key, text('second'), { ttlMs: 900_000 }), { mode: 'add' }),
      'skipped_present',
    )
    assertEquals(await store.read([key]), [{ type: 'string', value: 'first' }])
    assert(((await store.ttlsMs([key]))[0] as number) <= 60_000)
  })

  test('write with add skips a hash where a string is', async (store) => {
    const key = freshKey()
    await outcome(store, entry(key, text('first')))
    assertEquals(await outcome(store, entry(key, hash('a', '1')), { mode: 'add' }), 'skipped_present')
    assertEquals(await store.read([key]), [{ type: 'string', value: 'first' }])
  })

  test('write tells each entry its own outcome, in order', async (store) => {
    const [a, b, c] = [freshKey(), freshKey(), freshKey()]
    await outcome(store, entry(b, text('there')))
    const { outcomes, failures } = await write(
      store,
      [a, b, c].map((key) => entry(key, text('x'))),
      { mode: 'add' },
    )
    assertEquals(outcomes, ['written', 'skipped_present', 'written'])
    assertEquals(failures.size, 0)
  })

  test('write of nothing does nothing', async (store) => {
    assertEquals(await write(store, []), { outcomes: [], failures: new Map() })
  })

  test('write with an aborted signal writes nothing and says so of each key', async (store) => {
    const made = [freshKey(), freshKey()]
    const { outcomes, failures } = await write(
      store,
      made.map((key) => entry(key, text('x'))),
      { signal: AbortSignal.abort() },
    )
    assertEquals(await store.read(made), [null, null])
    assertEquals(outcomes, ['failed', 'failed'])
    assertEquals([...failures.keys()], [0, 1])
  })
}

function valueContract(test: Test): void {
  test('write gives each key its own TTL', async (store, { advance }) => {
    const [soon, late] = [freshKey(), freshKey()]
    await write(store, [entry(soon, text('a'), { ttlMs: 30_000 }), entry(late, hash('f', 'b'), { ttlMs: 90_000 })])
    const [first, second] = (await store.ttlsMs([soon, late])) as [number, number]
    assert(first > 0 && first <= 30_000, `the TTL is ${first}`)
    assert(second > 30_000 && second <= 90_000, `the TTL is ${second}`)
    await advance?.(30_001)
    if (advance !== undefined) assertEquals(await store.ttlsMs([soon, late]), [-2, second - 30_001])
  })

  test('randomKeys gives as many keys as are wanted, all of them there, or none', async (store, { empty }) => {
    await empty()
    assertEquals(await store.randomKeys(10), [])
    const made = [freshKey(), freshKey(), freshKey()]
    await write(
      store,
      made.map((key) => entry(key, text('x'))),
    )
    const drawn = await store.randomKeys(600)
    assertEquals(drawn.length, 600)
    assertEquals([...new Set(drawn)].sort(), made.sort())
  })

  test('write renews the TTL of what it replaces', async (store) => {
    const key = freshKey()
    await outcome(store, entry(key, hash('a', '1'), { ttlMs: 900_000 }))
    await outcome(store, entry(key, hash('a', '1'), { ttlMs: 5000 }))
    const [ttlMs] = await store.ttlsMs([key])
    assert((ttlMs as number) > 0 && (ttlMs as number) <= 5000, `the TTL is ${ttlMs}`)
  })

  test('write replaces a hash whole: no field of the old one stays', async (store) => {
    const key = freshKey()
    await outcome(store, entry(key, hash('a', '1', 'b', '2')))
    await outcome(store, entry(key, hash('b', '3', 'c', '4')))
    assertEquals(await store.read([key]), [{ type: 'hash', fields: { b: '3', c: '4' } }])
  })

  test('write replaces a string by a hash and a hash by a string', async (store) => {
    const key = freshKey()
    await outcome(store, entry(key, text('x')))
    assertEquals(await outcome(store, entry(key, hash('a', '1'))), 'written')
    assertEquals(await store.read([key]), [{ type: 'hash', fields: { a: '1' } }])
    assertEquals(await outcome(store, entry(key, text('y'))), 'written')
    assertEquals(await store.read([key]), [{ type: 'string', value: 'y' }])
  })

  const odd = ['é😀漢字', 'a\r\nb\r\n', 'a\u0000b', '', '*3\r\n$3\r\nSET', '%{}"\'\\']
  test('write keeps every character of a string', async (store) => {
    const made = odd.map((value) => entry(freshKey(), text(value)))
    assertEquals(
      (await write(store, made)).outcomes,
      odd.map(() => 'written'),
    )
    assertEquals(
      await store.read(made.map(({ key }) => key)),
      odd.map((value) => ({ type: 'string', value })),
    )
  })

  test('write keeps every character of fields and of their values', async (store) => {
    const key = freshKey()
    await outcome(store, entry(key, hash(...odd.flatMap((value) => [value, value]))))
    const fields = Object.fromEntries(odd.map((value) => [value, value]))
    assertEquals(await store.read([key]), [{ type: 'hash', fields }])
  })

  test('write takes 1000 entries at once', async (store) => {
    const made = Array.from({ length: 1000 }, (_, index) => entry(freshKey(), text(`value ${index}`)))
    assertEquals(
      (await write(store, made)).outcomes,
      made.map(() => 'written'),
    )
    const values = await store.read(made.map(({ key }) => key))
    assertEquals(
      values,
      made.map(({ encoded }) => encoded as { type: 'string'; value: string }),
    )
  })

  test('write takes a hash of 5000 fields, new and in place of another', async (store) => {
    const key = freshKey()
    for (const round of ['a', 'b']) {
      const fields = Array.from({ length: 5000 }, (_, index) => [`${round}${index}`, `${index}`] as const)
      assertEquals(await outcome(store, entry(key, hash(...fields.flat()))), 'written')
      assertEquals(await store.read([key]), [{ type: 'hash', fields: Object.fromEntries(fields) }])
    }
  })

  test('read, ttlsMs and bytesOf tell what is not there', async (store) => {
    const [there, absent] = [freshKey(), freshKey()]
    await outcome(store, entry(there, text('x')))
    assertEquals(
      (await store.read([absent, there])).map((value) => value?.type ?? null),
      [null, 'string'],
    )
    assertEquals((await store.ttlsMs([absent]))[0], -2)
    const [none, some] = await store.bytesOf([absent, there])
    assertEquals([none, (some as number) > 0], [0, true])
  })

  test('scan finds every key of a glob and no other', async (store) => {
    const prefix = freshKey()
    const made = Array.from({ length: 25 }, (_, index) => `${prefix}:${index}`)
    await write(
      store,
      made.map((key) => entry(key, text('x'))),
    )
    await outcome(store, entry(freshKey(), text('other')))
    const found = new Set<string>()
    for await (const page of store.scan(`${prefix}:*`)) for (const key of page) found.add(key)
    assertEquals([...found].sort(), [...made].sort())
  })
}
