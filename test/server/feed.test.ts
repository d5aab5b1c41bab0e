import { describe, it } from 'node:test'
import { assertEquals, assertMatch } from '@std/assert'
import { EventLog } from '../../src/events/event-log.ts'
import type { EventType, WarmEvent } from '../../src/events/types.ts'
import { type ALL_TYPES, Feed, type FeedOptions } from '../../src/server/feed.ts'
import { FakeClock } from '../fakes/clock.ts'

const STOP: WarmEvent = { type: 'emergency_stop', by: 'hand', reason: 'a\nb', p95_ms: null, threshold_ms: 1 }
const FIRED: WarmEvent = { type: 'schedule_fired', schedule: 'daily', job_id: 'j', trace_id: 't' }
const key = (name: string): WarmEvent => {
  return { type: 'key', key: name, task: 'films', status: 'written', duration_ms: 1, job_id: 'j', trace_id: 't' }
}

// Every type that there is: this does not compile when one is missing from the list.
const missing: Exclude<EventType, (typeof ALL_TYPES)[number]>[] = []

function feedOf(options: Partial<FeedOptions> = {}, capacity?: number) {
  const clock = new FakeClock()
  const events = new EventLog({ clock, ...(capacity === undefined ? {} : { capacity }) })
  const open = (more: Partial<FeedOptions> = {}) =>
    new Feed({ events, clock, random: () => 0.5, keySample: 1, ...options, ...more })
  return { clock, events, open }
}

/** Ids and types of the events in a text, in order. */
const namesIn = (text: string | null) => [...(text ?? '').matchAll(/^event: (\w+)$/gm)].map(([, name]) => name)
const idsIn = (text: string | null) => [...(text ?? '').matchAll(/^id: (\d+)$/gm)].map(([, id]) => Number(id))

describe('Feed', () => {
  it('knows every type of event', () => assertEquals(missing, []))

  it('tells an event in the form of SSE, on one line', async () => {
    const { events, open } = feedOf()
    const feed = open()
    assertEquals(await feed.next(), 'retry: 3000\n\n')
    events.emit(STOP)
    const text = (await feed.next()) as string
    assertMatch(text, /^id: 1\nevent: emergency_stop\ndata: \{.*\}\n\n$/)
    const data = JSON.parse((/^data: (.*)$/m.exec(text) as RegExpExecArray)[1] as string)
    assertEquals(data, { ...STOP, at: '2023-11-14T22:13:20.000Z' })
  })

  it('sends a heartbeat every 4 s, and nothing waits after it', async () => {
    const { clock, events, open } = feedOf()
    const feed = open()
    await feed.next()
    for (let round = 0; round < 3; round++) {
      assertEquals(await clock.until(feed.next(), 4000), ': heartbeat\n\n')
    }
    assertEquals(clock.elapsedMs, 12_000)
    const next = feed.next()
    events.emit(FIRED)
    assertEquals([namesIn(await next), clock.pending], [['schedule_fired'], 0])
  })

  it('tells only the wanted types', async () => {
    const { events, open } = feedOf()
    const feed = open({ types: ['schedule_fired'] })
    for (const event of [STOP, FIRED, key('film:1')]) events.emit(event)
    assertEquals(namesIn(await feed.next()), ['schedule_fired'])
  })

  it('samples events of keys, and no others', async () => {
    let rolled = 0
    const { events, open } = feedOf({ random: () => (rolled++ % 10) / 10 })
    const feed = open({ keySample: 0.3 })
    events.emit(STOP)
    for (let index = 0; index < 20; index++) events.emit(key(`film:${index}`))
    assertEquals(namesIn(await feed.next()), ['emergency_stop', ...Array(6).fill('key')])
  })

  it('does not even listen for keys where none are wanted: they need not be built', () => {
    const { events, open } = feedOf()
    const feed = open({ keySample: 0 })
    assertEquals([events.isHeard('key'), events.isHeard('batch')], [false, true])
    feed.close()
    assertEquals(events.isHeard('batch'), false)
  })

  it('resumes after the last event that the client has', async () => {
    const { events, open } = feedOf()
    for (let index = 0; index < 5; index++) events.emit(FIRED)
    const text = await open({ lastId: 3 }).next()
    assertEquals(
      [idsIn(text), namesIn(text)],
      [
        [4, 5],
        ['schedule_fired', 'schedule_fired'],
      ],
    )
    const begin = await open().next()
    assertEquals(idsIn(begin), [])
  })

  it('says that there is a gap', async () => {
    const { events, open } = feedOf({}, 2)
    for (let index = 0; index < 9; index++) events.emit(FIRED)
    const text = await open({ lastId: 3 }).next()
    assertEquals([namesIn(text)[0], idsIn(text)], ['gap', [8, 9]])
    assertMatch(text as string, /data: \{"last_event_id":3,"next_event_id":8\}/)
    assertEquals(namesIn(await open({ lastId: 99 }).next())[0], 'gap')
  })

  it('resumes with the wanted types only', async () => {
    const { events, open } = feedOf()
    for (const event of [STOP, FIRED]) events.emit(event)
    assertEquals(namesIn(await open({ lastId: 0, types: ['schedule_fired'] }).next()), ['schedule_fired'])
  })

  it('drops a client that falls behind, tells it so, and keeps nothing for it', async () => {
    const { clock, events, open } = feedOf()
    const feed = open({ capacity: 10 })
    let isCutOff = false
    feed.onStall = () => {
      isCutOff = true
    }
    await feed.next()
    for (let index = 0; index < 10; index++) events.emit(FIRED)
    assertEquals(events.isHeard('batch'), true)
    events.emit(FIRED)
    assertEquals(events.isHeard('batch'), false)
    await clock.advance(9999)
    assertEquals(isCutOff, false)
    await clock.advance(1)
    assertEquals(isCutOff, true)
    assertEquals(await feed.next(), 'event: lagged\ndata: {"capacity":10}\n\n')
    assertEquals(await feed.next(), null)
  })

  it('ends at once when it is closed, leaving no timer', async () => {
    const { clock, events, open } = feedOf()
    const feed = open()
    await feed.next()
    const next = feed.next()
    feed.close()
    feed.close()
    assertEquals([await next, clock.pending, events.isHeard('batch')], [null, 0, false])
    const lagging = open({ capacity: 1 })
    events.emit(FIRED)
    lagging.close()
    assertEquals(clock.pending, 0)
  })
})
