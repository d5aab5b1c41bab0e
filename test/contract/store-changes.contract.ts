import { assert, assertEquals } from '@std/assert'
import { filledByOf } from '../../src/store/changes.ts'
import type { Entry, Store, WriteOptions } from '../../src/store/types.ts'
import type { Outcome, WriteMode } from '../../src/types.ts'
import { entry, freshKey, hash, type StoreUnderTest, type Test, text, write } from './store.contract.ts'

const MODES: WriteMode[] = ['overwrite', 'add', 'newer']
/** Made when they are wanted: this file and the one they come from import each other. */
const kinds = () =>
  [
    ['strings', text('{"v":"2"}'), text('{"v":"3"}')],
    ['hashes', hash('v', '2'), hash('v', '3')],
    ['hashes of different fields', hash('v', '2'), hash('v', '3', 'w', '')],
  ] as const

const outcomesOf = async (store: Store, entries: Entry[], more: Partial<WriteOptions>): Promise<Outcome[]> =>
  (await write(store, entries, more)).outcomes

/** That a value that was read before a change is not written after it. */
export function changesContract(test: Test): void {
  ticketContract(test)
  fillContract(test)
  stampContract(test)

  for (const mode of MODES) {
    for (const [kind, first, second] of kinds()) {
      for (const where of [null, 'v'])
        test(`write of ${kind}, mode ${mode}, version ${where ?? 'beside'}, leaves out what was deleted since, and only that`, async (store) => {
          const [gone, other] = [freshKey(), freshKey()]
          await write(store, [entry(gone, first)])
          const ticket = await store.begin()
          assertEquals(await store.unlink([gone]), 1)
          const entries = [entry(gone, first, { version: '5' }), entry(other, second, { version: '5' })]
          const options = { mode, versionField: where, ticket }
          assertEquals(await outcomesOf(store, entries, options), ['skipped_newer', 'written'])
          assertEquals(
            (await store.read([gone, other])).map((value) => value?.type),
            [undefined, second.type],
          )
          // Once more: what is written itself is no change.
          const again = mode === 'add' ? 'skipped_present' : 'written'
          assertEquals(await outcomesOf(store, entries, options), ['skipped_newer', again])
          // What is read after the deletion is written.
          const later = { ...options, ticket: await store.begin() }
          assertEquals(await outcomesOf(store, entries.slice(0, 1), later), ['written'])
        })
    }
  }

  test('write leaves out what was changed though it is there again', async (store) => {
    const key = freshKey()
    const ticket = await store.begin()
    await store.unlink([key])
    await write(store, [entry(key, text('theirs'))])
    assertEquals(await outcomesOf(store, [entry(key, text('ours'))], { ticket }), ['skipped_newer'])
    assertEquals(await store.read([key]), [{ type: 'string', value: 'theirs' }])
  })

  test('write of 600 entries leaves out those that were changed, wherever they stand', async (store) => {
    const made = Array.from({ length: 600 }, (_, at) => entry(freshKey(), hash('n', String(at))))
    const ticket = await store.begin()
    const changed = [0, 249, 250, 251, 599]
    await store.unlink(changed.map((at) => made[at]?.key as string))
    const outcomes = await outcomesOf(store, made, { ticket })
    assertEquals(
      outcomes.flatMap((outcome, at) => (outcome === 'written' ? [] : [`${at} ${outcome}`])),
      changed.map((at) => `${at} skipped_newer`),
    )
  })

  test('write tells long keys apart, and odd ones', async (store) => {
    const long = freshKey() + 'x'.repeat(200)
    const [changed, other] = [`${long}a`, `${long}b`]
    const odd = [`${freshKey()}é😀`, `${freshKey()}\r\n`, `${freshKey()} "'`]
    const ticket = await store.begin()
    await store.unlink([changed, ...odd])
    const entries = [changed, other, ...odd].map((key) => entry(key, text('x')))
    const expected: Outcome[] = ['skipped_newer', 'written', 'skipped_newer', 'skipped_newer', 'skipped_newer']
    assertEquals(await outcomesOf(store, entries, { ticket }), expected)
  })

  test('write under a fence and with a ticket is refused by either', async (store, { setFence }) => {
    const [gone, other] = [freshKey(), freshKey()]
    const entries = [entry(gone, text('x')), entry(other, text('x'))]
    const fence = { key: `fence:${freshKey()}`, token: 1_795_000_000_123_457 }
    const ticket = await store.begin()
    await setFence(fence.key, fence.token)
    await store.unlink([gone])
    assertEquals(await outcomesOf(store, entries, { ticket, fence }), ['skipped_newer', 'written'])
    await setFence(fence.key, fence.token + 1)
    const { outcomes, failures } = await write(store, entries, { ticket: await store.begin(), fence })
    assertEquals(outcomes, ['failed', 'failed'])
    assertEquals(
      [...failures.values()].map(({ failure }) => failure.code),
      ['LOCK_LOST', 'LOCK_LOST'],
    )
  })
}

