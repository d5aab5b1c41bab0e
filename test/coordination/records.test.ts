import { describe, it } from 'node:test'
import { assert, assertEquals, assertRejects } from '@std/assert'
import { RedisJobLog } from '../../src/coordination/job-log.ts'
import { BEGIN } from '../../src/coordination/job-log-scripts.ts'
import { RedisScheduleStore } from '../../src/coordination/schedule-store.ts'
import { RedisSharedRate } from '../../src/coordination/shared-rate.ts'
import type { Script } from '../../src/coordination/types.ts'
import { PrewarmError } from '../../src/errors.ts'
import { jobRecord } from '../contract/job-log.contract.ts'
import { FakeClock } from '../fakes/clock.ts'
import { FakeCommands } from '../fakes/commands.ts'

function start() {
  const clock = new FakeClock()
  const commands = new FakeCommands().on('SET', () => 'OK')
  const errors: unknown[] = []
  const log = new RedisJobLog({ commands, clock, instance: 'i', onError: (error) => errors.push(error) })
  return { clock, commands, errors, log }
}

/** Whatever script comes. */
function replying(commands: FakeCommands, reply: () => Promise<unknown>): FakeCommands {
  commands.script = (_script: Script) => reply()
  return commands
}

describe('RedisJobLog', () => {
  it('begin and end do not throw when Redis is away; list, get and adopt do', async () => {
    const { commands, errors, log } = start()
    commands.isDown = true
    await log.begin(jobRecord('a'))
    await log.end(jobRecord('a'))
    assertEquals(
      errors.map((error) => (error as PrewarmError).code),
      ['STORE_UNREACHABLE', 'STORE_UNREACHABLE'],
    )
    for (const work of [() => log.list(), () => log.get('a'), () => log.adopt()])
      assertEquals((await assertRejects(work, PrewarmError)).code, 'STORE_UNREACHABLE')
  })

  it('what could not be noted is noted with the next heartbeat that gets through, in its order', async () => {
    const { clock, commands, errors, log } = start()
    const noted: string[] = []
    let isAway = true
    commands.script = async (script, _keys, args) => {
      if (isAway) throw new PrewarmError('STORE_UNREACHABLE', 'away')
      noted.push(`${script === BEGIN ? 'begin' : 'end'} ${args[0]}`)
    }
    await log.start()
    await log.begin(jobRecord('a'))
    await log.begin(jobRecord('b'))
    await log.end(jobRecord('a'))
    await clock.advance(20_000)
    assertEquals(noted, [])
    assert(errors.length >= 3)
    isAway = false
    await clock.advance(5000)
    assertEquals(noted, ['begin a', 'begin b', 'end a'])
    await log.end(jobRecord('b'))
    await clock.advance(20_000)
    assertEquals(noted.slice(3), ['end b'])
    await log.stop()
    assertEquals(clock.pending, 0)
  })

  it('what Redis refuses holds nothing else up, and memory is bounded while it is away', async () => {
    const { commands, errors, log } = start()
    const noted: unknown[] = []
    commands.script = async (_script, _keys, args) => {
      if (args[0] === 'bad') throw new PrewarmError('STORE_REFUSED', 'OOM')
      noted.push(args[0])
    }
    await Promise.all([log.begin(jobRecord('bad')), log.begin(jobRecord('good'))])
    assertEquals([noted, errors.length], [['good'], 1])
    commands.script = async () => {
      throw new PrewarmError('STORE_UNREACHABLE', 'away')
    }
    for (let at = 0; at < 1000; at++) await log.begin(jobRecord(`j${at}`))
    const late: unknown[] = []
    commands.script = async (_script, _keys, args) => void late.push(args[0])
    await log.begin(jobRecord('last'))
    assertEquals([late.length, late.at(-1)], [400, 'last'])
  })

  it('begin does not throw for what can’t be written as JSON', async () => {
    const { errors, log } = start()
    await log.begin(jobRecord('a', { request: { params: { big: 1n } } }))
    assertEquals(errors.length, 1)
  })

  it('start says every 5 s that the instance lives, for 15 s each, and stop ends that', async () => {
    const { clock, commands, errors, log } = start()
    await log.start()
    await log.start()
    await clock.advance(20_000)
    assertEquals(commands.calls.length, 5)
    const [set, key, , px, ttlMs] = commands.calls[0] as string[]
    assertEquals([set, key, px, ttlMs], ['SET', 'prewarm:instance:i', 'PX', '15000'])
    commands.isDown = true
    await clock.advance(10_000)
    assertEquals([errors.length, commands.calls.length], [2, 7])
    await log.stop()
    await log.stop()
    await clock.advance(60_000)
    assertEquals([commands.calls.length, clock.pending], [8, 0])
  })
})

describe('RedisScheduleStore', () => {
  it('tells when Redis is away', async () => {
    const { commands } = start()
    commands.isDown = true
    const store = new RedisScheduleStore({ commands })
    for (const work of [() => store.load(), () => store.remove('a')])
      assertEquals((await assertRejects(work, PrewarmError)).code, 'STORE_UNREACHABLE')
  })
})

describe('RedisSharedRate', () => {
  it('lease gives null when Redis is away, or says nothing within 1 s', async () => {
    const { clock, commands } = start()
    const rate = new RedisSharedRate({ commands, clock, maxRps: () => 10 })
    commands.isDown = true
    assertEquals(await rate.lease(1), null)
    replying(commands, () => new Promise(() => {}))
    let lease: unknown
    void rate.lease(1).then((got) => {
      lease = got
    })
    await clock.advance(999)
    assertEquals(lease, undefined)
    await clock.advance(1)
    assertEquals([lease, clock.pending], [null, 0])
  })

  it('lease asks for a tenth of a second’s worth at most to be saved up, and leaves no timer', async () => {
    const { clock, commands } = start()
    const asked: (readonly (string | number)[])[] = []
    commands.script = async (_script, keys, args) => {
      assertEquals(keys, ['prewarm:origin:rate'])
      asked.push(args)
      return [2, 0]
    }
    for (const rps of [1000, 5]) {
      const rate = new RedisSharedRate({ commands, clock, maxRps: () => rps })
      assertEquals(await rate.lease(7.9), { granted: 2, retryInMs: 0 })
    }
    assertEquals(asked, [
      [1000, 100, 7],
      [5, 1, 7],
    ])
    assert(clock.pending === 0)
  })
})
