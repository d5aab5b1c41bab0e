import { describe, it } from 'node:test'
import { assertEquals, assertRejects } from '@std/assert'
import type { HttpOptions } from '../../src/config/define.ts'
import { PrewarmError } from '../../src/errors.ts'
import { HttpOrigin } from '../../src/origin/http.ts'
import type { ReadOptions, ReadResult } from '../../src/origin/types.ts'
import { FakeClock } from '../fakes/clock.ts'
import { type Answer, chunked, FakeFetch, json } from '../fakes/fetch.ts'
import { httpTask, keys } from '../fakes/tasks.ts'

const traceId = '4bf92f3577b34da6a3ce929d0e0e4736'

/** An HTTP origin with everything around it. */
function originOf(options: Partial<HttpOptions> = {}) {
  const clock = new FakeClock()
  const fake = new FakeFetch()
  const abort = new AbortController()
  const edges = {
    fetch: fake.fetch,
    sleep: (ms: number, signal: AbortSignal) => clock.sleep(ms, signal),
    nowMs: () => clock.nowMs(),
  }
  const origin = new HttpOrigin(httpTask(options), edges)
  const read = (wanted: readonly string[], more: Partial<ReadOptions> = {}): Promise<ReadResult> => {
    const bounds = { timeoutMs: 60_000, signal: abort.signal, requestIntervalMs: 0 }
    return origin.read({ kind: 'keys', keys: wanted }, { params: {}, traceId, ...bounds, ...more })
  }
  return { clock, fake, abort, origin, read }
}

/** How one key fares when the server answers so: its value, or its failure's code and whether another try can help. */
async function fate(answer: Answer, options: Partial<HttpOptions> = {}, timeoutMs = 60_000): Promise<unknown[]> {
  const { fake, read } = originOf(options)
  fake.answer = () => answer
  const { records, failures } = await read(['k:1'], { timeoutMs })
  assertEquals(records.length + failures.length, 1)
  const [failed] = failures
  if (failed === undefined) return [records[0]?.value]
  assertEquals([failed.key, failed.failure.key], ['k:1', 'k:1'])
  return [failed.failure.code, failed.retryable]
}

const status = (code: number) => new Response(null, { status: code })
const document = { data: { rate: 1.5, 'a/b': 1, 'm~n': 2, '~1': 4, list: [7, 8], '': 3, none: null } }

/** An answer, the task's options, and the fate of the key. */
const FATES: [string, () => Answer, Partial<HttpOptions>, unknown[]][] = [
  ['takes the whole answer', () => json({ a: 1 }), {}, [{ a: 1 }]],
  ['takes text as it is for a string', () => new Response('{"a":1}'), { value: 'string' }, ['{"a":1}']],
  ['has no value for 404', () => status(404), {}, ['ORIGIN_NO_VALUE', false]],
  ['has no value for 410', () => status(410), {}, ['ORIGIN_NO_VALUE', false]],
  ['has no value for 204', () => status(204), {}, ['ORIGIN_NO_VALUE', false]],
  ['has no value for null', () => json(null), {}, ['ORIGIN_NO_VALUE', false]],
  ['may try 500 again', () => status(500), {}, ['ORIGIN_FAILED', true]],
  ['may try 503 again', () => status(503), {}, ['ORIGIN_FAILED', true]],
  ['may try 429 again', () => status(429), {}, ['ORIGIN_FAILED', true]],
  ['leaves 400 alone', () => status(400), {}, ['ORIGIN_FAILED', false]],
  ['leaves 403 alone', () => status(403), {}, ['ORIGIN_FAILED', false]],
  ['may try a lost connection again', () => new TypeError('fetch failed'), {}, ['ORIGIN_UNREACHABLE', true]],
  ['refuses what is not JSON', () => new Response('<html>'), {}, ['VALUE_INVALID', false]],
  ['refuses an empty answer', () => new Response(''), {}, ['VALUE_INVALID', false]],
  ['takes a body up to maxBytes', () => chunked(4), { maxBytes: 4096, value: 'string' }, [' '.repeat(4096)]],
  ['refuses a body above maxBytes', () => chunked(5), { maxBytes: 4096, value: 'string' }, ['VALUE_INVALID', false]],
  ['follows a pointer', () => json(document), { pointer: '/data/rate' }, [1.5]],
  ['follows a pointer into a list', () => json(document), { pointer: '/data/list/1' }, [8]],
  ['reads ~1 in a pointer as /', () => json(document), { pointer: '/data/a~1b' }, [1]],
  ['reads ~0 in a pointer as ~', () => json(document), { pointer: '/data/m~0n' }, [2]],
  ['reads ~01 in a pointer as ~1', () => json(document), { pointer: '/data/~01' }, [4]],
  ['follows a pointer to an empty name', () => json(document), { pointer: '/data/' }, [3]],
  ['follows a pointer for a string', () => json({ a: 'x' }), { pointer: '/a', value: 'string' }, ['x']],
  ['has no value for a pointer to null', () => json(document), { pointer: '/data/none' }, ['ORIGIN_NO_VALUE', false]],
  ['refuses a pointer to nothing', () => json(document), { pointer: '/data/x' }, ['VALUE_INVALID', false]],
  ['refuses a pointer beyond a number', () => json(document), { pointer: '/data/rate/x' }, ['VALUE_INVALID', false]],
  ['follows no pointer to what JSON has not', () => json({}), { pointer: '/toString' }, ['VALUE_INVALID', false]],
  ['keeps the columns that are wanted', () => json({ a: 1, b: 2 }), { columns: ['b', 'c'] }, [{ b: 2 }]],
  ['takes one column', () => json({ a: 'x', b: 2 }), { value: { column: 'a' } }, ['x']],
]

