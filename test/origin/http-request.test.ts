import { describe, it } from 'node:test'
import { assert, assertEquals } from '@std/assert'
import type { HttpOptions } from '../../src/config/define.ts'
import { HttpOrigin } from '../../src/origin/http.ts'
import { type Answer, chunked, FakeFetch, json } from '../fakes/fetch.ts'
import { httpTask } from '../fakes/tasks.ts'

const traceId = '4bf92f3577b34da6a3ce929d0e0e4736'

/** What the server was asked for `key`, and what came of it. */
async function ask(options: Partial<HttpOptions>, key = 'k:1', answer: Answer = json('x')) {
  const fake = new FakeFetch()
  fake.answer = () => answer
  const origin = new HttpOrigin(httpTask(options), { fetch: fake.fetch, sleep: async () => {}, nowMs: () => 0 })
  const bounds = { params: {}, timeoutMs: 2, requestIntervalMs: 0, signal: new AbortController().signal }
  const result = await origin.read({ kind: 'keys', keys: [key] }, { traceId, ...bounds })
  const request = fake.requests[0]
  assert(request !== undefined)
  return { ...request, ...result }
}

const SECRET: [string, Answer][] = [
  ['an answer of 500', new Response(null, { status: 500 })],
  ['an answer that is not JSON', new Response('<html>')],
  ['an answer that is too large', chunked(5)],
  ['an answer without what the pointer names', json({})],
  ['no answer in time', 'never'],
  ['no connection', new TypeError('cannot reach https://user:s3cret@origin.example/1')],
]

describe('HttpOrigin, requests', () => {
  it('read fills in the placeholders of its URL, percent-encoded', async () => {
    const two = { key: 'rate:{code}:{day}', url: 'https://h/{day}/{code}?c={code}' }
    assertEquals((await ask(two, 'rate:EUR:2024-01-02')).url, 'https://h/2024-01-02/EUR?c=EUR')
    const { url } = await ask({ key: 'k:{id}' }, 'k:a b&c')
    assertEquals(url, 'https://origin.example/a%20b%26c')
  })

  it('read asks with GET, or with the method that is wanted', async () => {
    assertEquals([(await ask({})).method, (await ask({ method: 'POST' })).method], ['GET', 'POST'])
  })

  it('read tells the trace in W3C form', async () => {
    const { headers } = await ask({})
    assertEquals(/^00-(\w{32})-(\w{16})-01$/.exec(headers.get('traceparent') ?? '')?.[1], traceId)
  })

  it('read asks for JSON, unless the task has headers of its own, in whatever case', async () => {
    assertEquals((await ask({})).headers.get('accept'), 'application/json')
    for (const name of ['accept', 'Accept', 'ACCEPT']) {
      const { headers } = await ask({ headers: { [name]: 'text/csv', 'X-Key': 'k' } })
      assertEquals([headers.get('accept'), headers.get('x-key')], ['text/csv', 'k'])
    }
  })

  for (const [what, answer] of SECRET)
    it(`read tells of ${what} without the URL's password`, async () => {
      const options = { url: 'https://user:s3cret@origin.example/{id}', pointer: '/rate', maxBytes: 4096 }
      const { failures } = await ask(options, 'k:1', answer)
      const { message } = failures[0]?.failure ?? { message: '' }
      assertEquals([message.includes('origin.example/1'), message.includes('s3cret')], [true, false], message)
    })

  it('read names the method that failed', async () => {
    const { failures } = await ask({ method: 'POST' }, 'k:1', 'never')
    assert(failures[0]?.failure.message.startsWith('POST https://origin.example/1 '), failures[0]?.failure.message)
  })

  it('read takes the version from the value, and fails a value alone that has none', async () => {
    const { records } = await ask({ version: 'v' }, 'k:1', json({ v: 12, a: 1 }))
    assertEquals(records, [{ key: 'k:1', value: { v: 12, a: 1 }, version: '12' }])
    const { records: own } = await ask({ version: (value) => value.a }, 'k:1', json({ a: 3 }))
    assertEquals(own[0]?.version, '3')
    const { failures } = await ask({ version: 'v' }, 'k:1', json({ a: 1 }))
    assertEquals([failures[0]?.failure.code, failures[0]?.retryable], ['VERSION_INVALID', false])
  })
})
