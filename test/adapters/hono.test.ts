import { describe, it } from 'node:test'
import { assertEquals, assertThrows } from '@std/assert'
import { type Context, Hono } from 'hono'
import { type CacheResponsesOptions, cacheResponses } from '../../src/adapters/hono.ts'
import { PrewarmError } from '../../src/errors.ts'
import { FakeClock } from '../fakes/clock.ts'
import { FakeCache } from './fake-cache.ts'
import { stage, statusOf } from './stage.ts'

describe('cacheResponses', () => {
  it('runs the handler once, and answers from the cache afterwards', async () => {
    const { get, calls, clock, cache } = stage((c) => c.json({ id: c.req.param('id') }, 200, { 'x-made': 'here' }))
    const first = await get()
    assertEquals([statusOf(first), first.headers.get('age')], ['prewarm; fwd=miss; stored', null])
    await clock.advance(10_500)
    const second = await get()
    assertEquals(statusOf(second), 'prewarm; hit; ttl=49; detail=redis')
    assertEquals([second.headers.get('age'), second.headers.get('x-made')], ['10', 'here'])
    assertEquals(second.headers.get('content-type'), 'application/json')
    assertEquals([await first.json(), await second.json(), calls.count], [{ id: '1' }, { id: '1' }, 1])
    assertEquals([...cache.entries.keys()], ['page:/films/1:-'])
    await clock.advance(60_000)
    assertEquals(statusOf(await get()), 'prewarm; fwd=miss; stored')
    assertEquals(calls.count, 2)
  })

  it('gives bytes, texts and empty bodies as they were', async () => {
    const bytes = Uint8Array.from({ length: 256 }, (_, at) => at)
    for (const body of [bytes, new TextEncoder().encode('\ufeffü😀\u0000'), new Uint8Array()]) {
      const { get } = stage((c) => c.body(body))
      for (const _ of [1, 2]) {
        const answer = await get()
        assertEquals(new Uint8Array(await answer.arrayBuffer()), body)
        assertEquals(answer.headers.get('content-length'), String(body.byteLength))
      }
    }
  })

  it('answers HEAD from a GET, and a GET from that', async () => {
    const { get, calls } = stage((c) => c.text(c.req.method))
    const head = await get('/films/1', {}, 'HEAD')
    assertEquals([head.status, await head.text(), head.headers.get('content-length')], [200, '', '3'])
    assertEquals([await (await get()).text(), calls.count], ['GET', 1])
    assertEquals(statusOf(await get('/films/1', {}, 'HEAD')), 'prewarm; hit; ttl=60; detail=redis')
  })

  it('answers 304 to a client that has it, by the handler’s ETag or its own', async () => {
    const own = stage((c) => c.text('made'))
    const etag = (await own.get()).headers.get('etag') ?? ''
    const known = await own.get('/films/1', { 'if-none-match': `"other", ${etag}` })
    assertEquals([known.status, await known.text(), known.headers.get('etag')], [304, '', etag])
    assertEquals(known.headers.get('content-type'), null)
    assertEquals((await own.get('/films/1', { 'if-none-match': '"other"' })).status, 200)
    assertEquals(own.calls.count, 1)
    const theirs = stage((c) => c.text('made', 200, { etag: '"v1"', 'last-modified': 'Wed, 01 Jan 2020 00:00:00 GMT' }))
    assertEquals((await theirs.get('/films/1', { 'if-none-match': 'W/"v1"' })).status, 304)
    const since = { 'if-modified-since': 'Wed, 01 Jan 2020 00:00:00 GMT' }
    assertEquals((await theirs.get('/films/1', since)).status, 304)
    assertEquals((await theirs.get('/films/1', { ...since, 'if-none-match': '"v2"' })).status, 200)
  })

  it('does not keep what is not for everybody', async () => {
    const answers: [string, (c: Context) => Response][] = [
      ['status', (c) => c.text('', 404)],
      ['Set-Cookie', (c) => c.text('', 200, { 'set-cookie': 'a=1' })],
      ['private', (c) => c.text('', 200, { 'cache-control': 'max-age=9, private' })],
      ['no-store', (c) => c.text('', 200, { 'cache-control': 'No-Store' })],
      ['no-cache', (c) => c.text('', 200, { 'cache-control': 'no-cache="x"' })],
      ['max-age=0', (c) => c.text('', 200, { 'cache-control': 'max-age=0' })],
      ['s-maxage=0', (c) => c.text('', 200, { 'cache-control': 'max-age=9, s-maxage=0' })],
      ['Vary: *', (c) => c.text('', 200, { vary: '*' })],
      ['Vary', (c) => c.text('', 200, { vary: 'Accept-Language' })],
      ['event stream', (c) => c.text('', 200, { 'content-type': 'text/event-stream' })],
      ['Content-Length', (c) => c.text('', 200, { 'content-length': '2000000' })],
    ]
    for (const [name, answer] of answers) {
      const { get, calls, cache } = stage(answer)
      const first = await get()
      await get()
      assertEquals([name, calls.count, cache.entries.size, statusOf(first)], [name, 2, 0, 'prewarm; fwd=miss'])
    }
    const cookie = await stage((c) => c.text('', 200, { 'set-cookie': 'a=1' })).get()
    assertEquals(cookie.headers.get('set-cookie'), 'a=1')
  })

  it('lets requests pass that ask for it, or that a shared cache may not answer', async () => {
    const { get, calls, cache } = stage((c) => c.text(c.req.header('authorization') ?? 'none'))
    const authorized = await get('/films/1', { authorization: 'Bearer x' })
    assertEquals([await authorized.text(), statusOf(authorized)], ['Bearer x', 'prewarm; fwd=bypass'])
    assertEquals(statusOf(await get('/films/1', { range: 'bytes=0-1' })), 'prewarm; fwd=bypass')
    assertEquals(statusOf(await get('/films/1', {}, 'POST')), 'prewarm; fwd=method')
    assertEquals(statusOf(await get('/films/1', { 'cache-control': 'no-store' })), 'prewarm; fwd=request')
    assertEquals([calls.count, cache.asked.length], [4, 0])
  })

  it('obeys a request’s Cache-Control, or does not', async () => {
    const { get, calls, clock } = stage((c, call) => c.text(`${call}`))
    await get()
    await clock.advance(5000)
    for (const headers of [{ 'cache-control': 'no-cache' }, { 'cache-control': 'max-age=0' }, { pragma: 'no-cache' }]) {
      assertEquals(statusOf(await get('/films/1', headers as Record<string, string>)), 'prewarm; fwd=request; stored')
    }
    assertEquals(await (await get()).text(), '4')
    await clock.advance(5000)
    assertEquals(await (await get('/films/1', { 'cache-control': 'max-age=6' })).text(), '4')
    assertEquals(statusOf(await get('/films/1', { 'cache-control': 'max-age=4' })), 'prewarm; fwd=request; stored')
    assertEquals((await get('/films/1', { 'cache-control': 'only-if-cached' })).status, 200)
    assertEquals((await get('/films/2', { 'cache-control': 'only-if-cached' })).status, 504)
    assertEquals(calls.count, 5)
    const stern = stage((c) => c.text(''), { obeyRequests: false })
    await stern.get()
    assertEquals(
      statusOf(await stern.get('/films/1', { 'cache-control': 'no-cache' })),
      'prewarm; hit; ttl=60; detail=redis',
    )
  })

  it('keeps an answer no longer than it says itself', async () => {
    const { get, clock } = stage((c) => c.text('', 200, { 'cache-control': 'max-age=9, s-maxage="5"', age: '1' }))
    await get()
    await clock.advance(3000)
    const hit = await get()
    assertEquals([statusOf(hit), hit.headers.get('age')], ['prewarm; hit; ttl=1; detail=redis', '4'])
    await clock.advance(1000)
    assertEquals(statusOf(await get()), 'prewarm; fwd=stale; stored')
  })

  it('has an entry for each combination of `vary`, and says so', async () => {
    const answer = (c: Context) =>
      c.text(c.req.header('accept-language') ?? 'none', 200, { vary: 'accept-language, accept' })
    const { get, calls, cache } = stage(answer, { vary: ['Accept-Language', 'Accept'] })
    const de = { 'accept-language': 'de*' }
    assertEquals([await (await get('/films/1', de)).text(), await (await get()).text()], ['de*', 'none'])
    const hit = await get('/films/1', de)
    assertEquals([await hit.text(), hit.headers.get('vary'), calls.count], ['de*', 'accept-language, accept', 2])
    await get('/films/1', { accept: 'x'.repeat(5000) })
    assertEquals([...cache.entries.keys()].slice(0, 2), [
      'page:/films/1:-:accept=&accept-language=de%2A',
      'page:/films/1:-:accept=&accept-language=',
    ])
    assertEquals([...cache.entries.keys()][2]?.length, 'page:/films/1:-:'.length + 43)
  })

  it('makes keys of parameters, path, sorted query and host', async () => {
    const { cache, clock, get, calls } = stage((c) => c.text(c.req.query('b') ?? ''))
    await get('/films/1?b=2&a=x:y&b=1')
    assertEquals(statusOf(await get('/films/1?a=x:y&b=2&b=1')), 'prewarm; hit; ttl=60; detail=redis')
    assertEquals([[...cache.entries.keys()], calls.count], [['page:/films/1:a=x%253Ay&b=2&b=1'], 1])
    const app = new Hono()
    app.get('/p/:name', cacheResponses({ cache, clock, key: 'p:{name}:{host}' }), (c) => c.text(c.req.param('name')))
    await app.request('http://a.example:81/p/x%3A%7Bb%7D*')
    assertEquals([...cache.entries.keys()].at(-1), 'p:x%3A%7Bb%7D%2A:a.example%3A81')
  })

  it('does not cache without a key, and that is no error', async () => {
    const { app, cache, clock } = stage((c) => c.text(''))
    const keys: [string, CacheResponsesOptions['key']][] = [
      ['/a', 'a:{missing}'],
      ['/a', () => null],
      ['/a', async () => ''],
      ['/a?page=2', 'a:{path}'],
      [`/a?${'x'.repeat(5000)}`, 'a:{query}'],
    ]
    for (const [path, key] of keys) {
      const one = new Hono().get('/a', cacheResponses({ cache, clock, key }), (c) => c.text(c.req.query('page') ?? '-'))
      const answer = await one.request(path)
      assertEquals([answer.status, statusOf(answer)], [200, 'prewarm; fwd=bypass'])
    }
    cache.failure = new PrewarmError('KEY_INVALID', 'too long')
    const refused = await app.request('/films/1')
    assertEquals([refused.status, statusOf(refused), cache.entries.size], [200, 'prewarm; fwd=miss', 0])
  })

  it('gives tags, ttl and grace to the cache', async () => {
    const { get, cache } = stage((c) => c.text(''), { tags: (c) => [`film:${c.req.path}`], ttl: 1000, grace: '2s' })
    await get()
    const { ttl, grace, tags, negativeTtl } = cache.asked[0]?.options ?? {}
    assertEquals([ttl, grace, tags, negativeTtl], [1000, '2s', ['film:/films/1'], 0])
  })

  it('refuses wrong options', () => {
    const cache = new FakeCache(new FakeClock())
    const wrong: [Partial<CacheResponsesOptions>, string][] = [
      [{ key: 'a:{b' }, 'KEY_INVALID'],
      [{ key: 7 as never }, 'USAGE'],
      [{ cache: Promise.resolve(cache) as never }, 'USAGE'],
      [{ vary: ['*'] }, 'USAGE'],
      [{ vary: ['a b'] }, 'USAGE'],
      [{ ttl: '5' }, 'USAGE'],
      [{ ttl: 0 }, 'USAGE'],
      [{ grace: -1 }, 'USAGE'],
      [{ maxBodyBytes: 1.5 }, 'USAGE'],
      [{ cacheableStatusCodes: [101] }, 'USAGE'],
    ]
    for (const [options, code] of wrong) {
      const error = assertThrows(() => cacheResponses({ cache, key: 'a', ...options })) as PrewarmError
      assertEquals([options, error.code], [options, code])
    }
  })
})