describe('HttpOrigin', () => {
  for (const [what, answer, options, expected] of FATES)
    it(`read ${what}`, async () => assertEquals(await fate(answer(), options), expected))

  it('read bounds each request in time, and may try it again', async () => {
    assertEquals(await fate('never', {}, 2), ['ORIGIN_TIMEOUT', true])
  })

  it('read aborts the request that took too long', async () => {
    const { fake, read } = originOf()
    fake.answer = (url) => (url.endsWith('/1') ? 'never' : json('x'))
    const { records, failures } = await read(['k:1', 'k:2'], { timeoutMs: 2 })
    assertEquals([fake.requests[0]?.signal.aborted, fake.requests[1]?.signal.aborted], [true, false])
    assertEquals([records[0]?.key, failures[0]?.key], ['k:2', 'k:1'])
  })

  it('read refuses a body that says it is too large before reading it, and cancels what it does not want', async () => {
    const { fake, read } = originOf({ maxBytes: 2000 })
    let cancelled = 0
    for (const length of ['1000000', null]) {
      const response = chunked(1000, () => cancelled++)
      if (length !== null) response.headers.set('content-length', length)
      fake.answer = () => response
      assertEquals((await read(['k:1'])).failures[0]?.failure.code, 'VALUE_INVALID')
    }
    assertEquals(cancelled, 2)
  })

  it('read asks for one key after the other, and counts its requests', async () => {
    const { fake, read } = originOf()
    let open = 0
    let most = 0
    fake.answer = async (url) => {
      most = Math.max(most, ++open)
      await Promise.resolve()
      open--
      return url.endsWith('/2') ? status(500) : json(url)
    }
    const { records, failures, requests, done } = await read(keys(4))
    assertEquals([most, requests, done, failures.length], [1, 4, true, 1])
    assertEquals(
      records.map(({ key, value }) => [key, value]),
      [1, 3, 4].map((id) => [`k:${id}`, `https://origin.example/${id}`]),
    )
  })

  it('read spaces its requests, counting the time that each took', async () => {
    const { clock, fake, read } = originOf()
    const at: number[] = []
    fake.answer = async (url) => {
      at.push(clock.elapsedMs)
      await clock.sleep(url.endsWith('/2') ? 130 : 30)
      return json('x')
    }
    await clock.until(read(keys(4), { requestIntervalMs: 50 }))
    assertEquals(at, [0, 50, 180, 230])
  })

  it('read that is cancelled asks for nothing more, at whatever moment', async () => {
    const pausing = originOf()
    const reading = pausing.read(keys(3), { requestIntervalMs: 1000 })
    await pausing.clock.advance(500)
    pausing.abort.abort()
    assertEquals((await assertRejects(() => reading, PrewarmError)).code, 'JOB_CANCELLED')
    assertEquals([pausing.fake.requests.length, pausing.clock.pending], [1, 0])

    const asking = originOf()
    asking.fake.answer = () => {
      asking.abort.abort()
      return 'never'
    }
    assertEquals((await assertRejects(() => asking.read(keys(3)), PrewarmError)).code, 'JOB_CANCELLED')
    assertEquals([asking.fake.requests.length, asking.fake.requests[0]?.signal.aborted], [1, true])
  })

  it('read refuses work that is not a list of keys', async () => {
    const { origin } = originOf()
    const range = { kind: 'range', range: { from: null, to: null, limit: null } } as const
    await assertRejects(
      () =>
        origin.read(range, { params: {}, traceId, timeoutMs: 1, requestIntervalMs: 0, signal: AbortSignal.abort() }),
      TypeError,
    )
  })
})