function ticketContract(test: Test): void {
  test('begin gives 0, and keeps nothing, where nobody ever changed anything', async (store, { empty }) => {
    await empty()
    const key = freshKey()
    assertEquals([await store.begin(), await store.begin()], ['0', '0'])
    assertEquals(await outcomesOf(store, [entry(key, text('x'))], { ticket: '0' }), ['written'])
    assertEquals(await store.read(['prewarm:changes', 'prewarm:filled']), [null, null])
  })

  test('begin gives a larger ticket each time, once something was changed', async (store) => {
    await store.unlink([freshKey()])
    const tickets = [await store.begin(), await store.begin(), await store.begin()].map(Number)
    assert(
      tickets.every((ticket, at) => ticket > (tickets[at - 1] ?? 0)),
      `${tickets}`,
    )
  })

  test('begin with a signal that has aborted gives a ticket, or tells that it did not', async (store) => {
    const code = await store.begin({ signal: AbortSignal.abort() }).then(
      (ticket) => (/^\d+$/.test(ticket) ? 'a ticket' : ticket),
      (error) => error.code,
    )
    assert(code === 'a ticket' || code === 'STORE_UNREACHABLE', code)
  })

  test('write with ticket 0 leaves out what was changed since, even if that was the first change', async (store, {
    empty,
  }) => {
    await empty()
    const [gone, other] = [freshKey(), freshKey()]
    const entries = [entry(gone, text('x')), entry(other, text('x'))]
    const ticket = await store.begin()
    assertEquals([ticket, await store.unlink([gone])], ['0', 0])
    assertEquals(await outcomesOf(store, entries, { ticket }), ['skipped_newer', 'written'])
  })

  test('write leaves everything out once the store was emptied: nothing tells what was changed', async (store, {
    empty,
  }) => {
    for (const isUsedSince of [false, true]) {
      await store.unlink([freshKey()])
      // A server's clock may go by ms.
      await new Promise((resolve) => setTimeout(resolve, 5))
      const entries = [entry(freshKey(), text('x')), entry(freshKey(), text('x'))]
      const ticket = await store.begin()
      await empty()
      if (isUsedSince) await store.unlink([freshKey()])
      assertEquals(await outcomesOf(store, entries, { ticket }), ['skipped_newer', 'skipped_newer'])
      const later = await outcomesOf(store, entries, { ticket: await store.begin() })
      assertEquals(later, ['written', 'written'])
    }
  })

  test('write without a ticket asks for no changes', async (store) => {
    const key = freshKey()
    await store.unlink([key])
    assertEquals(await outcomesOf(store, [entry(key, text('x'))], {}), ['written'])
  })
}

function fillContract(test: Test): void {
  for (const [kind, ours] of kinds()) {
    test(`write of ${kind} leaves alone what a reader has filled since`, async (store, { fill }) => {
      const [later, earlier] = [freshKey(), freshKey()]
      await fill(earlier, 'theirs')
      const ticket = await store.begin()
      await fill(later, 'theirs')
      const entries = [later, earlier].map((key) => entry(key, ours, { version: '5' }))
      assertEquals(await outcomesOf(store, entries, { mode: 'add', ticket }), ['skipped_present', 'skipped_present'])
      // Neither value tells its version: what came later stays.
      for (const mode of ['overwrite', 'newer'] as const) {
        assertEquals(await outcomesOf(store, entries, { mode, ticket }), ['skipped_newer', 'written'])
        assertEquals((await store.read([later]))[0], { type: 'string', value: 'theirs' })
      }
      assertEquals(await outcomesOf(store, entries, { ticket: await store.begin() }), ['written', 'written'])
    })
  }

  test('write takes the place of what a reader had filled since, and that is gone', async (store, { fill, drop }) => {
    const [key, other] = [freshKey(), freshKey()]
    await store.unlink([freshKey()])
    const ticket = await store.begin()
    for (const one of [key, other]) await fill(one, 'theirs')
    await drop(key)
    const entries = [entry(key, text('ours')), entry(other, text('ours'))]
    assertEquals(await outcomesOf(store, entries, { ticket }), ['written', 'skipped_newer'])
  })

  test('write with newer goes by the versions, whoever filled it when', async (store, { fill }) => {
    const versioned = (version: string) => text(`{"v":${version}}`)
    for (const [theirs, ours, expected] of [
      ['5', '6', 'written'],
      ['5', '4', 'skipped_newer'],
    ] as const) {
      const key = freshKey()
      const ticket = await store.begin()
      await fill(key, `{"v":${theirs}}`)
      const one = entry(key, versioned(ours), { version: ours })
      assertEquals(await outcomesOf(store, [one], { mode: 'newer', versionField: 'v', ticket }), [expected])
    }
  })
}

function stampContract(test: Test): void {
  test('write stamps what it writes as warmed, by its expiry time, at most 0.1 s early and never late', async (store, under) => {
    const values = [text('x'), hash('a', '1'), hash('b', '1', 'c', '2')]
    for (const mode of MODES) {
      for (const ticket of [undefined, await store.begin()]) {
        const made = values.map((encoded, at) => entry(freshKey(), encoded, { version: '5', ttlMs: 30_000 + 7 * at }))
        for (const round of ['new', 'replaced']) {
          if (round === 'replaced' && mode === 'add') continue
          const options = { mode, versionField: null, ...(ticket === undefined ? {} : { ticket }) }
          for (const one of made) {
            const beforeMs = under.nowMs()
            assertEquals(await outcomesOf(store, [one], options), ['written'])
            const at = (await under.expiresAtMs(one.key)) as number
            assertEquals(filledByOf(at), 'warm')
            const [earliest, latest] = [beforeMs + one.ttlMs - 100, under.nowMs() + one.ttlMs]
            assert(at >= earliest && at <= latest, `${at} is not from ${earliest} to ${latest}`)
          }
        }
      }
    }
  })

  test('write leaves a TTL of less than a second as it is', async (store, under: Pick<
    StoreUnderTest,
    'nowMs' | 'expiresAtMs'
  >) => {
    const key = freshKey()
    const beforeMs = under.nowMs()
    await write(store, [entry(key, text('x'), { ttlMs: 900 })])
    const at = await under.expiresAtMs(key)
    assert(at === null || (at >= beforeMs + 900 && at <= under.nowMs() + 900), `${at}`)
  })
}
