import { describe, it } from 'node:test'
import { assertEquals } from '@std/assert'
import { MAX_BODY_BYTES } from '../../src/server/body.ts'
import { MAX_ACCESS_BYTES } from '../../src/server/routes/access.ts'
import { DOCUMENT, send, setup } from './support.ts'

/** Every route that takes a body. */
const ROUTES = Object.entries(DOCUMENT.paths).flatMap(([path, methods]) =>
  Object.values(methods).some((operation) => 'requestBody' in operation) ? [path] : [],
)

/** A body that tells no length: chunked, on the wire. */
function chunked(...parts: string[]): ReadableStream<Uint8Array> {
  const encoder = new TextEncoder()
  return new ReadableStream({
    pull(controller) {
      const part = parts.shift()
      if (part === undefined) controller.close()
      else controller.enqueue(encoder.encode(part))
    },
  })
}

const keysOf = (bytes: number) => {
  const rest = bytes - '{"keys":["film:"]}'.length
  return `{"keys":["film:${'x'.repeat(rest)}"]}`
}

describe('bodies', () => {
  it('are taken by these routes', () => {
    const known = ['key', 'pattern', 'trigger-predictive', 'run', 'config', 'clear', 'stop', 'schedules', 'optimize']
    assertEquals(ROUTES.sort(), ['/access', ...known.map((name) => `/warm/${name}`)].sort())
  })

  for (const path of ROUTES) {
    it(`${path} refuses what is not application/json`, async () => {
      for (const type of [
        'text/plain',
        'application/x-www-form-urlencoded',
        'application/json5',
        'application/x+json',
      ]) {
        const s = setup()
        const { status, body } = await send(s, 'POST', path, '{}', { 'content-type': type })
        assertEquals([status, body.code], [415, 'CONTENT_TYPE'], type)
        assertEquals([s.warmer.submitted, s.warmer.calls], [[], []])
      }
    })

    it(`${path} refuses what is no JSON object`, async () => {
      const nothing = path === '/warm/stop' ? [] : ['']
      for (const text of [...nothing, '{', 'null', '[]', '"x"', '1', '{"a":1}{', '\u0000'])
        assertEquals(
          (await send(setup(), 'POST', path, text, { 'content-type': 'application/json' })).status,
          400,
          text,
        )
    })

    it(`${path} refuses a body above the bound, also one that tells no length`, async () => {
      const most = path === '/access' ? MAX_ACCESS_BYTES : MAX_BODY_BYTES
      const text = JSON.stringify({ keys: ['x'.repeat(most)] })
      const told = await send(setup(), 'POST', path, text, { 'content-length': String(text.length) })
      assertEquals([told.status, told.body.code], [413, 'BODY_TOO_LARGE'])
      const untold = await send(setup(), 'POST', path, chunked(text.slice(0, 100), text.slice(100)))
      assertEquals([untold.status, untold.body.code], [413, 'BODY_TOO_LARGE'])
      const lied = await send(setup(), 'POST', path, text, { 'content-length': '5' })
      assertEquals([lied.status, lied.body.code], [413, 'BODY_TOO_LARGE'])
    })

    it(`${path} refuses __proto__ wherever it stands`, async () => {
      for (const text of ['{"__proto__":{"keys":["film:1"]}}', '{"params":{"a":[{"__proto__":{"x":1}}]}}']) {
        const s = setup()
        const { status, body } = await send(s, 'POST', path, text)
        assertEquals([status, body.code], [400, 'REQUEST_INVALID'])
        assertEquals([s.warmer.submitted, s.warmer.calls, ({} as { x?: unknown }).x], [[], [], undefined])
      }
    })

    it(`${path} refuses 'constructor' as an unknown field`, async () => {
      const { status, body } = await send(setup(), 'POST', path, '{"constructor":{"prototype":{"x":1}}}')
      assertEquals([status, ({} as { x?: unknown }).x], [400, undefined])
      assertEquals(
        body.errors.some(({ field }: { field: string }) => field === 'constructor'),
        true,
      )
    })
  }

  it('are taken up to the bound', async () => {
    const keys = Array.from({ length: 13 }, (_, index) => `film:${'x'.repeat(4080)}${index}`)
    assertEquals((await send(setup(), 'POST', '/warm/key', chunked(JSON.stringify({ keys })))).status, 202)
    const whole = keysOf(MAX_BODY_BYTES)
    assertEquals(whole.length, MAX_BODY_BYTES)
    // As large as may be: it is read, and its one key is too long.
    assertEquals((await send(setup(), 'POST', '/warm/key', chunked(whole))).status, 400)
    assertEquals((await send(setup(), 'POST', '/warm/key', chunked(keysOf(MAX_BODY_BYTES + 1)))).status, 413)
  })

  it('may name a charset', async () => {
    const headers = { 'content-type': 'Application/JSON; charset=utf-8' }
    assertEquals((await send(setup(), 'POST', '/warm/run', '{}', headers)).status, 202)
  })

  it('may not be nested without end', async () => {
    const s = setup()
    const deep = `{"params":{"limit":${'['.repeat(30_000)}${']'.repeat(30_000)}}}`
    const { status, body } = await send(s, 'POST', '/warm/run', deep)
    assertEquals([status, body.detail], [400, 'The body is nested more than 32 deep: send less of it'])
    assertEquals(s.warmer.submitted, [])
  })

  it('that break off are the caller’s failure, and no matter for the log', async () => {
    for (const length of [undefined, '20']) {
      const s = setup()
      const parts = ['{"task']
      const broken = new ReadableStream<Uint8Array>({
        pull(controller) {
          const part = parts.shift()
          if (part === undefined) controller.error(new TypeError())
          else controller.enqueue(new TextEncoder().encode(part))
        },
      })
      const headers: Record<string, string> = length === undefined ? {} : { 'content-length': length }
      const { status, body } = await send(s, 'POST', '/warm/run', broken, headers)
      assertEquals([status, body.code, s.errors, s.warmer.submitted], [400, 'REQUEST_INVALID', [], []])
    }
  })

  it('are not read further than the bound', async () => {
    let read = 0
    const part = new TextEncoder().encode(' '.repeat(1024))
    const endless = new ReadableStream<Uint8Array>({
      pull(controller) {
        read += part.length
        if (read > 10 * MAX_BODY_BYTES) controller.close()
        else controller.enqueue(part)
      },
    })
    assertEquals((await send(setup(), 'POST', '/warm/run', endless)).status, 413)
    assertEquals(read < 2 * MAX_BODY_BYTES, true, `${read} bytes were read`)
  })

  it('pass a parameter named constructor through as what it is', async () => {
    const s = setup()
    const { status, body } = await send(s, 'POST', '/warm/run', '{"params":{"constructor":1}}')
    assertEquals([status, body.code], [400, 'PARAM_INVALID'])
  })

  it('are told by their length where a list is too short or too long', async () => {
    const { body } = await send(setup(), 'POST', '/access', { reads: [] })
    assertEquals(body.detail, "reads is 'a list of 0', expected a list of 1 to 10000 reads")
  })
})
