import { describe, it } from 'node:test'
import { assert, assertEquals, assertRejects } from '@std/assert'
import { RedisTier } from '../../src/cache/redis-tier.ts'
import { DELETE, FILL, READ, RELEASE } from '../../src/cache/scripts.ts'
import type { CacheLink } from '../../src/cache/tier.ts'
import type { Script } from '../../src/coordination/types.ts'
import { PrewarmError } from '../../src/errors.ts'

interface Call {
  script: Script
  keys: readonly string[]
  args: readonly (string | number)[]
}

/** A link that replies what the test says, and notes what it was asked. */
function fakeLink(reply: (call: Call) => unknown): CacheLink & { calls: Call[]; globs: string[] } {
  const [calls, globs]: [Call[], string[]] = [[], []]
  return {
    calls,
    globs,
    hearing: 'tracking',
    async script(script, declared, args, watched) {
      // Many keys are not declared, but watched.
      const call = { script, keys: watched ?? declared, args }
      calls.push(call)
      return reply(call)
    },
    async *scan(glob) {
      globs.push(glob)
      if (glob.startsWith('prewarm:')) yield ['prewarm:absent:an']
      else yield ['prewarm:lease:a', 'a']
      yield ['prewarm:changes']
    },
    close: async () => {},
  }
}

const tierOver = (link: CacheLink) => new RedisTier({ link, leaseMs: 5000, random: () => 0.123 })
const NOW_MS = 1_700_000_000_000
const asks = (count: number) =>
  Array.from({ length: count }, (_, index) => ({ key: `k${index}`, form: 'string', wantsLease: true }) as const)
const lost = () => new PrewarmError('STORE_UNREACHABLE', 'Cannot reach Redis')

describe('RedisTier', () => {
  it('read asks for at most 250 keys at once, under one token', async () => {
    const link = fakeLink(({ keys }) => [NOW_MS, '5', ...keys.flatMap(() => [2, 0])])
    const found = await tierOver(link).read(asks(600))
    assertEquals(
      link.calls.map(({ keys }) => keys.length),
      [250, 250, 100],
    )
    assertEquals(new Set(link.calls.map(({ args }) => args[1])).size, 1)
    assert(found.every((one) => one.state === 'leased' && one.lease.ticket === '5'))
    assertEquals(found.length, 600)
  })

  it('read that fails in part gives back the leases that nobody learns of', async () => {
    let reads = 0
    const link = fakeLink(({ script, keys }) => {
      if (script === RELEASE) return 1
      if (reads++ === 1) throw lost()
      return [NOW_MS, '5', ...keys.flatMap((_, index) => (index === 3 ? ['held', -1] : [index % 2 === 0 ? 2 : 1, 0]))]
    })
    const error = await assertRejects(() => tierOver(link).read(asks(500)), PrewarmError)
    assertEquals(error.code, 'STORE_UNREACHABLE')
    const released = link.calls.filter(({ script }) => script === RELEASE)
    const token = link.calls.find(({ script }) => script === READ)?.args[1]
    assertEquals(released.length, 1)
    assertEquals(
      released[0]?.keys,
      asks(250).flatMap(({ key }, index) => (index % 2 === 0 ? [key] : [])),
    )
    assertEquals(released[0]?.args, [token as string])
  })

  it('no two calls share a lease, and release never throws', async () => {
    const link = fakeLink(({ script, keys }) => {
      if (script === RELEASE) throw lost()
      return script === READ ? [NOW_MS, '5', ...keys.flatMap(() => [2, 0])] : '6'
    })
    const tier = tierOver(link)
    const [found] = await tier.read(asks(1))
    const again = await tier.lease('k0')
    assert(found?.state === 'leased' && again !== null)
    assert(found.lease.token !== again.token)
    await tier.release(['k0'], again)
    await tier.release(['k0'], { token: '', ticket: '6' })
    assertEquals(link.calls.filter(({ script }) => script === RELEASE).length, 1)
  })

  it('what Redis refuses to write is an error that names the key and Redis’ own word', async () => {
    const link = fakeLink(() => ['w', NOW_MS, 'f', "OOM command not allowed when used memory > 'maxmemory'."])
    const fills = ['a', 'b'].map((key) => ({ key, encoded: null, ttlMs: 1000 }))
    const lease = { token: 't', ticket: '1' }
    const error = await assertRejects(
      () => tierOver(link).fill(fills, { lease, replace: true, filledBy: 'warm' }),
      PrewarmError,
    )
    assertEquals([error.code, error.detail], ['STORE_REFUSED', 'OOM'])
    assert(error.message.includes("'b'"), error.message)
    assertEquals(link.calls[0]?.script, FILL)
    assertEquals(link.calls[0]?.args, ['1', 't', 'o', 37, ...['', 'n', 1000, 0], ...['', 'n', 1000, 0]])
  })

  it('delete goes by 500 keys, and publishes what each page deletes', async () => {
    const link = fakeLink(({ keys }) => keys.length)
    const keys = asks(1200).map(({ key }) => key)
    assertEquals(await tierOver(link).delete(keys), 1200)
    assertEquals(
      link.calls.map((call) => [call.script === DELETE, call.keys.length]),
      [500, 500, 200].map((length) => [true, length]),
    )
    assertEquals(
      link.calls.flatMap(({ args }) => JSON.parse(String(args[0]))),
      keys,
    )
    assertEquals(await tierOver(link).delete([]), 0)
  })

  it('scan takes a prefix to the letter, and leaves out prewarm’s own keys, and knows of what is nowhere', async () => {
    const link = fakeLink(() => null)
    const pages: string[][] = []
    for await (const page of tierOver(link).scan('a*[b]?\\')) pages.push(page)
    const literal = 'a\\*\\[b\\]\\?\\\\*'
    assertEquals(link.globs, [literal, `prewarm:absent:${literal}`])
    assertEquals(pages.flat(), ['a', 'an'])
  })
})
