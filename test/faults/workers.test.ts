import { after, before, beforeEach, describe, it } from 'node:test'
import { assert, assertEquals } from '@std/assert'
import { assertAccounted, numbered } from '../support/accounted.ts'
import { configFile, connect, runJob, type Servers, startServers, withWarmer } from '../support/warming.ts'

const TIMEOUT = { timeout: 60_000 }
const KEYS = numbered('k', 500)
const holds = (key: string) => JSON.stringify(`value of ${key}`)

/** A task of 500 keys whose load meets `fault` where `isPoison` holds. `once(name)` is true the first time in any worker. */
const poisoned = (fault: string, more = '') =>
  configFile(
    `maxOriginRps: 100000, backoffBaseMs: 10, tasks: {
      keys: load({ key: 'k:{id}', ttl: '1h', batchSize: 20, ${more}
        select: () => Array.from({ length: 500 }, (_, at) => at + 1),
        load: async (keys) => {
          const values = new Map(keys.map((key) => [key, 'value of ' + key]))
          ${fault}
          return values
        } }) }`,
    `import { existsSync, writeFileSync } from 'node:fs'
     import { join } from 'node:path'
     const once = (name: string) => {
       const file = join(import.meta.dirname, name)
       if (existsSync(file)) return false
       writeFileSync(file, '')
       return true
     }`,
  )

describe('a worker', () => {
  let servers: Servers
  before(async () => {
    servers = await startServers()
  }, TIMEOUT)
  beforeEach(() => servers.redis.flushall(), TIMEOUT)
  after(() => servers.stop(), TIMEOUT)

  const faults = {
    'calls process.exit': 'process.exit(0)',
    'leaves a rejection unhandled':
      "void Promise.reject(new Error('nobody handles this')); await new Promise(() => {})",
    'throws outside of any promise':
      "setTimeout(() => { throw new Error('thrown in a timer') }); await new Promise(() => {})",
  }
  for (const [what, fault] of Object.entries(faults)) {
    it(`that ${what} once is replaced, and nothing is lost`, TIMEOUT, async () => {
      const lost: string[] = []
      const file = poisoned(`if (keys.includes('k:77') && once('a')) { ${fault} }`)
      const result = await runJob({ file, workers: 2, ...servers.urls, onNotice: (text) => lost.push(text) })
      await assertAccounted(result, servers.redis, KEYS, { holds })
      assertEquals([result.status, result.keys.written], ['success', 500])
      assertEquals(lost.length, 1, lost.join('\n'))
    })
  }

  it('that dies of one key again and again takes only its neighbours along', TIMEOUT, async () => {
    const file = poisoned("if (keys.includes('k:77')) process.exit(1)", 'retries: 2,')
    const result = await runJob({ file, workers: 2, ...servers.urls })
    await assertAccounted(result, servers.redis, KEYS, { holds })
    assertEquals(result.status, 'partial')
    assert(result.keys.failed >= 20, JSON.stringify(result.keys))
    assertEquals(result.tasks[0]?.firstError?.code, 'WORKER_LOST')
    assertEquals(await servers.redis.exists('k:77'), 0)
  })

  it('that loops forever is replaced, or ended by stop and by the end of the job', TIMEOUT, async () => {
    // At the same time, as silence takes its time to be heard; so each in a database of its own.
    const other = connect(`${servers.urls.redisUrl}/1`)
    const replaced = async () => {
      const file = poisoned("if (keys.includes('k:77') && once('loop')) for (;;);", 'retries: 2,')
      const result = await runJob({ file, workers: 2, ...servers.urls })
      await assertAccounted(result, servers.redis, KEYS, { holds })
      assertEquals([result.status, result.keys.written], ['success', 500])
    }
    const ended = async () => {
      const file = poisoned("if (keys.includes('k:77')) for (;;);", 'retries: 0,')
      const redisUrl = `${servers.urls.redisUrl}/1`
      const result = await withWarmer({ file, workers: 1, redisUrl }, async (warmer) => {
        const job = warmer.submit({ timeoutMs: 3000 })
        setTimeout(() => void warmer.stop(), 4000)
        return job.result
      })
      await assertAccounted(result, other, KEYS, { holds })
      assertEquals(result.tasks[0]?.firstError?.code, 'JOB_TIMEOUT')
    }
    await Promise.all([replaced(), ended()]).finally(() => other.disconnect())
  })

  it('that is killed again and again while it writes leaves every key in one outcome', TIMEOUT, async () => {
    // Each batch arms a bomb that goes off at some moment of its reading or writing.
    const file = poisoned(
      "if (once('bomb' + keys[0])) setTimeout(() => process.exit(0), Math.random() * 4)",
      'retries: 5,',
    )
    const result = await runJob({ file, workers: 2, ...servers.urls }, { batchSize: 100 })
    await assertAccounted(result, servers.redis, KEYS, { holds })
  })

  it('that cannot import the configuration a second time ends the job', TIMEOUT, async () => {
    const file = configFile(
      `tasks: { keys: load({ key: 'k:{id}', select: () => [1, 2, 3], load: () => process.exit(0) }) }`,
      `import { existsSync, writeFileSync } from 'node:fs'
       import { isMainThread } from 'node:worker_threads'
       const mark = import.meta.filename + '.seen'
       if (!isMainThread && existsSync(mark)) throw new Error('not twice')
       if (!isMainThread) writeFileSync(mark, '')`,
    )
    const result = await runJob({ file, workers: 1, ...servers.urls })
    await assertAccounted(result, servers.redis, numbered('k', 3))
    assertEquals([result.status, result.keys.failed], ['failed', 3])
  })
})
