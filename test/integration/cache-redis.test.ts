import { after, before, describe, it } from 'node:test'
import { assert, assertEquals, assertRejects } from '@std/assert'
import type { Redis } from 'ioredis'
import { RedisLink, type RedisLinkOptions } from '../../src/cache/redis-link.ts'
import { RedisTier } from '../../src/cache/redis-tier.ts'
import { startEmbeddedRedis } from '../../src/embedded/redis.ts'
import { PrewarmError } from '../../src/errors.ts'
import { CHANGES_KEY, KEPT_CHANGES } from '../../src/store/changes.ts'
import { clock, looker, until } from '../support/coordination.ts'
import { type RedisServer, startRedisServer } from '../support/servers.ts'
import { ask, fill, leased, one, set, stateOf, text, textAt } from '../support/shared-tier.ts'

const TIMEOUT = { timeout: 60_000 }
const MB = 1_048_576

interface Instance {
  tier: RedisTier
  link: RedisLink
  heard: (readonly string[] | null)[]
  deleted: string[]
  notices: string[]
}

async function instance(url: string, options: Partial<RedisLinkOptions> = {}): Promise<Instance> {
  const [heard, deleted, notices]: [(readonly string[] | null)[], string[], string[]] = [[], [], []]
  const link = new RedisLink({
    ...{ url, clock, onNotice: (message) => notices.push(message) },
    listener: { onChanged: (keys) => heard.push(keys), onDeleted: (keys) => deleted.push(...keys) },
    ...options,
  })
  await link.ready()
  return { tier: new RedisTier({ link, leaseMs: 5000, random: Math.random }), link, heard, deleted, notices }
}

