import { spawn } from 'node:child_process'
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import process from 'node:process'
import { after, before, beforeEach, describe, it } from 'node:test'
import { assertEquals } from '@std/assert'
import { type RedisServer, startRedisServer } from '../support/servers.ts'
import { configFile, connect } from '../support/warming.ts'

const TIMEOUT = { timeout: 60_000 }
const STARTUP = join(import.meta.dirname, '..', '..', 'src', 'startup.ts')

/** A program that notes when it has booted, and then has nothing to do. `films` notes when it is asked. */
function program(tasks: string): { folder: string; log: () => string[] } {
  const folder = dirname(configFile(`tasks: { ${tasks} }`, `import { appendFileSync } from 'node:fs'`))
  const log = join(folder, 'log')
  writeFileSync(
    join(folder, 'app.ts'),
    `import { appendFileSync } from 'node:fs'
     import { startup } from ${JSON.stringify(STARTUP)}
     appendFileSync('log', 'booted\\n')
     void startup.then(() => appendFileSync('log', 'ended\\n'))`,
  )
  return { folder, log: () => (existsSync(log) ? readFileSync(log, 'utf8').trim().split('\n') : []) }
}

/** Its exit code and what it printed. */
function run(folder: string, env: Record<string, string>): Promise<{ code: number | null; output: string }> {
  return new Promise((resolve, reject) => {
    const path = process.env.PATH ?? ''
    const child = spawn(process.execPath, ['app.ts'], { cwd: folder, env: { PATH: path, ...env } })
    let output = ''
    for (const stream of [child.stdout, child.stderr]) {
      stream.on('data', (chunk) => {
        output += chunk
      })
    }
    child.once('error', reject)
    child.once('close', (code) => resolve({ code, output }))
  })
}

const FILMS = `films: load({ key: 'film:{id}', value: 'string', select: () => [1, 2, 3],
  load: (keys) => { appendFileSync('log', 'asked\\n'); return keys } })`

describe("import 'prewarm/startup'", () => {
  let server: RedisServer
  let redis: ReturnType<typeof connect>
  before(async () => {
    server = await startRedisServer()
    redis = connect(server.url)
  }, TIMEOUT)
  beforeEach(async () => void (await redis.flushall()))
  after(async () => {
    redis.disconnect()
    await server.stop()
  }, TIMEOUT)
  const on = () => ({
    ENABLE_CACHE_WARMING_ON_STARTUP: 'true',
    CACHE_WARMING_STARTUP_DELAY: '10',
    REDIS_URL: server.url,
  })

  it('warms after the program has booted, which then ends by itself', TIMEOUT, async () => {
    const { folder, log } = program(FILMS)
    assertEquals(await run(folder, on()), { code: 0, output: '' })
    assertEquals(log(), ['booted', 'asked', 'ended'])
    assertEquals(await redis.exists('film:1', 'film:2', 'film:3'), 3)
    assertEquals(await redis.exists('cache:warmup:lock'), 0)
  })

  it('does nothing unless it is told to', TIMEOUT, async () => {
    const { folder, log } = program(FILMS)
    for (const flag of ['', 'false']) {
      const env = { ...on(), ENABLE_CACHE_WARMING_ON_STARTUP: flag }
      assertEquals(await run(folder, env), { code: 0, output: '' })
    }
    assertEquals([log(), await redis.dbsize()], [['booted', 'ended', 'booted', 'ended'], 0])
  })

  it('leaves it to the instance that has the lock', TIMEOUT, async () => {
    await redis.set('cache:warmup:lock', 'somebody:else', 'PX', 60_000)
    const { folder, log } = program(FILMS)
    assertEquals(await run(folder, on()), { code: 0, output: '' })
    assertEquals([log(), await redis.exists('film:1')], [['booted', 'ended'], 0])
  })

  it('never throws into the program: no Redis, a broken configuration, a flag that is none', TIMEOUT, async () => {
    const { folder, log } = program(FILMS)
    const broken = program('films: 5')
    const away = { ...on(), REDIS_URL: 'redis://127.0.0.1:1' }
    assertEquals(await run(folder, away), { code: 0, output: '' })
    assertEquals(await run(broken.folder, on()), { code: 0, output: '' })
    assertEquals(await run(folder, { ...on(), ENABLE_CACHE_WARMING_ON_STARTUP: 'perhaps' }), { code: 0, output: '' })
    assertEquals(
      [log(), broken.log()],
      [
        ['booted', 'ended', 'booted', 'ended'],
        ['booted', 'ended'],
      ],
    )
  })
})
