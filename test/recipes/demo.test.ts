import { spawn } from 'node:child_process'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import process from 'node:process'
import { after, before, describe, it } from 'node:test'
import { assert, assertAlmostEquals, assertEquals, assertStringIncludes } from '@std/assert'
import type { Pass } from '../../src/demo/cities.ts'
import { drawByWeight, playRequests, seededRandom } from '../../src/demo/requests.ts'
import { type Ground, openGround } from './support.ts'

const PROGRAM = join(import.meta.dirname, '../../src/cli/main.ts')
const TIMEOUT = { timeout: 60_000 }

describe('prewarm demo', () => {
  let ground: Ground
  let home: string

  before(async () => {
    ground = await openGround('demo/cities.config.ts')
    home = await mkdtemp(join(tmpdir(), 'prewarm-test-'))
  })
  after(async () => {
    await rm(home, { recursive: true })
    await ground.stop()
  })

  function start(args: string[], env: Record<string, string> = {}) {
    const { REDIS_URL: _, DATABASE_URL: __, ...rest } = process.env
    const child = spawn(process.execPath, [PROGRAM, 'demo', ...args], {
      cwd: home,
      env: { ...rest, ...env } as NodeJS.ProcessEnv,
    })
    let stdout = ''
    let stderr = ''
    child.stdout.on('data', (chunk) => {
      stdout += chunk
    })
    child.stderr.on('data', (chunk) => {
      stderr += chunk
    })
    const ended = new Promise<{ code: number | null; stdout: string; stderr: string }>((resolve) =>
      child.once('close', (code) => resolve({ code, stdout, stderr })),
    )
    return { child, ended, stderr: () => stderr }
  }

  function checkPasses(text: string): void {
    const report = JSON.parse(text) as { warmed: number; cold: Pass; warm: Pass }
    assertEquals(Object.keys(report), ['warmed', 'cold', 'warm'])
    const { warmed, cold, warm } = report
    assertEquals(warmed, 2000)
    for (const pass of [cold, warm]) {
      assertEquals(Object.keys(pass).sort(), ['hitRate', 'originQueries', 'p50Ms', 'p95Ms', 'p99Ms'])
      assert(pass.hitRate >= 0 && pass.hitRate <= 1)
      assert(pass.p50Ms > 0 && pass.p50Ms <= pass.p95Ms && pass.p95Ms <= pass.p99Ms)
      assertAlmostEquals(pass.hitRate, 1 - pass.originQueries / 2000, 1e-9)
    }
    assert(warm.hitRate > cold.hitRate && warm.originQueries < cold.originQueries, text)
  }

  it('plays real cities on embedded servers and ends by itself', TIMEOUT, async () => {
    const { code, stdout, stderr } = await start(['--json', '--cities', '2000', '--requests', '2000']).ended
    assertEquals(code, 0, stderr)
    checkPasses(stdout)
    assertStringIncludes(stderr, 'embedded')
  })

  it('shows the two passes as a table', TIMEOUT, async () => {
    const { code, stdout } = await start(['--cities', '500', '--requests', '500']).ended
    assertEquals(code, 0)
    for (const text of [
      'cold',
      'warm',
      'hit rate',
      'p50',
      'p95',
      'p99',
      'origin queries',
      'Warming took',
      '500 cities',
    ])
      assertStringIncludes(stdout, text)
  })

  it('takes back all it put into servers of yours, and nothing else', TIMEOUT, async () => {
    const { redis, sql, urls } = ground
    await redis.set('session:mine', '1')
    await sql`create table public.mine as select 1 as n`
    const env = { REDIS_URL: urls.redis, DATABASE_URL: urls.database }
    const { code, stdout, stderr } = await start(['--json', '--cities', '2000', '--requests', '2000'], env).ended
    assertEquals(code, 0, stderr)
    checkPasses(stdout)
    const flags = ['sessions', '--json', '--limit', '30', '--redis', urls.redis, '--database', urls.database]
    const sessions = await start(flags).ended
    assertEquals(sessions.code, 0, sessions.stderr)
    const report = JSON.parse(sessions.stdout)
    assertEquals(
      [report.job.status, report.job.keys.written, report.stored.keys, report.estimate.keys],
      ['success', 30, 30, 30],
    )
    assertEquals(report.stats.coverage, 1)
    assert(report.stored.bytes > 30 * 100)
    assertEquals(await redis.keys('*'), ['session:mine'])
    assertEquals(await schemas(), ['public'])
    assertEquals([...(await sql`select n from public.mine`)], [{ n: 1 }])
  })

  it('does not touch a schema of its name that somebody else made', TIMEOUT, async () => {
    await ground.sql.unsafe('create schema prewarm_demo; create table prewarm_demo.cities as select 1 as n')
    try {
      const { code, stderr } = await start(['cars', '--database', ground.urls.database]).ended
      assert(code !== 0)
      assertStringIncludes(stderr, 'schema prewarm_demo')
      assertEquals([...(await ground.sql`select n from prewarm_demo.cities`)], [{ n: 1 }])
    } finally {
      await ground.sql.unsafe('drop schema prewarm_demo cascade')
    }
  })

  it('runs the cars, as many as asked', TIMEOUT, async () => {
    const { code, stdout, stderr } = await start(['cars', '--json', '--limit', '4', '--days', '3']).ended
    assertEquals(code, 0, stderr)
    const { job } = JSON.parse(stdout)
    assertEquals(
      job.tasks.map((task: { task: string; keys: { written: number } }) => [task.task, task.keys.written]),
      [
        ['cars', 4],
        ['fleet', 5],
        ['availability', 12],
      ],
    )
  })

  it('cleans up when it is interrupted', TIMEOUT, async () => {
    const { redis, urls } = ground
    const env = { REDIS_URL: urls.redis, DATABASE_URL: urls.database }
    const demo = start(['--requests', '10000000'], env)
    while (!demo.stderr().includes('Cold')) await new Promise((resolve) => setTimeout(resolve, 10))
    demo.child.kill('SIGINT')
    const { code, stdout } = await demo.ended
    assertEquals([code, stdout], [130, ''])
    assertEquals((await redis.keys('prewarm-demo:*')).length, 0)
    assertEquals(await schemas(), ['public'])
  })

  async function schemas(): Promise<string[]> {
    const rows = await ground.sql`
      select nspname as name from pg_namespace where nspname !~ '^pg_' and nspname <> 'information_schema' order by 1`
    return rows.map((row) => row.name as string)
  }
})