describe('the cache on one Redis', () => {
  let server: RedisServer
  let redis: Redis
  let open: Instance[] = []
  before(async () => {
    server = await startRedisServer()
    redis = looker(server.url)
  }, TIMEOUT)
  after(async () => {
    redis.disconnect()
    await server.stop()
  }, TIMEOUT)

  const test = (title: string, body: (create: typeof instance) => Promise<void>) =>
    it(title, TIMEOUT, async () => {
      await redis.flushall()
      await redis.config('RESETSTAT')
      try {
        await body(async (url, options) => {
          const created = await instance(url, options)
          open.push(created)
          return created
        })
      } finally {
        await Promise.all(open.map(({ tier }) => tier.close()))
        open = []
        await redis.config('SET', 'maxmemory', '0')
      }
    })

  /** As full as can be: not even one more small value fits. */
  const fillUp = async () => {
    for (let at = 0; at < 200; at++) await redis.set(`ballast:${at}`, 'x'.repeat(10_000))
    const used = Number(/used_memory:(\d+)/.exec(await redis.info('memory'))?.[1])
    await redis.config('SET', 'maxmemory', String(used - MB))
    await assertRejects(() => redis.set('more', 'x'), Error, 'OOM')
  }

  test('a full server: values are refused, what was there stays; leases, deletes and invalidations work', async (create) => {
    const { tier } = await create(server.url)
    await set(tier, 'held', 'old')
    await tier.set([{ key: 'hash', ttlMs: 60_000, encoded: { type: 'hash', fields: ['a', 'old'] } }], {
      filledBy: 'read',
    })
    await set(tier, 'gone', 'old')
    const early = await leased(tier, 'gone too')
    const [old = ''] = await tier.tagVersions(['t'])
    await fillUp()

    const lease = await leased(tier, 'new')
    const refused = [
      () => fill(tier, lease, { key: 'new', ttlMs: 60_000, encoded: text('v') }),
      () => fill(tier, lease, { key: 'new', ttlMs: 60_000, encoded: { type: 'hash', fields: ['a', 'v'] } }),
      () => fill(tier, lease, { key: 'new', ttlMs: 60_000, encoded: null }),
      () => set(tier, 'held', 'new'),
      () =>
        tier.set([{ key: 'hash', ttlMs: 60_000, encoded: { type: 'hash', fields: ['a', 'v'] } }], { filledBy: 'read' }),
    ]
    for (const write of refused) {
      const error = await assertRejects(write, PrewarmError)
      assertEquals([error.code, error.detail], ['STORE_REFUSED', 'OOM'])
    }
    assertEquals(await textAt(tier, 'held'), 'old')
    const hash = await one(tier, ask('hash', false, 'hash'))
    assert(hash.state === 'held' && hash.value.type === 'hash' && hash.value.fields.a === 'old')
    assertEquals(await redis.exists('prewarm:scratch'), 0)

    assertEquals(await tier.delete(['gone', 'gone too']), 1)
    assertEquals(await stateOf(tier, 'gone'), 'missing')
    assert((await tier.lease('held')) !== null)
    assert(Number((await tier.ticket()).ticket) > 0)
    await tier.invalidateTags(['t'])
    assert((await tier.tagVersions(['t', 'unheard of']))[0] !== old)
    await tier.heard(['held'])

    await redis.config('SET', 'maxmemory', '0')
    const late = { key: 'gone too', ttlMs: 60_000, encoded: text('old') }
    assertEquals(await fill(tier, early, late), 'skipped_newer')
  })

  test('of 50,000 later changes none is too many: a load from before what was forgotten is refused', async (create) => {
    const { tier } = await create(server.url)
    const early = await tier.ticket()
    await tier.delete(['k'])
    const afterK = await tier.ticket()
    const many = Array.from({ length: KEPT_CHANGES }, (_, index) => `other:${index}`)
    for (let from = 0; from < many.length; from += 5000) await tier.delete(many.slice(from, from + 5000))
    assert((await redis.zcard(CHANGES_KEY)) <= KEPT_CHANGES + 3)
    assertEquals(await redis.zscore(CHANGES_KEY, 'k'), null)
    const fresh = await tier.ticket()
    const outcomes = []
    for (const lease of [early, afterK, fresh])
      outcomes.push(await fill(tier, lease, { key: 'k', ttlMs: 60_000, encoded: text('v') }))
    assertEquals(outcomes, ['skipped_newer', 'skipped_newer', 'written'])
    // A change that is remembered counts, also after that.
    await tier.delete(['k'])
    assertEquals(await fill(tier, fresh, { key: 'k', ttlMs: 60_000, encoded: text('v') }, true), 'skipped_newer')
  })

  test('a value of a kind that no cache writes is as good as not there, and is left alone', async (create) => {
    const { tier } = await create(server.url)
    await redis.rpush('list', 'a')
    await redis.sadd('set', 'a')
    await set(tier, 'fine', 'v')
    for (const form of ['string', 'hash'] as const) {
      const found = await tier.read([ask('list', false, form), ask('fine', false, form), ask('set', false, form)])
      assertEquals(
        found.map(({ state }) => state),
        ['missing', 'held', 'missing'],
      )
    }
    const lease = await tier.ticket()
    assertEquals(await fill(tier, lease, { key: 'list', ttlMs: 60_000, encoded: text('v') }), 'skipped_present')
    assertEquals(await redis.type('list'), 'list')
  })

  test('expiry times and stamps are exact, also where the server does not know PEXPIRETIME', async (create) => {
    await redis.call('ACL', 'SETUSER', 'older', 'on', '>pw', '~*', '&*', '+@all', '-pexpiretime')
    const { tier } = await create(server.url.replace('//', '//older:pw@'))
    const lease = await tier.ticket()
    await tier.fill([{ key: 'k', ttlMs: 60_000, encoded: text('v') }], { lease, replace: false, filledBy: 'warm' })
    await redis.set('forever', 'v')
    const exact = Number(await redis.call('PEXPIRETIME', 'k'))
    assertEquals(exact % 100, 37)
    const [found, forever] = await tier.read([ask('k'), ask('forever')])
    assert(found?.state === 'held' && forever?.state === 'held')
    // A clock of ms that is read twice may be one further.
    assert(Math.abs(found.expiresAtMs - exact) <= 1, `${found.expiresAtMs} for ${exact}`)
    assertEquals(forever.leftMs, Number.POSITIVE_INFINITY)
  })

  test('hearing falls back to what caches publish where tracking is refused, and says so', async (create) => {
    await redis.call('ACL', 'SETUSER', 'plain', 'on', '>pw', '~*', '&*', '+@all', '-client|tracking')
    const { link, heard, notices } = await create(server.url.replace('//', '//plain:pw@'))
    const { tier: other } = await create(server.url)
    assertEquals(link.hearing, 'published')
    assertEquals(notices.length, 1)
    assert(/track/.test(notices[0] ?? '') && /NOPERM/.test(notices[0] ?? ''), notices[0])
    await other.delete(['a', 'b,c', 'é"'])
    await until(() => heard.length === 1)
    await set(other, 'd', '1')
    await other.invalidateTags(['t'])
    await until(() => heard.length === 3)
    assertEquals(heard, [['a', 'b,c', 'é"'], ['d'], ['prewarm:tag:t']])
    // What nobody understands may mean anything.
    for (const nonsense of ['{', '"a"', '[1]', 'null', '']) await redis.publish('prewarm:changed', nonsense)
    await until(() => heard.length === 8)
    assertEquals(heard.slice(3), [null, null, null, null, null])
  })

  test('nothing is heard where neither is allowed: it says so, and deletes work all the same', async (create) => {
    await redis.call('ACL', 'SETUSER', 'deaf', 'on', '>pw', '~*', 'resetchannels', '+@all')
    const { tier, link, notices } = await create(server.url.replace('//', '//deaf:pw@'))
    const { tier: other, heard } = await create(server.url)
    assertEquals(link.hearing, 'nothing')
    assert(
      notices.some((notice) => /nothing is kept in memory/.test(notice)),
      notices.join(),
    )
    await set(other, 'k', '1')
    assertEquals(await tier.delete(['k']), 1)
    await until(() => heard.some((keys) => keys?.includes('k')))
    await set(tier, 'k', '2')
    await tier.invalidateTags(['t'])
    assertEquals(await textAt(other, 'k'), '2')
  })

  test('keyspace events tell what other programs delete, without prewarm’s own keys', async (create) => {
    await redis.config('SET', 'notify-keyspace-events', 'Eg')
    const { tier, deleted, notices } = await create(`${server.url}/3`, { keyspaceEvents: true })
    await redis.select(3)
    await redis.mset('k', '1', 'k,2', '1', 'prewarm:x', '1', 'last', '1')
    await redis.del('prewarm:x', 'k')
    await redis.unlink('k,2')
    await redis.select(0)
    await redis.set('elsewhere', '1')
    await redis.del('elsewhere')
    await redis.select(3)
    // A reader that finds a value of an invalidated tag deletes nothing: its own load would be refused.
    const [a = ''] = await tier.tagVersions(['a'])
    await set(tier, 'tagged', `\u0001${JSON.stringify({ a })}\nv`)
    await tier.invalidateTags(['a'])
    const lease = await leased(tier, 'tagged')
    assertEquals(await fill(tier, lease, { key: 'tagged', ttlMs: 60_000, encoded: text('new') }), 'written')
    await redis.del('last')
    await until(() => deleted.includes('last'))
    assertEquals([deleted, notices], [['k', 'k,2', 'last'], []])
    await redis.select(0)
  })

  test('a server that is not set to tell of deletes is named, with what it needs', async (create) => {
    for (const flags of ['', 'E', 'g', 'Kg']) {
      await redis.config('SET', 'notify-keyspace-events', flags)
      const { notices } = await create(server.url, { keyspaceEvents: true })
      assertEquals(notices.length, 1, flags)
      assert(/notify-keyspace-events/.test(notices[0] ?? '') && /E/.test(notices[0] ?? ''), notices[0])
    }
    for (const flags of ['Eg', 'KEA', 'EA']) {
      await redis.config('SET', 'notify-keyspace-events', flags)
      assertEquals((await create(server.url, { keyspaceEvents: true })).notices, [], flags)
    }
    // Where it may not be looked at, nothing is said.
    await redis.config('SET', 'notify-keyspace-events', '')
    await redis.call('ACL', 'SETUSER', 'blind', 'on', '>pw', '~*', '&*', '+@all', '-config')
    const blind = await create(server.url.replace('//', '//blind:pw@'), { keyspaceEvents: true })
    assertEquals([blind.notices, blind.link.hearing], [[], 'tracking'])
  })

  test('a script is sent by its digest, also after the server was told to forget it', async (create) => {
    const { tier } = await create(server.url)
    await tier.read([ask('a')])
    await redis.script('FLUSH')
    await tier.read([ask('a')])
    await redis.config('RESETSTAT')
    await tier.read([ask('a')])
    const stats = await redis.info('commandstats')
    assert(/cmdstat_evalsha:calls=1/.test(stats) && !/cmdstat_eval:/.test(stats), stats)
  })
})

