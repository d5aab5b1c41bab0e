import { describe, it } from 'node:test'
import { assertEquals } from '@std/assert'
import { type Context, Hono, type Next } from 'hono'
import { every } from 'hono/combine'
import { cors } from 'hono/cors'
import { HTTPException } from 'hono/http-exception'
import { cacheResponses } from '../../src/adapters/hono.ts'
import { PrewarmError } from '../../src/errors.ts'
import { turn } from '../fakes/clock.ts'
import { stage, statusOf } from './stage.ts'

describe('cacheResponses and the handlers behind it', () => {
  it('runs one handler for a hundred at once', async () => {
    const release = Promise.withResolvers<void>()
    const { get, calls } = stage(async (c) => {
      await release.promise
      return c.text('made')
    })
    const all = Array.from({ length: 100 }, () => get())
    await turn()
    release.resolve()
    const answers = await Promise.all(all)
    assertEquals(calls.count, 1)
    assertEquals(await Promise.all(answers.map((one) => one.text())), Array(100).fill('made'))
    assertEquals(answers.filter((one) => statusOf(one) === 'prewarm; fwd=miss; stored; collapsed').length, 99)
  })

  it('shares nothing of an answer that is not for everybody with those who waited for it', async () => {
    const release = Promise.withResolvers<void>()
    const { get, calls } = stage(async (c, call) => {
      await release.promise
      return c.text(`for ${call}`, 200, { 'set-cookie': `id=${call}` })
    })
    const all = Array.from({ length: 5 }, () => get())
    await turn()
    release.resolve()
    const texts = await Promise.all((await Promise.all(all)).map((one) => one.text()))
    assertEquals([new Set(texts).size, calls.count], [5, 5])
  })

  it('shows handlers nothing of one visitor that is not in the key', async () => {
    const { app, cache, clock } = stage((c) => c.text(''))
    app.use(
      '/who',
      cors({ origin: (origin) => origin }),
      cacheResponses({ cache, clock, key: 'who', vary: ['accept'] }),
    )
    app.get('/who', (c) => c.json([c.req.header(), c.req.raw.headers.get('cookie')]))
    const headers = { cookie: 'id=1', origin: 'https://a.example', 'x-forwarded-host': 'evil', accept: 'a/b' }
    const first = await app.request('/who', { headers })
    assertEquals(await first.json(), [{ accept: 'a/b' }, null])
    assertEquals(first.headers.get('access-control-allow-origin'), 'https://a.example')
    const second = await app.request('/who', { headers: { origin: 'https://b.example', accept: 'a/b' } })
    assertEquals(statusOf(second)?.includes('hit'), true)
    assertEquals(second.headers.get('access-control-allow-origin'), 'https://b.example')
  })

  it('hands over what middleware before it has set', async () => {
    const { app, cache, clock } = stage((c) => c.text(''))
    const bindings = new Hono<{ Variables: { site: string }; Bindings: { name: string } }>()
    bindings.use(async (c, next) => {
      c.set('site', 'films')
      c.req.addValidatedData('query', { page: 3 })
      c.header('x-before', '1')
      await next()
      c.header('x-after', '1')
    })
    bindings.get('/:kind/:id?', cacheResponses({ cache, clock, key: 'b:{kind}' }), (c) =>
      c.json([c.var.site, c.env.name, c.req.valid('query' as never), c.req.param('kind'), c.req.path]),
    )
    app.route('/sub', bindings)
    const answer = await app.request('/sub/a', {}, { name: 'env' })
    assertEquals(await answer.json(), ['films', 'env', { page: 3 }, 'a', '/sub/a'])
    assertEquals([answer.headers.get('x-before'), answer.headers.get('x-after')], ['1', '1'])
    const [entry] = [...cache.entries.values()]
    assertEquals(/x-before|x-after/.test(entry?.text ?? ''), false)
    assertEquals(statusOf(await app.request('/sub/a', {}, { name: 'env' })), 'prewarm; hit; ttl=60; detail=redis')
  })

  it('keeps no error, and leaves its answer to the app', async () => {
    const { app, get, calls, cache } = stage((_, call) => {
      if (call === 1) throw new Error('broken')
      if (call === 2) throw new HTTPException(418, { message: 'teapot' })
      throw 'no Error at all'
    })
    app.onError((error, c) =>
      error instanceof HTTPException ? error.getResponse() : c.text(`handled ${error.message}`, 500),
    )
    assertEquals(await (await get()).text(), 'handled broken')
    assertEquals((await get()).status, 418)
    assertEquals(await get().catch((error) => error), 'no Error at all')
    const sub = new Hono()
    sub.onError((_, c) => c.text('of the sub-app', 200))
    sub.get('/x', cacheResponses({ cache, key: 'sub' }), () => {
      throw new Error('broken')
    })
    const outer = new Hono().route('/sub', sub)
    assertEquals(await (await outer.request('/sub/x')).text(), 'of the sub-app')
    assertEquals([calls.count, cache.entries.size], [3, 0])
  })

  it('leaves what nobody answers to the app’s notFound', async () => {
    const { app, cache } = stage((c) => c.notFound())
    app.notFound((c) => c.text('nowhere', 404))
    app.get('/films/1/none', cacheResponses({ cache, key: 'none' }))
    for (const path of ['/films/1', '/films/1/none', '/films/1/2/3']) {
      const answer = await app.request(path)
      assertEquals([path, answer.status, await answer.text()], [path, 404, 'nowhere'])
    }
    assertEquals(cache.entries.size, 0)
  })

  it('serves stale answers while one request refreshes them, apart from the one that asked', async () => {
    const { app, get, cache, clock, calls } = stage(
      (c, call) => {
        c.header('x-call', `${call}`)
        return c.text(`${call}`)
      },
      { grace: '30s' },
    )
    app.get('/strict', cacheResponses({ cache, clock, key: 'strict', ttl: '1m', grace: '30s' }), (c) =>
      c.text(`${++calls.count}`, 200, { 'cache-control': 'must-revalidate' }),
    )
    await get()
    await clock.advance(61_000)
    const stale = await get()
    assertEquals([statusOf(stale), stale.headers.get('x-call')], ['prewarm; hit; ttl=-1; detail=redis', '1'])
    await Promise.all(cache.refreshing)
    assertEquals([await stale.text(), stale.headers.get('x-call'), calls.count], ['1', '1', 2])
    const fresh = await get()
    assertEquals([await fresh.text(), fresh.headers.get('x-call')], ['2', '2'])
    await app.request('/strict')
    await clock.advance(61_000)
    assertEquals(statusOf(await app.request('/strict')), 'prewarm; fwd=stale; stored')
  })

  it('keeps the old answer where a refresh fails, and gives it where it is only too old', async () => {
    const { get, cache, clock } = stage(
      (c, call) => (call > 1 ? c.text('down', 503) : c.text('good', 200, { 'cache-control': 's-maxage=10' })),
      { grace: '30s' },
    )
    cache.refreshesHits = 'before'
    await get()
    await get()
    await Promise.all(cache.refreshing)
    await clock.advance(11_000)
    const answer = await get()
    assertEquals([answer.status, statusOf(answer), await answer.text()], [200, 'prewarm; fwd=stale', 'good'])
    await clock.advance(100_000)
    assertEquals([(await get()).status, (await get('/films/2')).status], [503, 503])
  })

  it('passes on long bodies as they come, and ends those that nobody reads', async () => {
    let cancelled = 0
    const long = () => {
      let sent = 0
      return new ReadableStream({
        pull: (controller) => {
          if (sent === 50) controller.close()
          else controller.enqueue(new Uint8Array(10).fill(sent++))
        },
        cancel: () => void cancelled++,
      })
    }
    const { get, cache, calls } = stage((c, call) => (call === 1 ? c.text('short') : c.body(long())), {
      maxBodyBytes: 100,
    })
    await get()
    for (const when of ['before', 'after'] as const) {
      cache.refreshesHits = when
      assertEquals(await (await get()).text(), 'short') // and a refresh behind it, whose body is too long
      await Promise.all(cache.refreshing)
      await turn()
    }
    assertEquals([cancelled, calls.count], [2, 3])
    const whole = new Uint8Array(await (await get('/films/2')).arrayBuffer())
    assertEquals([whole.length, whole[0], whole[499]], [500, 0, 49])
    assertEquals([cancelled, [...cache.entries.keys()]], [2, ['page:/films/1:-']])
  })

  it('goes on without a cache that fails, but not above its bound', async () => {
    const { get, cache, calls } = stage((c) => c.text('made'))
    for (const code of ['STOPPED', 'STORE_UNREACHABLE', 'ORIGIN_TIMEOUT'] as const) {
      cache.failure = new PrewarmError(code, 'it failed')
      assertEquals(await (await get()).text(), 'made')
    }
    cache.failure = new PrewarmError('RATE_LIMITED', 'too many')
    const shed = await get()
    assertEquals([shed.status, shed.headers.get('retry-after'), calls.count], [503, '1', 3])
  })

  it('takes only what it has written', async () => {
    const { get, cache, clock } = stage((c) => c.text('made'))
    const staleUntilMs = clock.nowMs() + 1000
    for (const text of ['"a page"', '{"status":200}', '7', '[]']) {
      cache.entries.set('page:/films/1:-', { text, freshUntilMs: staleUntilMs, staleUntilMs, tags: [] })
      assertEquals(await (await get()).text(), 'made')
    }
  })

  it('stands back inside another middleware, where it can’t know what is behind it', async () => {
    const { app, cache } = stage((c) => c.text(''))
    const guard = async (c: Context, next: Next) => {
      c.set('who' as never, 'guard' as never)
      await next()
    }
    app.get('/every', every(cacheResponses({ cache, key: 'every' }), guard), (c) =>
      c.text(String(c.get('who' as never))),
    )
    const answer = await app.request('/every')
    assertEquals([await answer.text(), statusOf(answer), cache.entries.size], ['guard', 'prewarm; fwd=bypass', 0])
  })
})
