import { assertEquals } from '@std/assert'
import type { Fence } from '../../src/coordination/types.ts'
import type { Store } from '../../src/store/types.ts'
import type { WriteMode } from '../../src/types.ts'
import { type Body, entry, freshKey, hash, text, write } from './store.contract.ts'

/** The newest token of a fence, as the lock would set it. */
export type SetFence = (key: string, token: number) => Promise<void>

const TOKEN = 1_795_000_000_123_457

/** What a fence lets through; and how keys are deleted. */
export function fenceContract(test: (title: string, body: Body) => unknown): void {
  const fenced = (title: string, body: (store: Store, setFence: SetFence, fence: Fence) => Promise<void>) =>
    test(title, async (store, { setFence }) => {
      await body(store, setFence, { key: `fence:${freshKey()}`, token: TOKEN })
    })

  for (const mode of ['overwrite', 'add', 'newer'] as WriteMode[]) {
    for (const [kind, made] of [
      ['strings', [text('{"v":"2"}'), text('{"v":"3"}')]],
      ['hashes', [hash('v', '2'), hash('v', '3')]],
      ['hashes of different fields', [hash('v', '2'), hash('v', '3', 'w', '')]],
    ] as const) {
      fenced(
        `write under a fence writes ${kind}, mode ${mode}, while its token is the newest`,
        async (store, set, fence) => {
          const keys = [freshKey(), freshKey()]
          const entries = made.map((encoded, at) => entry(keys[at] as string, encoded, { version: '5' }))
          for (const token of [TOKEN - 1, TOKEN]) {
            await set(fence.key, token)
            const { outcomes, failures } = await write(store, entries, { mode, versionField: 'v', fence })
            const second = mode === 'add' && token === TOKEN ? 'skipped_present' : 'written'
            assertEquals(
              [outcomes, [...failures.values()].map(({ failure }) => failure.message)],
              [[second, second], []],
            )
          }
          assertEquals(
            (await store.read(keys)).map((value) => value?.type),
            made.map(({ type }) => type),
          )
        },
      )

      fenced(
        `write under a fence writes no ${kind}, mode ${mode}, once there is a newer token`,
        async (store, set, fence) => {
          const keys = [freshKey(), freshKey()]
          await set(fence.key, TOKEN + 1)
          const entries = made.map((encoded, at) => entry(keys[at] as string, encoded, { version: '5' }))
          const { outcomes, failures } = await write(store, entries, { mode, versionField: null, fence })
          assertEquals(outcomes, ['failed', 'failed'])
          assertEquals(
            [...failures.values()].map(({ failure, retryable }) => [failure.code, failure.key, retryable]),
            keys.map((key) => ['LOCK_LOST', key, false]),
          )
          assertEquals(await store.read(keys), [null, null])
        },
      )
    }
  }

  fenced('write under a fence that nobody holds any more is let through', async (store, _, fence) => {
    const key = freshKey()
    assertEquals((await write(store, [entry(key, text('x'))], { fence })).outcomes, ['written'])
  })

  fenced('write without a fence asks nobody', async (store, set, fence) => {
    await set(fence.key, TOKEN + 1)
    assertEquals((await write(store, [entry(freshKey(), text('x'))])).outcomes, ['written'])
  })

  fenced('write under an old fence leaves what is there, its TTL and its version alone', async (store, set, fence) => {
    const key = freshKey()
    const put = (value: string, version: string, more = {}) =>
      write(store, [entry(key, text(value), { version, ttlMs: 900_000 })], {
        mode: 'newer',
        versionField: null,
        ...more,
      })
    await put('there', '5')
    await store.write([entry(key, text('there'), { version: '5', ttlMs: 30_000 })], {
      ...{ mode: 'newer', versionField: null, timeoutMs: 5000, signal: new AbortController().signal },
    })
    await set(fence.key, TOKEN + 1)
    assertEquals((await put('stale', '9', { fence })).outcomes, ['failed'])
    assertEquals(await store.read([key]), [{ type: 'string', value: 'there' }])
    const [ttlMs] = await store.ttlsMs([key])
    assertEquals((ttlMs as number) <= 30_000, true)
    assertEquals((await put('next', '8')).outcomes, ['written'])
  })

  fenced('write of many chunks under a fence writes all of them, or none', async (store, set, fence) => {
    const made = Array.from({ length: 600 }, (_, at) => entry(freshKey(), hash('n', String(at))))
    const keys = made.map(({ key }) => key)
    await set(fence.key, TOKEN + 1)
    const refused = await write(store, made, { fence })
    assertEquals([...new Set(refused.outcomes)], ['failed'])
    assertEquals(refused.failures.size, 600)
    assertEquals(await store.read(keys), new Array(600).fill(null))
    await set(fence.key, TOKEN)
    assertEquals([...new Set((await write(store, made, { fence })).outcomes)], ['written'])
  })

  unlinkContract(test)
}

function unlinkContract(test: (title: string, body: Body) => unknown): void {
  test('unlink deletes what is there, and tells how many that were', async (store) => {
    const [a, b, absent, other] = [freshKey(), freshKey(), freshKey(), freshKey()]
    await write(store, [entry(a, text('x')), entry(other, text('y'))])
    await write(store, [entry(b, hash('f', '1'))])
    assertEquals(await store.unlink([a, b, absent]), 2)
    assertEquals(await store.read([a, b, other]), [null, null, { type: 'string', value: 'y' }])
    assertEquals(await store.unlink([a, b]), 0)
    assertEquals(await store.unlink([]), 0)
  })

  test('unlink deletes 1200 keys', async (store) => {
    const made = Array.from({ length: 1200 }, () => entry(freshKey(), text('x')))
    const keys = made.map(({ key }) => key)
    await write(store, made)
    assertEquals(await store.unlink(keys), 1200)
    assertEquals(await store.read(keys), new Array(1200).fill(null))
  })

  test('unlink forgets a version that is kept beside the value', async (store) => {
    const key = freshKey()
    const attempt = async (version: string) =>
      (await write(store, [entry(key, text(version), { version })], { mode: 'newer', versionField: null })).outcomes[0]
    assertEquals([await attempt('9'), await attempt('8')], ['written', 'skipped_newer'])
    assertEquals(await store.unlink([key]), 1)
    // Somebody else's value, without a version, holds nobody up.
    await write(store, [entry(key, text('theirs'))])
    assertEquals(await attempt('8'), 'written')
  })
}
