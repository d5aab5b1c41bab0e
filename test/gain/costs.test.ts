import { describe, it } from 'node:test'
import { assertAlmostEquals, assertEquals, assertRejects } from '@std/assert'
import { ADD_COST, COST_HALF_LIFE_MS, CostMeter, type Measured } from '../../src/gain/costs.ts'
import { GainLog } from '../../src/gain/gain-log.ts'
import { noKeys } from '../../src/job/tally.ts'
import { FakeClock } from '../fakes/clock.ts'
import { FakeCommands } from '../fakes/commands.ts'

/** A batch of keys of which each took so long; in ms. */
function batch(keys: number, eachMs: number, over: Partial<Measured> = {}): Measured {
  return { keys: { ...noKeys(), planned: keys, written: keys }, retryKeys: [], readNs: keys * eachMs * 1e6, ...over }
}

function setup({ readers = true } = {}) {
  const clock = new FakeClock()
  const told: string[][] = []
  const hash = new Map<string, string>()
  const state = { readers }
  const commands = new FakeCommands()
    .onScript(ADD_COST, (_keys, args) => {
      if (!state.readers) return 0
      told.push([...args])
      return 1
    })
    .on('HGETALL', () => [...hash].flat())
  const errors: unknown[] = []
  const meter = new CostMeter({ commands, clock, onError: (error) => errors.push(error) })
  return { clock, commands, meter, told, hash, errors, state }
}

describe('CostMeter', () => {
  it('is the mean over keys, not over batches', async () => {
    const { meter } = setup()
    meter.add('films', batch(90, 1, { bytesPerKey: 100 }))
    meter.add('films', batch(10, 11))
    meter.add('users', batch(1, 7))
    assertEquals(
      [...(await meter.read())],
      [
        ['films', { loadMs: 2, bytes: 100, keys: 100 }],
        ['users', { loadMs: 7, bytes: null, keys: 1 }],
      ],
    )
  })

  it('leaves out keys that could not be loaded, with their time', async () => {
    const { meter } = setup()
    meter.add(
      'films',
      batch(100, 4, { keys: { ...noKeys(), planned: 80, written: 60, failed: 20 }, retryKeys: Array(20).fill('k') }),
    )
    meter.add('none', batch(10, 1, { keys: { ...noKeys(), planned: 10, failed: 10 } }))
    assertEquals([...(await meter.read())], [['films', { loadMs: 4, bytes: null, keys: 60 }]])
  })

  it('counts what is an hour old half', async () => {
    const { meter, clock } = setup()
    meter.add('films', batch(100, 1))
    await clock.advance(COST_HALF_LIFE_MS)
    meter.add('films', batch(50, 4))
    const { loadMs, keys } = (await meter.read()).get('films') ?? {}
    assertAlmostEquals(loadMs as number, 2.5, 1e-9)
    assertEquals(keys, 100)
  })

  it('adds what Redis knows to what it was not told', async () => {
    const { meter, hash, clock, told } = setup()
    hash.set('films', JSON.stringify({ ms: 300, keys: 100, bytes: 5000, sized: 50, at_ms: clock.nowMs() }))
    hash.set('broken', '{')
    hash.set('older', '{"ms":1}')
    meter.add('films', batch(100, 1))
    assertEquals([...(await meter.read())], [['films', { loadMs: 2, bytes: 100, keys: 200 }]])
    await meter.send()
    assertEquals(
      told.map(([, , , task, ms, keys]) => [task, ms, keys]),
      [['films', '100', '100']],
    )
    // Once it was told, it is Redis' to say.
    assertEquals((await meter.read()).get('films')?.keys, 100)
  })

  it('keeps what it cannot tell', async () => {
    const { meter, commands, told, state } = setup({ readers: false })
    meter.add('films', batch(10, 1))
    await meter.send()
    state.readers = true
    commands.isDown = true
    await assertRejects(() => meter.send())
    commands.isDown = false
    await meter.send()
    await meter.send()
    assertEquals(
      told.map(([, , , task, ms, keys]) => [task, ms, keys]),
      [['films', '10', '10']],
    )
  })

  it('answers with what it measured while Redis is away, and asks it every ten seconds at most', async () => {
    const { meter, commands, errors, clock } = setup()
    commands.isDown = true
    meter.add('films', batch(10, 1))
    assertEquals((await meter.read()).get('films')?.loadMs, 1)
    assertEquals(errors.length, 1)
    await meter.read()
    assertEquals(commands.calls.length, 1)
    await clock.advance(10_000)
    await meter.read()
    assertEquals(commands.calls.length, 2)
  })

  it('is told with the flush of the gain log', async () => {
    const { commands, clock, told } = setup()
    const log = new GainLog({ commands, clock })
    log.costs.add('films', batch(10, 1))
    await log.flush()
    assertEquals(told.length, 1)
  })
})
