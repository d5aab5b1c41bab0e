import { describe, it } from 'node:test'
import { assert, assertEquals } from '@std/assert'
import type { WarmEvent } from '../../src/events/types.ts'
import { turn } from '../fakes/clock.ts'
import { holdAgainst, type Setup, send, setup } from './support.ts'

const FIRED: WarmEvent = { type: 'schedule_fired', schedule: 'daily', job_id: 'j', trace_id: 't' }

/** One client of the stream. */
async function listen({ app }: Setup, query = '', headers: Record<string, string> = {}) {
  const response = await app.request(`/warm/events${query}`, { headers })
  const reader = (response.body as ReadableStream<Uint8Array>).getReader()
  let text = ''
  const until = async (wanted: string) => {
    while (!text.includes(wanted)) {
      const { done, value } = await reader.read()
      if (done) break
      text += new TextDecoder().decode(value)
    }
    return text
  }
  /** To its end. */
  const rest = () => until('\0')
  return { response, until, rest, leave: () => reader.cancel() }
}

const isHeard = (s: Setup) => s.warmer.events.isHeard('batch')

describe('GET /warm/events', () => {
  it('streams what happens, and ends when the server says so', async () => {
    const s = setup()
    const client = await listen(s)
    assertEquals(client.response.headers.get('content-type'), 'text/event-stream')
    await client.until('retry: 3000')
    s.warmer.events.emit(FIRED)
    await client.until('event: schedule_fired')
    s.stop.abort()
    const text = await client.rest()
    holdAgainst('GET', '/warm/events', client.response, text)
    assertEquals([isHeard(s), s.warmer.clock.pending], [false, 0])
    const { status, body } = await send(s, 'GET', '/warm/events')
    assertEquals([status, body.code], [503, 'STOPPED'])
  })

  it('takes heartbeats for what keeps the connection open', async () => {
    const s = setup()
    const client = await listen(s)
    await client.until('retry')
    while (s.warmer.clock.pending === 0) await turn()
    await s.warmer.clock.advance(4000)
    await client.until(': heartbeat')
    await client.leave()
  })

  it('ends with the token that it was opened with, however long that is', async () => {
    const s = setup()
    s.access.expiresAtMs = s.warmer.clock.nowMs() + 6000
    const client = await listen(s)
    await client.until('retry')
    while (s.warmer.clock.pending < 2) await turn()
    await s.warmer.clock.advance(5000)
    await client.until(': heartbeat')
    assertEquals(isHeard(s), true)
    await s.warmer.clock.advance(1000)
    await client.rest()
    assertEquals([isHeard(s), s.warmer.clock.pending], [false, 0])
    // What no timer can hold would fire at once.
    const { clock } = s.warmer
    const [after, asked] = [clock.after.bind(clock), [] as number[]]
    clock.after = (ms, fn) => {
      asked.push(ms)
      return after(ms, fn)
    }
    s.access.expiresAtMs = Number.MAX_VALUE
    const other = await listen(s)
    await other.until('retry')
    while (clock.pending < 2) await turn()
    assertEquals(Math.max(...asked), 2_147_483_647)
    await other.leave()
    while (isHeard(s)) await turn()
    await turn()
    assertEquals(clock.pending, 0)
  })

  it('frees everything when the client leaves', async () => {
    const s = setup()
    const client = await listen(s)
    await client.until('retry')
    assertEquals(isHeard(s), true)
    await client.leave()
    while (isHeard(s)) await turn()
    await turn()
    assertEquals(s.warmer.clock.pending, 0)
  })

  it('resumes by the header that a browser sends, and by the query', async () => {
    const s = setup()
    for (let index = 0; index < 3; index++) s.warmer.events.emit(FIRED)
    for (const client of [
      await listen(s, '', { 'last-event-id': '2' }),
      await listen(s, '?last_event_id=2'),
      // What is asked for wins.
      await listen(s, '?last_event_id=2', { 'last-event-id': '0' }),
    ]) {
      const text = await client.until('id: 3')
      assert(!text.includes('id: 2\n') && !text.includes('gap'), text)
      await client.leave()
    }
    const strange = await listen(s, '', { 'last-event-id': 'of another program' })
    await strange.until('event: gap')
    await strange.leave()
  })

  it('tells only the wanted types', async () => {
    const s = setup()
    const client = await listen(s, '?types=schedule_changed,config_changed&key_sample=0')
    s.warmer.events.emit(FIRED)
    s.warmer.events.emit({ type: 'schedule_changed', schedule: 'daily', change: 'paused' })
    const text = await client.until('schedule_changed')
    assert(!text.includes('schedule_fired'))
    await client.leave()
  })

  for (const query of [
    'types=all',
    'types=',
    'key_sample=2',
    'key_sample=-0.1',
    'last_event_id=-1',
    'last_event_id=x',
    'a=b',
  ])
    it(`refuses ${query}`, async () => {
      const s = setup()
      assertEquals([(await send(s, 'GET', `/warm/events?${query}`)).status, isHeard(s)], [400, false])
    })

  it('lets a hundred in, and the next when one has left', async () => {
    const s = setup()
    const clients = []
    for (let index = 0; index < 100; index++) clients.push(await listen(s))
    const { status, headers, body } = await send(s, 'GET', '/warm/events')
    assertEquals([status, body.code, headers.get('retry-after')], [503, 'NOT_READY', '10'])
    await clients[0]?.leave()
    await turn()
    const late = await listen(s)
    assertEquals(late.response.status, 200)
    s.stop.abort()
    await late.rest()
  })

  it('opens no stream for HEAD', async () => {
    const s = setup()
    for (let index = 0; index < 101; index++) {
      const { status, headers } = await s.app.request('/warm/events', { method: 'HEAD' })
      assertEquals([status, headers.get('content-type')], [200, 'text/event-stream'])
    }
    assertEquals([isHeard(s), s.warmer.clock.pending], [false, 0])
  })

  it('cuts off a client that does not read, and forgets it', async () => {
    const s = setup()
    const client = await listen(s)
    // Not read: what the stream itself takes is little.
    for (let index = 0; index < 3000; index++) {
      s.warmer.events.emit(FIRED)
      if (index % 100 === 0) await turn()
    }
    assertEquals(isHeard(s), false)
    await s.warmer.clock.advance(10_000)
    // Its place is free, though it has neither read nor left.
    for (let index = 0; index < 100; index++) assertEquals((await listen(s)).response.status, 200)
    s.stop.abort()
    const text = await client.rest()
    assert((text.match(/^id: /gm) ?? []).length < 3000)
    assertEquals(s.warmer.clock.pending, 0)
  })
})
