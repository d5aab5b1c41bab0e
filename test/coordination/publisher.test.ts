import { describe, it } from 'node:test'
import { assertEquals } from '@std/assert'
import { EVENTS_CHANNEL, publishEvents } from '../../src/coordination/publisher.ts'
import type { Script } from '../../src/coordination/types.ts'
import { EventLog } from '../../src/events/event-log.ts'
import { FakeClock, turn } from '../fakes/clock.ts'
import { FakeCommands } from '../fakes/commands.ts'

/** {@linkcode FakeCommands} that carry out the only script there is: a publishing one. */
class Channel extends FakeCommands {
  readonly heard: { id: number }[] = []
  readonly batches: number[] = []

  override async script(script: Script, keys: readonly string[], args: readonly (string | number)[]) {
    this.onScript(script, ([channel], messages) => {
      assertEquals(channel, EVENTS_CHANNEL)
      this.batches.push(messages.length)
      this.heard.push(...messages.map((message) => JSON.parse(message)))
    })
    return super.script(script, keys, args)
  }
}

function start() {
  const clock = new FakeClock()
  const events = new EventLog({ clock })
  const commands = new Channel()
  const dropped: number[] = []
  const stop = publishEvents({ events, commands, clock, instance: 'i', onDropped: (total) => dropped.push(total) })
  const emit = (count: number) => {
    for (let at = 0; at < count; at++) events.emit({ type: 'emergency_resume', by: 'hand' })
  }
  const ids = () => commands.heard.map(({ id }) => id)
  return { clock, events, commands, dropped, stop, emit, ids }
}

const range = (from: number, to: number) => Array.from({ length: to - from + 1 }, (_, at) => from + at)

describe('publishEvents', () => {
  it('publishes each event once, in order, in batches', async () => {
    const { commands, emit, ids } = start()
    emit(250)
    await turn()
    emit(1)
    await turn()
    assertEquals([ids(), commands.batches], [range(1, 251), [100, 100, 50, 1]])
  })

  it('publishes the event with its id, its time and its instance', async () => {
    const { clock, commands, events } = start()
    events.emit({ type: 'schedule_skipped', schedule: 'daily', reason: 'locked', holder: 'other' })
    await turn()
    assertEquals(commands.heard, [
      {
        ...{ id: 1, at: new Date(clock.nowMs()).toISOString(), instance: 'i', type: 'schedule_skipped' },
        ...{ schedule: 'daily', reason: 'locked', holder: 'other' },
      },
    ])
  })

  it('keeps 1000 events while Redis is away, drops the oldest, and says how many', async () => {
    const { clock, commands, emit, ids, dropped } = start()
    commands.isDown = true
    emit(600)
    await clock.advance(10_000)
    emit(700)
    await turn()
    assertEquals(dropped.at(-1), 300)
    commands.isDown = false
    await clock.advance(1000)
    assertEquals(ids(), range(301, 1300))
  })

  it('keeps its bound also for what is on its way when Redis goes', async () => {
    const { clock, commands, emit, ids, dropped } = start()
    commands.onCall = () => clock.sleep(1000)
    commands.isDown = true
    emit(1)
    await turn()
    emit(1000)
    await clock.advance(1000)
    assertEquals(dropped, [1])
    commands.isDown = false
    commands.onCall = () => {}
    await clock.advance(1000)
    assertEquals(ids(), range(2, 1001))
  })

  it('stop sends what waits, leaves no timer, and hears nothing more', async () => {
    const { clock, emit, ids, stop } = start()
    emit(250)
    await Promise.all([stop(), stop()])
    emit(1)
    await clock.advance(5000)
    assertEquals([ids(), clock.pending], [range(1, 250), 0])
  })

  it('stop tries once more when Redis was away, and gives up after 1 s when it does not answer', async () => {
    const away = start()
    away.commands.isDown = true
    away.emit(3)
    await turn()
    away.commands.isDown = false
    await away.stop()
    assertEquals([away.ids(), away.clock.pending], [[1, 2, 3], 0])

    const { clock, commands, emit, stop } = start()
    commands.onCall = () => new Promise(() => {})
    emit(3)
    let isStopped = false
    void stop().then(() => {
      isStopped = true
    })
    await clock.advance(999)
    assertEquals(isStopped, false)
    await clock.advance(1)
    assertEquals([isStopped, clock.pending], [true, 0])
  })
})
