import { mkdtempSync, rmSync, statSync } from 'node:fs'
import { request } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { assert, assertEquals, assertMatch, assertRejects, assertStringIncludes } from '@std/assert'
import { Hono } from 'hono'
import { ask } from '../../src/daemon/ask.ts'
import { Gate } from '../../src/daemon/gate.ts'
import { PrewarmError } from '../../src/errors.ts'
import { currentRuntime } from '../../src/runtime/index.ts'
import type { ControlEnv } from '../../src/server/access/index.ts'
import { patience } from '../../src/server/patience.ts'

const sleep = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms))

describe('serving HTTP', () => {
  const { serveHttp } = currentRuntime()

  it('takes a free port, tells the peer’s address, and is gone after stop', async () => {
    const fetchOne = async (_: Request, env: unknown) => {
      const server = env as { requestIP(request: Request): { address: string } | null }
      return new Response(server.requestIP(_)?.address)
    }
    const listening = await serveHttp({ host: '127.0.0.1', port: 0, fetch: fetchOne })
    assertEquals(listening.url, `http://127.0.0.1:${listening.port}`)
    assertEquals(await (await fetch(listening.url)).text(), '127.0.0.1')
    const again = { host: '127.0.0.1', port: listening.port, fetch: fetchOne }
    const error = await assertRejects(() => serveHttp(again), PrewarmError)
    assertEquals(error.code, 'USAGE')
    assertStringIncludes(error.message, `port ${listening.port} of 127.0.0.1 is taken`)
    await listening.stop()
    await assertRejects(() => fetch(listening.url))
    await (await serveHttp(again)).stop()
  })

  it('names an address that is none of this machine’s', async () => {
    const error = await assertRejects(
      () => serveHttp({ host: '192.0.2.1', port: 0, fetch: () => new Response() }),
      PrewarmError,
    )
    assertStringIncludes(error.message, '192.0.2.1')
  })

  it('lets an answer under way end at stop, and cuts off one that takes too long', async () => {
    let answer!: (response: Response) => void
    const pending = () =>
      new Promise<Response>((resolve) => {
        answer = resolve
      })
    const first = await serveHttp({ host: '127.0.0.1', port: 0, fetch: pending })
    const asked = fetch(first.url)
    while (answer === undefined) await sleep(5)
    const stopping = first.stop(30_000)
    answer(new Response('late'))
    assertEquals(await (await asked).text(), 'late')
    await stopping
    const second = await serveHttp({ host: '127.0.0.1', port: 0, fetch: () => new Promise<Response>(() => {}) })
    const cut = fetch(second.url).then(
      () => 'answered',
      () => 'cut',
    )
    await sleep(50)
    await second.stop(50)
    assertEquals(await cut, 'cut')
  })

  it('closes a connection that is silent for long, unless it is told to be patient', { timeout: 60_000 }, async () => {
    const app = new Hono<ControlEnv>()
    app.use('/patient', patience)
    app.get('*', async (c) => {
      await sleep(10_000)
      return c.text('at last')
    })
    const listening = await serveHttp({
      host: '127.0.0.1',
      port: 0,
      idleTimeoutS: 1,
      fetch: app.fetch,
    })
    // Not by fetch(), which asks again when a connection is closed.
    const get = (path: string) =>
      new Promise<string>((resolve) => {
        const call = request(`${listening.url}${path}`, { agent: false }, (response) => {
          response.on('data', (chunk) => resolve(String(chunk)))
        })
        call.on('error', () => resolve('closed'))
        call.end()
      })
    const answers = await Promise.all([get('/patient'), get('/other')])
    assertEquals(answers, ['at last', 'closed'])
    await listening.stop(0)
  })

  it('refuses as usual what names a host that is none', async () => {
    const gate = new Gate(() => new Response('let in'))
    const listening = await serveHttp({ host: '127.0.0.1', port: 0, fetch: gate.fetch })
    const get = (path: string, host: string) =>
      new Promise<string>((resolve, reject) => {
        const call = request(`${listening.url}${path}`, { agent: false, headers: { host } }, (response) => {
          response.on('data', (chunk) => resolve(`${response.statusCode} ${chunk}`))
        })
        call.on('error', reject)
        call.end()
      })
    for (const host of ['localhost', 'a@b', 'a b', 'x/healthz?', '[', 'localhost:99999']) {
      assertEquals(await get('/healthz?x#y', host), '200 {"status":"ok"}', host)
      assertMatch(await get('/warm/run?/healthz', host), /^503 .*"instance":"\/warm\/run","code":"NOT_READY"/, host)
    }
    await listening.stop()
  })

  it('on a socket answers its user alone, within a time', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'prewarm-test-socket-'))
    try {
      const unix = join(folder, 's')
      assertEquals(await ask(unix, 'GET', '/'), null)
      const answers: Record<string, () => Response | Promise<Response>> = {
        '/good': () => Response.json({ method: 'POST' }),
        '/bad': () => new Response('no', { status: 500 }),
        '/text': () => new Response('no JSON'),
        '/never': () => new Promise(() => {}),
      }
      const fetchOne = ({ url }: Request) => answers[new URL(url).pathname]?.() ?? new Response()
      const listening = await serveHttp({ unix, fetch: fetchOne })
      assertEquals(statSync(unix).mode & 0o777, 0o600)
      assertEquals(await ask(unix, 'POST', '/good'), { method: 'POST' })
      for (const path of ['/bad', '/text']) assertEquals(await ask(unix, 'GET', path), null)
      assertEquals(await ask(unix, 'GET', '/never', 50), null)
      await listening.stop(0)
      assert((await ask(unix, 'GET', '/good')) === null)
    } finally {
      rmSync(folder, { recursive: true, force: true })
    }
  })
})