describe('requests of the demo', () => {
  it('are drawn in proportion to the weights, the same for the same seed', () => {
    const draw = (seed: number) =>
      drawByWeight(['a', 'b', 'c', 'd'], (item) => ({ a: 6, b: 3, c: 0, d: 1 })[item] ?? 0, 10_000, seededRandom(seed))
    const share = (item: string) => draw(1).filter((drawn) => drawn === item).length / 10_000
    assertAlmostEquals(share('a'), 0.6, 0.02)
    assertAlmostEquals(share('b'), 0.3, 0.02)
    assertEquals(share('c'), 0)
    assertEquals(draw(1), draw(1))
    assert(draw(1).join() !== draw(2).join())
  })

  it('are each played once, no more at a time than allowed, and timed', TIMEOUT, async () => {
    let nowNs = 0
    let active = 0
    let most = 0
    const played: number[] = []
    const latencies = await playRequests({
      requests: Array.from({ length: 100 }, (_, at) => at),
      concurrency: 1,
      nowNs: () => nowNs,
      signal: new AbortController().signal,
      async answer(request) {
        most = Math.max(most, ++active)
        await Promise.resolve()
        nowNs += (request + 1) * 1e6
        played.push(request)
        active--
      },
    })
    assertEquals(latencies, { p50Ms: 50, p95Ms: 95, p99Ms: 99 })
    assertEquals([most, played.length, new Set(played).size], [1, 100, 100])
  })
})
