import { after, before, beforeEach, describe, it } from 'node:test'
import { assert, assertEquals } from '@std/assert'
import { assertAccounted, numbered } from '../support/accounted.ts'
import { configFile, runJob, type Servers, startServers } from '../support/warming.ts'

const TIMEOUT = { timeout: 60_000 }
const KEYS = numbered('k', 100)
/** A task of 100 keys in batches of 10; the body has `keys`, and `bad` where the batch holds key 42. */
const task = (name: string, body: string, more = '') =>
  `${name}: load({ key: 'k:{id}', batchSize: 10, retries: 1, timeoutMs: 300, ${more}
    select: () => Array.from({ length: 100 }, (_, at) => at + 1),
    load: (keys: string[], { signal }) => { void signal; const bad = keys.includes('k:42'); const good = () => new Map<string, unknown>(keys.map((key) => [key, { of: key }])); ${body} } })`
const set = (value: string) =>
  `return good().set('k:42', ${value}).size === keys.length ? good().set('k:42', ${value}) : good()`
const FILE = configFile(
  `maxOriginRps: 100000, backoffBaseMs: 10, tasks: {
  ${task('throws', "if (bad) throw new Error('poison'); return good()")},
  ${task('throwsOnce', "if (bad && first()) throw new Error('passes'); return good()")},
  ${task('throwsNothing', 'if (bad) throw undefined; return good()')},
  ${task('tooFew', "const all = good(); all.delete('k:42'); return all")},
  ${task('nulls', set('null'))},
  ${task('bigint', set('{ n: 1n }'))},
  ${task('cycle', set('cycle'))},
  ${task('functions', set('() => 1'))},
  ${task('throwsInToJson', set("{ toJSON() { throw new Error('no') } }"))},
  ${task('noHash', set('{ of: null }'), "value: 'hash',")},
  ${task('noText', set('{ of: 1 }'), "value: { column: 'of' },")},
  ${task('listShort', 'return bad ? [1, 2] : keys.map((key) => ({ of: key }))')},
  ${task('nothing', 'return bad ? undefined : good()')},
  ${task('text', "return bad ? 'oops' : good()")},
  ${task('never', 'return bad ? new Promise(() => {}) : good()')},
  ${task('late', 'return bad ? new Promise((resolve) => setTimeout(() => resolve(good()), 900)) : good()')},
  ${task('lateThrow', "return bad ? new Promise((_, reject) => setTimeout(() => reject(new Error('late')), 900)) : good()")},
  ${task('hasMore', "return good().set('other:1', 'not asked for')")},
  ${task('changesItsList', 'const all = good(); keys.length = 0; return all')},
  selectThrows: load({ key: 'k:{id}', retries: 1, select: () => { throw new Error('no list') }, load: () => ({}) }),
  selectHangs: load({ key: 'k:{id}', retries: 0, timeoutMs: 300, select: () => new Promise(() => {}), load: () => ({}) }),
  selectEndless: load({ key: 'k:{id}', retries: 0, timeoutMs: 300, select: async function* () { for (let id = 0; ; id++) { await new Promise((r) => setTimeout(r, 1)); yield id } }, load: () => ({}) }),
  selectBad: load({ key: 'k:{id}', select: () => [1, null as never, '', 2, 2, { nope: 3 }, Number.NaN], load: (keys) => keys.map((key) => ({ of: key })) }),
}`,
  `const cycle: Record<string, unknown> = {}; cycle.me = cycle
   let calls = 0
   const first = () => calls++ === 0`,
)
const holds = (key: string) => JSON.stringify({ of: key })

describe('a load function', () => {
  let servers: Servers
  before(async () => {
    servers = await startServers()
  }, TIMEOUT)
  beforeEach(() => servers.redis.flushall(), TIMEOUT)
  after(() => servers.stop(), TIMEOUT)

  /** What goes wrong, how many keys fail, with which code. */
  const faults: [task: string, failed: number, code: string][] = [
    ['throws', 10, 'ORIGIN_FAILED'],
    ['throwsNothing', 10, 'ORIGIN_FAILED'],
    ['tooFew', 1, 'ORIGIN_NO_VALUE'],
    ['nulls', 1, 'ORIGIN_NO_VALUE'],
    ['bigint', 1, 'VALUE_INVALID'],
    ['cycle', 1, 'VALUE_INVALID'],
    ['functions', 1, 'VALUE_INVALID'],
    ['throwsInToJson', 1, 'VALUE_INVALID'],
    ['noHash', 1, 'VALUE_INVALID'],
    ['listShort', 10, 'ORIGIN_FAILED'],
    ['nothing', 10, 'ORIGIN_FAILED'],
    ['text', 10, 'ORIGIN_FAILED'],
    ['never', 10, 'ORIGIN_TIMEOUT'],
    ['late', 10, 'ORIGIN_TIMEOUT'],
    ['lateThrow', 10, 'ORIGIN_TIMEOUT'],
  ]
  for (const workers of [1, 0]) {
    const where = workers === 0 ? 'inline' : 'in a worker'
    const run = (name: string) => runJob({ file: FILE, workers, ...servers.urls }, { tasks: [name] })

    for (const [name, failed, code] of faults) {
      it(`with a fault fails its own keys alone (${name}, ${where})`, TIMEOUT, async () => {
        const result = await run(name)
        await assertAccounted(result, servers.redis, KEYS, name === 'noHash' ? {} : { holds })
        assertEquals([result.status, result.keys.written, result.keys.failed], ['partial', 100 - failed, failed])
        assertEquals(result.tasks[0]?.firstError?.code, code, JSON.stringify(result.tasks[0]?.firstError))
      })
    }

    it(`that throws once is called again (${where})`, TIMEOUT, async () => {
      const result = await run('throwsOnce')
      await assertAccounted(result, servers.redis, KEYS, { holds })
      assertEquals([result.status, result.tasks[0]?.firstError], ['success', null])
    })

    for (const name of ['hasMore', 'changesItsList']) {
      it(`may return more or change its list (${name}, ${where})`, TIMEOUT, async () => {
        const result = await run(name)
        await assertAccounted(result, servers.redis, KEYS, { holds })
        assertEquals(result.status, 'success')
      })
    }

    for (const [name, code] of [
      ['selectThrows', 'ORIGIN_FAILED'],
      ['selectHangs', 'ORIGIN_TIMEOUT'],
      ['selectEndless', 'ORIGIN_TIMEOUT'],
    ] as const) {
      it(`whose select fails ends the task (${name}, ${where})`, TIMEOUT, async () => {
        const result = await run(name)
        await assertAccounted(result, servers.redis, [], { isCut: true })
        assertEquals([result.status, result.tasks[0]?.firstError?.code], ['failed', code])
      })
    }

    it(`whose select lists what is no key fails those (${where})`, TIMEOUT, async () => {
      const result = await run('selectBad')
      assertEquals([result.keys.planned, result.keys.written, result.keys.failed], [6, 2, 4])
      assert(result.tasks[0]?.firstError?.code === 'KEY_INVALID')
      assertEquals((await servers.redis.keys('*')).sort(), ['k:1', 'k:2'])
    })
  }
})
