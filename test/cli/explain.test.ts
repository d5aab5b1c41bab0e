import { after, before, describe, it } from 'node:test'
import { assert, assertEquals, assertMatch, assertStringIncludes } from '@std/assert'
import { createWarmer } from '../../src/index.ts'
import { type RedisServer, startRedisServer } from '../support/servers.ts'
import { configFile } from '../support/warming.ts'
import { Machine } from './support.ts'

const values = '(keys: string[]) => new Map(keys.map((key) => [key, key]))'
const FILE = configFile(`tasks: {
    films: load({ key: 'film:{id}', select: () => Array.from({ length: 40 }, (_, at) => at + 1), load: ${values} }),
    reviews: load({ key: 'film:{id}:reviews', priority: 2, select: () => [1, 2], load: ${values} }),
    named: load({ key: 'named:{id}', load: ${values} }),
  },
  strategies: { odd: { rank: (keys) => ({ keys: keys.filter((_, at) => at % 2 === 0), priorities: 3 }) } }`)

describe('prewarm plan --explain', () => {
  const machine = new Machine()
  let server: RedisServer
  before(async () => {
    server = await startRedisServer()
    machine.env = { REDIS_URL: server.url }
    const warmer = await createWarmer({ env: {}, file: FILE, workers: 0, redisUrl: server.url })
    await warmer.start()
    const reads = [
      ['film:30', 40],
      ['film:7', 10],
    ] as const
    for (const [key, times] of reads)
      for (let at = 0; at < times; at++) warmer.recordRead({ key, tier: 'redis', filledBy: 'read' })
    await warmer.stop()
  })
  after(async () => {
    await server.stop()
    machine.remove()
  })

  const plan = (...args: string[]) => machine.json('plan', 'films', 'reviews', '--config', FILE, ...args)

  it('tells which keys come first and what each number was', async () => {
    const { code, answer } = await plan('--explain')
    assertEquals(code, 0)
    const { strategy, readsKnown, keys } = answer.explain
    assertEquals([strategy, readsKnown, keys.length], ['priority', true, 20])
    assertEquals([keys[0].rank, keys[0].key, keys[0].task], [1, 'film:30', 'films'])
    for (const { priority, why } of keys) {
      assertEquals(Object.keys(why), ['score', 'importance', 'hotness', 'readsPerHour', 'cost', 'costMs'])
      const score = (why.importance * why.hotness) / why.cost
      assert(Math.abs(score - why.score) <= 1e-9 * score, `${score}`)
      const back = score >= 1 ? score : 2 - 1 / score
      assert(Math.abs(priority - back) < 1e-6, `${priority}, not ${back}`)
    }
    // 40 and 10 reads in what the log holds: by the mean of 25.
    assert(Math.abs(keys[0].why.hotness - 1.6) < 1e-6, `${keys[0].why.hotness}`)
    // The unread reviews are more important than the unread films, and come before them.
    assertEquals(
      keys.slice(0, 5).map((one: { key: string }) => one.key),
      ['film:30', 'film:1:reviews', 'film:2:reviews', 'film:7', 'film:1'],
    )
    assertEquals(answer.tasks.find((one: { task: string }) => one.task === 'films').sample, [
      'film:30',
      'film:7',
      'film:1',
    ])
  })

  it('shows as many keys as --count says, and says nothing without --explain', async () => {
    assertEquals((await plan('--explain', '--count', '1')).answer.explain.keys.length, 1)
    assertEquals('explain' in (await plan()).answer, false)
  })

  it('shows the columns that matter to the strategy', async () => {
    const columns = async (strategy: string) => {
      const { answer } = await plan('--explain', '--strategy', strategy)
      return Object.keys(answer.explain.keys[0].why)
    }
    assertEquals(await columns('selective'), ['importance', 'readsPerHour'])
    assertEquals(await columns('breadth'), ['depth', 'importance', 'readsPerHour'])
    assertEquals(await columns('odd'), ['importance', 'readsPerHour', 'costMs', 'depth'])
    const { stdout, code } = await machine.run('plan', 'films', '--config', FILE, '--explain', '--strategy', 'breadth')
    assertEquals(code, 0)
    assertMatch(
      stdout,
      /strategy: breadth\nrank +key +task +priority +depth +importance +reads\/h\n +1 +film:30 +films/,
    )
  })

  it('says so where no reads are known', async () => {
    const other = await startRedisServer()
    try {
      machine.env = { REDIS_URL: other.url }
      const { stdout } = await machine.run('plan', 'films', 'reviews', '--config', FILE, '--explain')
      assertStringIncludes(stdout, 'no reads of the last hour are known')
      const { answer } = await plan('--explain')
      const { readsKnown, keys } = answer.explain
      assertEquals([readsKnown, keys[0].key, keys[0].why.readsPerHour], [false, 'film:1:reviews', null])
      machine.env = {}
      assertEquals((await plan('--explain')).answer.explain.readsKnown, false)
    } finally {
      machine.env = { REDIS_URL: server.url }
      await other.stop()
    }
  })

  it('refuses a strategy that there is not, and names in its help those that there are', async () => {
    for (const command of ['plan', 'run']) {
      const { code, answer } = await machine.json(command, 'films', '--config', FILE, '--strategy', 'best')
      assertEquals([code, answer.error.code], [2, 'USAGE'])
      assertEquals(answer.error.message, "--strategy is 'best', expected one of selective, breadth, priority, odd")
      const { stdout } = await machine.run(command, '--config', FILE, '--help')
      assertStringIncludes(stdout.replace(/\s+/g, ' '), 'how keys are ranked: selective, breadth, priority, odd')
    }
  })

  it('runs by the strategy that it is given', async () => {
    const { code, answer } = await machine.json('run', 'films', '--config', FILE, '--strategy', 'odd', '--workers', '0')
    assertEquals([code, answer.keys.written, answer.tasks[0].notChosen], [0, 20, 20])
    const { stdout } = await machine.run('run', 'films', '--config', FILE, '--strategy', 'odd', '--workers', '0')
    assertStringIncludes(stdout, 'films: the strategy did not choose 20 keys')
  })
})
