import { describe, it } from 'node:test'
import { assertEquals } from '@std/assert'
import { HttpOrigin } from '../../src/origin/http.ts'
import { FakeClock } from '../fakes/clock.ts'
import { type Answer, FakeFetch, json } from '../fakes/fetch.ts'
import { httpTask, keys } from '../fakes/tasks.ts'

const traceId = '4bf92f3577b34da6a3ce929d0e0e4736'
const busy = (status: number, retryAfter?: string) =>
  new Response('busy', { status, headers: retryAfter === undefined ? {} : { 'retry-after': retryAfter } })

/** Reads five keys, of which the third gets `answer`. */
async function readFive(answer: (clock: FakeClock) => Answer, requestIntervalMs = 0) {
  const clock = new FakeClock()
  const fake = new FakeFetch()
  fake.answer = async (url) => {
    await clock.sleep(7)
    return url.endsWith('/3') ? answer(clock) : json('x')
  }
  const edges = { fetch: fake.fetch, sleep: (ms: number) => clock.sleep(ms), nowMs: () => clock.nowMs() }
  const bounds = { params: {}, timeoutMs: 60_000, requestIntervalMs, signal: new AbortController().signal, traceId }
  const reading = new HttpOrigin(httpTask({}), edges).read({ kind: 'keys', keys: keys(5) }, bounds)
  return { ...(await clock.until(reading)), asked: fake.requests.length }
}

describe('HttpOrigin, Retry-After', () => {
  for (const status of [429, 503]) {
    it(`read leaves the rest unasked after a ${status} that says how long to wait`, async () => {
      const { records, failures, requests, asked } = await readFive(() => busy(status, '20'))
      assertEquals([records.map(({ key }) => key), requests, asked], [['k:1', 'k:2'], 3, 3])
      assertEquals(
        failures.map(({ key, retryable, retryAfterMs, failure }) => [key, retryable, retryAfterMs, failure.key]),
        ['k:3', 'k:4', 'k:5'].map((key) => [key, true, 20_000, key]),
      )
      for (const { failure } of failures) {
        assertEquals([failure.code, failure.detail], ['ORIGIN_FAILED', String(status)])
        assertEquals(failure.message, `https://origin.example/3 answered ${status} and asks to wait 20 s`)
      }
    })
  }

  it('read takes a date too, by its own wall clock', async () => {
    const { failures } = await readFive((clock) =>
      busy(429, new Date(Math.ceil(clock.nowMs() / 1000) * 1000 + 30_000).toUTCString()),
    )
    // Two answers of 7 ms and the third have passed since a full second.
    assertEquals(failures[0]?.retryAfterMs, 31_000 - 21)
  })

  it('read asks on after an answer that does not say how long to wait, or is no matter of patience', async () => {
    for (const answer of [busy(429), busy(503, 'soon'), busy(429, '0'), busy(500, '20'), busy(403, '20')]) {
      const { failures, requests } = await readFive(() => answer)
      assertEquals([failures.length, failures[0]?.key, failures[0]?.retryAfterMs, requests], [1, 'k:3', undefined, 5])
    }
  })

  it('read tells how long it paused between its requests', async () => {
    assertEquals((await readFive(() => json('x'))).pausedMs, 0)
    assertEquals((await readFive(() => json('x'), 50)).pausedMs, 4 * 43)
  })

  it('read gives each request a span of its own', async () => {
    const fake = new FakeFetch()
    const read = async (fill?: number) => {
      const randomBytes = (bytes: Uint8Array<ArrayBuffer>) => bytes.fill(fill as number)
      const edges = { fetch: fake.fetch, sleep: async () => {}, nowMs: () => 0 }
      const origin = new HttpOrigin(httpTask({}), fill === undefined ? edges : { ...edges, randomBytes })
      const bounds = { params: {}, timeoutMs: 1000, requestIntervalMs: 0, signal: new AbortController().signal }
      await origin.read({ kind: 'keys', keys: keys(2) }, { ...bounds, traceId })
      return fake.requests.splice(0).map(({ headers }) => headers.get('traceparent'))
    }
    assertEquals(await read(0xab), Array(2).fill(`00-${traceId}-abababababababab-01`))
    // W3C: a span of zeros is invalid.
    assertEquals((await read(0))[0], `00-${traceId}-0000000000000001-01`)
    const spans = [...(await read()), ...(await read())].map(
      (one) => /^00-\w{32}-([0-9a-f]{16})-01$/.exec(one ?? '')?.[1],
    )
    assertEquals(new Set(spans).size, 4)
    assertEquals(spans.includes(traceId.slice(0, 16)), false)
  })
})
