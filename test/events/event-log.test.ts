import { describe, it } from 'node:test'
import { assert, assertEquals } from '@std/assert'
import { EventLog } from '../../src/events/event-log.ts'
import { KeyBudget } from '../../src/events/key-budget.ts'
import type { WarmEvent } from '../../src/events/types.ts'
import { FakeClock } from '../fakes/clock.ts'

const resumed: WarmEvent = { type: 'emergency_resume', by: 'hand' }
const changed: WarmEvent = { type: 'config_changed', changes: {} }

function logOf(capacity?: number) {
  const errors: unknown[] = []
  const clock = new FakeClock(0)
  const onError = (error: unknown) => errors.push(error)
  return { clock, errors, log: new EventLog({ clock, onError, ...(capacity === undefined ? {} : { capacity }) }) }
}

describe('EventLog', () => {
  it('emit gives each event the next number and the time, and tells every subscriber', () => {
    const { clock, log } = logOf()
    const heard: string[] = []
    log.subscribe(({ id, at, event }) => heard.push(`${id} ${at} ${event.type}`))
    log.emit(resumed)
    clock.tick(1500)
    log.emit(changed)
    assertEquals(heard, ['1 1970-01-01T00:00:00.000Z emergency_resume', '2 1970-01-01T00:00:01.500Z config_changed'])
    assertEquals(log.lastId, 2)
  })

  it('on and types tell only of what is wanted, until they are ended', () => {
    const { log } = logOf()
    const heard: string[] = []
    const end = log.on('emergency_resume', ({ by }) => heard.push(by))
    log.subscribe(({ event }) => heard.push(event.type), { types: ['config_changed'] })
    log.emit(resumed)
    log.emit(changed)
    end()
    end()
    log.emit(resumed)
    assertEquals(heard, ['hand', 'config_changed'])
  })

  it('isHeard says whether anybody wants events of a type', () => {
    const { log } = logOf()
    assert(!log.isHeard('key'))
    const ends = [log.on('job_ended', () => {}), log.subscribe(() => {}, { types: ['key'] })]
    assertEquals([log.isHeard('key'), log.isHeard('batch')], [true, false])
    ends.push(log.subscribe(() => {}))
    assert(log.isHeard('batch'))
    for (const end of ends) end()
    assert(!log.isHeard('key'))
  })

  it('a listener that throws harms neither the others nor who emits', () => {
    const { log, errors } = logOf()
    const heard: number[] = []
    log.subscribe(() => {
      throw new Error('mine')
    })
    log.subscribe(({ id }) => heard.push(id))
    log.emit(resumed)
    assertEquals([heard, errors.length], [[1], 1])
  })

  it('a listener that ends itself or begins another while it is told disturbs nobody', () => {
    const { log } = logOf()
    const heard: string[] = []
    const end = log.subscribe(() => {
      heard.push('first')
      end()
      log.subscribe(() => heard.push('late'))
    })
    log.subscribe(() => heard.push('second'))
    log.emit(resumed)
    log.emit(resumed)
    assertEquals(heard, ['first', 'second', 'second', 'late'])
  })

  it('since gives what came after, and says when something is gone', () => {
    const { log } = logOf(10)
    assertEquals(log.since(0), { events: [], gap: false })
    for (let count = 0; count < 35; count++) log.emit(resumed)
    const ids = (id: number) => log.since(id).events.map((logged) => logged.id)
    assertEquals([ids(33), log.since(33).gap], [[34, 35], false])
    assertEquals([ids(25).length, log.since(25).gap], [10, false])
    assertEquals([ids(24).length, log.since(24).gap], [10, true])
    assertEquals([ids(35), log.since(35).gap], [[], false])
    // An id of another process.
    assertEquals([ids(900).length, log.since(900).gap], [10, true])
  })
})

describe('KeyBudget', () => {
  it('take grants as many a second as it was given, and saves up no more than that', () => {
    const clock = new FakeClock()
    const budget = new KeyBudget(100, clock)
    assertEquals([budget.take(60), budget.take(60), budget.take(60)], [60, 40, 0])
    clock.tick(250)
    assertEquals(budget.take(60), 25)
    clock.tick(60_000)
    assertEquals(budget.take(1000), 100)
  })

  it('a budget of 0 grants nothing', () => {
    const clock = new FakeClock()
    const budget = new KeyBudget(0, clock)
    clock.tick(60_000)
    assertEquals(budget.take(5), 0)
  })
})
