import { spawn } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import process from 'node:process'
import { after, before, beforeEach, describe, it } from 'node:test'
import { assert, assertEquals } from '@std/assert'
import type { Redis } from 'ioredis'
import { RedisJobLog } from '../../src/coordination/job-log.ts'
import { createWarmer, defineConfig, load } from '../../src/index.ts'
import { jobRecord } from '../contract/job-log.contract.ts'
import { clock, withInstances } from '../support/coordination.ts'
import { type RedisServer, startRedisServer } from '../support/servers.ts'
import { connect, tempFolder } from '../support/warming.ts'

const TIMEOUT = { timeout: 60_000 }
const INDEX = JSON.stringify(join(import.meta.dirname, '../../src/index.ts'))
/** After its last line a program must end by itself; the rest is what a loaded machine may need. */
const END_MS = 4000

/** A program that ends by itself: what it prints, its exit code, and whether it had to be killed. */
async function run(text: string): Promise<{ code: number | null; output: string; isKilled: boolean }> {
  const script = join(tempFolder(), 'script.ts')
  writeFileSync(script, `import { createWarmer, defineConfig, load } from ${INDEX}\n${text}\nconsole.log('over')`)
  const child = spawn(process.execPath, [script], { stdio: ['ignore', 'pipe', 'pipe'] })
  let output = ''
  let killing: ReturnType<typeof setTimeout> | undefined
  let isKilled = false
  const kill = () => {
    isKilled = true
    child.kill('SIGKILL')
  }
  const longest = setTimeout(kill, 50_000)
  for (const stream of [child.stdout, child.stderr]) {
    stream.on('data', (chunk) => {
      output += chunk
      if (output.includes('over\n')) killing ??= setTimeout(kill, END_MS)
    })
  }
  const code = await new Promise<number | null>((resolve) => child.once('close', resolve))
  clearTimeout(longest)
  clearTimeout(killing)
  return { code, output, isKilled }
}

const TASK = `one: load({ key: 'k:{id}', value: 'string', select: () => [1, 2, 3], load: (keys) => keys })`

describe('a service that is stopped', () => {
  let server: RedisServer
  let redis: Redis
  before(async () => {
    server = await startRedisServer()
    redis = connect(server.url)
  }, TIMEOUT)
  beforeEach(() => redis.flushall())
  after(async () => {
    redis.disconnect()
    await server.stop()
  }, TIMEOUT)

  const options = () => `{ env: {}, service: true, redisUrl: '${server.url}', config: defineConfig({ tasks: { ${TASK} },
    schedules: { often: { cron: '* * * * *', tasks: ['one'] } }, rewarm: {}, events: {} }) }`

  it('leaves nothing that keeps the program', TIMEOUT, async () => {
    const { code, output, isKilled } = await run(`
      const warmer = await createWarmer(${options()})
      await warmer.start()
      console.log((await warmer.submit().result).status)
      await warmer.stop()`)
    assertEquals([output, code, isKilled], ['success\nover\n', 0, false])
  })

  it('while it starts leaves nothing that keeps the program, whenever that is', TIMEOUT, async () => {
    const { code, output, isKilled } = await run(`
      for (let ms = 0; ms < 40; ms++) {
        const warmer = await createWarmer(${options()})
        const started = warmer.start().catch((error) => { if (error.code !== 'STOPPED' && error.code !== 'STORE_UNREACHABLE') throw error })
        await new Promise((resolve) => setTimeout(resolve, ms / 2))
        await warmer.stop()
        await started
      }`)
    assertEquals([output, code, isKilled], ['over\n', 0, false])
    assertEquals(await redis.keys('prewarm:instance:*'), [])
  })

  it('while Redis hangs ends, and leaves nothing that keeps the program', TIMEOUT, async () => {
    const text = `
      const warmer = await createWarmer(${options()})
      const started = warmer.start().catch((error) => console.log(error.code))
      await new Promise((resolve) => setTimeout(resolve, 100))
      await warmer.stop()
      await started`
    server.pause()
    const { code, output, isKilled } = await run(text).finally(() => server.resume())
    assertEquals([output, code, isKilled], ['STORE_UNREACHABLE\nover\n', 0, false])
  })

  it('before it could say that it lives leaves nothing that keeps the program', TIMEOUT, async () => {
    // For as long as the program may take to come here: on a busy machine its workers alone may need seconds.
    await redis.call('CLIENT', 'PAUSE', '50000', 'WRITE')
    const { code, output, isKilled } = await run(`
      const warmer = await createWarmer(${options()})
      const started = warmer.start().then(() => 'started', (error) => error.code)
      while (warmer.status().workers[0]?.state !== 'idle') await new Promise((resolve) => setTimeout(resolve, 1))
      await warmer.stop()
      console.log(await started)`).finally(() => redis.call('CLIENT', 'UNPAUSE'))
    assertEquals([output, code, isKilled], ['STOPPED\nover\n', 0, false])
  })

  it('while it takes up jobs leaves those that it did not get to as they were noted', TIMEOUT, async () => {
    await withInstances(server.url, 1, async ([commands]) => {
      const dead = new RedisJobLog({ commands: commands as never, clock, instance: 'dead' })
      for (const id of ['a', 'b', 'c'])
        await dead.begin(jobRecord(id, { instance: 'dead', request: {}, source: 'http' }))
      const warmer = await createWarmer({
        env: {},
        service: true,
        redisUrl: server.url,
        config: defineConfig({
          tasks: { one: load({ key: 'k:{id}', value: 'string', select: () => [1], load: (keys) => keys }) },
        }),
      })
      const stopped = new Promise<void>((resolve) => {
        warmer.on('job_started', () => void warmer.stop().finally(resolve))
      })
      await warmer.start().catch(() => {})
      await stopped
      const records = await dead.list()
      assertEquals(records.map(({ id, status }) => [id, status]).sort(), [
        ['a', 'running'],
        ['b', 'running'],
        ['c', 'running'],
      ])
      const heir = new RedisJobLog({ commands: commands as never, clock, instance: 'heir' })
      await heir.start()
      assertEquals((await heir.adopt()).map(({ id }) => id).sort(), ['a', 'b', 'c'])
      await heir.stop()
    })
  })

  it('was never built leaves no embedded server behind', TIMEOUT, async () => {
    const { code, output, isKilled } = await run(`
      const config = defineConfig({ tasks: { ${TASK} }, redisTls: { caFile: '/nowhere/ca.pem' } })
      await createWarmer({ env: {}, config }).catch((error) => console.log(String(error).includes('/nowhere/ca.pem')))`)
    assertEquals([output, code, isKilled], ['true\nover\n', 0, false])
    assert(output !== '')
  })
})