describe('the cache on an embedded Valkey, whose tracking knows what was read, not what was declared', () => {
  it('hears of changes, tags and what the origin has none of', TIMEOUT, async () => {
    const server = await startEmbeddedRedis()
    const mine = await instance(server.url)
    const { tier: other } = await instance(server.url)
    try {
      assertEquals(mine.link.hearing, 'tracking')
      const hears = async (key: string, change: () => Promise<unknown>) => {
        const from = mine.heard.length
        await change()
        await until(() => mine.heard.slice(from).some((keys) => keys?.includes(key)))
      }
      await mine.tier.read([ask('a', false), ask('b', false)])
      await hears('b', () => set(other, 'b', '1'))
      await set(mine.tier, 'b', '2')
      await hears('b', () => set(other, 'b', '3'))
      await fill(mine.tier, await mine.tier.ticket(), { key: 'b', ttlMs: 60_000, encoded: text('4') }, true)
      await hears('b', () => other.delete(['b']))
      await fill(mine.tier, await leased(mine.tier, 'b'), { key: 'b', ttlMs: 60_000, encoded: null })
      await hears('b', () => other.delete(['b']))
      await mine.tier.tagVersions(['t'])
      await hears('prewarm:tag:t', () => other.invalidateTags(['t']))
    } finally {
      await Promise.all([mine.tier.close(), other.close()])
      await server.stop()
    }
  })
})
