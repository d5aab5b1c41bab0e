/** The event stream over a real socket: servers close silent connections, Bun after ten seconds. */
import { describe, it } from 'node:test'
import { assert, assertEquals } from '@std/assert'
import { systemClock } from '../../src/clock.ts'
import type { WarmEvent } from '../../src/events/types.ts'
import { setup } from '../server/support.ts'

const FIRED: WarmEvent = { type: 'schedule_fired', schedule: 'daily', job_id: 'j', trace_id: 't' }
const IDLE_MS = 12_000

describe('GET /warm/events over a socket', () => {
  it('survives a time in which nothing happens, and frees everything when the client leaves', {
    timeout: 60_000,
  }, async () => {
    const clock = systemClock(Bun.nanoseconds)
    const { app, warmer } = setup({ clock })
    // As it is by default, with nothing done about idle connections.
    const server = Bun.serve({
      hostname: '127.0.0.1',
      port: 0,
      idleTimeout: 10,
      fetch: (request) => app.fetch(request),
    })
    try {
      const leave = new AbortController()
      const response = await fetch(`${server.url}warm/events`, { signal: leave.signal })
      const reader = (response.body as ReadableStream<Uint8Array>).getReader()
      let text = ''
      const reading = (async () => {
        while (!text.includes('schedule_fired')) {
          const { done, value } = await reader.read()
          if (done) return
          text += new TextDecoder().decode(value)
        }
      })()
      await clock.sleep(IDLE_MS)
      warmer.events.emit(FIRED)
      await reading
      assert((text.match(/^: heartbeat$/gm) ?? []).length >= 2, text)
      assert(text.includes('event: schedule_fired'), text)
      leave.abort()
      while (warmer.events.isHeard('batch')) await clock.sleep(20)
      assertEquals(warmer.events.isHeard('key'), false)
    } finally {
      await server.stop(true)
    }
  })
})
