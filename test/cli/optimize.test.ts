import { after, before, beforeEach, describe, it } from 'node:test'
import { assert, assertEquals, assertStringIncludes } from '@std/assert'
import { Redis } from 'ioredis'
import { systemClock } from '../../src/clock.ts'
import { RedisCommands } from '../../src/coordination/redis-commands.ts'
import { currentRuntime } from '../../src/runtime/index.ts'
import { recordReads } from '../optimize/recorded.ts'
import { type RedisServer, startRedisServer } from '../support/servers.ts'
import { configFile } from '../support/warming.ts'
import { Machine } from './support.ts'

const TASKS = `
  tasks: {
    docs: load({ key: 'doc:{id}', ttl: '5m', select: () => [1, 2, 3, 4], load: (ids) => new Map(ids.map((id) => [id, 1])) }),
    rates: load({ key: 'rate:{id}', select: () => [1], load: (ids) => new Map(ids.map((id) => [id, 1])) }),
  },
  schedules: { hourly: { cron: '0 * * * *', tasks: ['docs'] } }`

describe('prewarm optimize', () => {
  const machine = new Machine()
  const clock = systemClock(currentRuntime().nowNs)
  let server: RedisServer
  let redis: Redis
  let commands: RedisCommands
  let config: string

  before(async () => {
    server = await startRedisServer()
    redis = new Redis(server.url)
    commands = new RedisCommands({ url: server.url, clock })
    machine.env = { REDIS_URL: server.url }
    config = configFile(TASKS)
  })
  beforeEach(() => redis.flushall())
  after(async () => {
    redis.disconnect()
    await commands.close()
    await server.stop()
    machine.remove()
  })
  const reads = () => recordReads({ commands, clock }, ['doc:1', 'doc:2', 'doc:3', 'doc:4'], 60)
  const run = (...args: string[]) => machine.run('optimize', '--config', config, ...args)

  it('says why there is nothing to change', async () => {
    const { code, stdout } = await run()
    assertEquals(code, 0)
    assertEquals(
      stdout,
      `nothing to change

stays  why
docs   no read of its keys is known: it takes 100 to judge
rates  no schedule warms it
`,
    )
  })

  it('shows what it proposes, why, and what that should do', async () => {
    await reads()
    const { code, stdout } = await run()
    assertEquals(code, 0)
    const lines = stdout.split('\n')
    assertEquals(lines[0], '1 task, 1 change proposed; --apply registers them')
    assertEquals(lines[2], 'task  field     from  to   why')
    assertStringIncludes(
      lines[3] ?? '',
      'docs  interval  1 h   4 m  what is warmed lives 5 m (less 10 % jitter) but is warmed every 1 h',
    )
    assertEquals(lines[5], 'expected  hit rate       origin requests an hour  origin time an hour')
    assert(/^docs {6}8\d(\.\d)?% -> 100% {2}\d+ -> \d+ +not measured$/.test(lines[6] ?? ''), lines[6])
    assertEquals(await redis.exists('prewarm:schedules'), 0)
  })

  it('registers it, and takes it back', async () => {
    await reads()
    const applied = await run('--apply')
    assertEquals(applied.code, 0)
    assertStringIncludes(applied.stdout, '1 task, 1 change, registered')
    assertStringIncludes(
      applied.stdout,
      'registered  optimized-docs\npaused      hourly\ntake it back with `prewarm optimize --revert`',
    )
    assertEquals(JSON.parse((await redis.hget('prewarm:schedules', 'optimized-docs')) ?? '').spec.intervalMs, 240_000)
    assertStringIncludes((await run('--apply')).stdout, 'nothing to change')

    const reverted = await run('--revert')
    assertEquals([reverted.code, reverted.stdout], [0, 'taken back\nremoved     optimized-docs\ngoes on     hourly\n'])
    assertEquals(await redis.hexists('prewarm:schedules', 'optimized-docs'), 0)
    assertEquals(JSON.parse((await redis.hget('prewarm:schedules', 'hourly')) ?? '').paused, false)
    assertStringIncludes((await run('--revert')).stdout, 'nothing to take back')
  })

  it('prints one JSON object', async () => {
    await reads()
    const { code, answer } = await machine.json('optimize', '--config', config)
    assertEquals([code, answer.tasksOptimized, answer.applied], [0, 1, null])
    const [{ task, schedule, field, from, to }] = answer.changes
    assertEquals([task, schedule, field, from, to], ['docs', 'hourly', 'interval', 3_600_000, 240_000])
    assertEquals(answer.expected[0].hitRate.to, 1)
    assertEquals(answer.unchanged, [{ task: 'rates', reason: 'no schedule warms it' }])
  })

  it('refuses what makes no sense', async () => {
    const both = await run('--apply', '--revert')
    assertEquals(both.code, 2)
    assertStringIncludes(both.stderr, '--apply and --revert')
    machine.env = {}
    const none = await run()
    machine.env = { REDIS_URL: 'redis://127.0.0.1:1' }
    const away = await run('--apply')
    machine.env = { REDIS_URL: server.url }
    assertEquals([none.code, away.code], [2, 3])
    assertStringIncludes(none.stderr, 'No Redis is configured')
  })

  it('is in the help', async () => {
    const { stdout } = await machine.run('optimize', '--help')
    assertStringIncludes(stdout, '--apply')
    assertStringIncludes(stdout, '--revert')
  })
})
