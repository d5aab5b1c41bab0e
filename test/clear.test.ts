import { describe, it } from 'node:test'
import { assert, assertEquals, assertRejects } from '@std/assert'
import fc from 'fast-check'
import { clear } from '../src/clear.ts'
import { load } from '../src/config/define.ts'
import { PrewarmError } from '../src/errors.ts'
import { glob } from '../src/keyspace/glob.ts'
import { configOf } from './fakes/tasks.ts'
import { checkAsync } from './support/property.ts'

const task = (key: string) => load({ key, load: () => new Map() })
const { tasks } = configOf({ users: task('user:{id}'), names: task('user:{id}:name'), greedy: task('{a}:{b}:all') })

/** A store that holds keys, and gives each page of them twice, as SCAN may. */
function storeOf(keys: Iterable<string>, pageSize = 3) {
  const held = new Set(keys)
  const scans: string[] = []
  const batches: number[] = []
  return {
    held,
    scans,
    batches,
    async *scan(match: string) {
      scans.push(match)
      const { matches } = glob(match)
      const found = [...held].filter(matches)
      for (let at = 0; at < found.length; at += pageSize) {
        const page = found.slice(at, at + pageSize)
        yield [...page, ...page.slice(0, 1)]
        yield page
      }
    },
    async unlink(batch: readonly string[]) {
      batches.push(batch.length)
      return batch.filter((key) => held.delete(key)).length
    },
  }
}
const KEYS = ['user:1', 'user:2', 'user:1:name', 'users:1', 'user:', 'nobody', 'prewarm:jobs:all', 'cache:warmup:all']
const { signal } = new AbortController()

describe('clear', () => {
  it('deletes the keys that match the glob and are of a task, and nothing else', async () => {
    const store = storeOf(KEYS)
    const result = await clear({ tasks, what: { pattern: 'user*' }, dryRun: false, store, signal })
    assertEquals(result, { matched: 3, deleted: 3, sample: ['user:1', 'user:2', 'user:1:name'], dryRun: false })
    assertEquals([...store.held], ['users:1', 'user:', 'nobody', 'prewarm:jobs:all', 'cache:warmup:all'])
  })

  it('goes by the whole pattern, also where Redis is shown less of it', async () => {
    const store = storeOf(['user:abcdX', 'user:abcdY'])
    await clear({ tasks, what: { pattern: 'user:*a*b*c*d*X' }, dryRun: false, store, signal })
    assertEquals([store.scans, [...store.held]], [['user:*a*b*c*'], ['user:abcdY']])
  })

  it('deletes the keys of one task', async () => {
    const store = storeOf(KEYS)
    const result = await clear({ tasks, what: { task: 'users' }, dryRun: false, store, signal })
    assertEquals([result.matched, result.deleted, store.scans], [2, 2, ['user:*']])
    assert(store.held.has('user:1:name'))
  })

  it('leaves prewarm’s own records, whatever is asked for', async () => {
    for (const what of [{ pattern: '*' }, { pattern: 'prewarm:*' }, { pattern: 'cache:*' }, { task: 'greedy' }]) {
      const store = storeOf(['prewarm:jobs:all', 'cache:warmup:all', 'x:y:all'])
      await clear({ tasks, what, dryRun: false, store, signal })
      assertEquals([...store.held].slice(0, 2), ['prewarm:jobs:all', 'cache:warmup:all'])
    }
  })

  it('deletes nothing in a dry run, and says what it would', async () => {
    const store = storeOf(KEYS)
    const result = await clear({ tasks, what: { pattern: '*' }, dryRun: true, store, signal })
    assertEquals([result.matched, result.deleted, result.dryRun, store.held.size], [3, 0, true, KEYS.length])
  })

  it('counts what the server says it deleted', async () => {
    const store = storeOf(KEYS)
    const unlink = async (keys: readonly string[]) => {
      store.held.delete('user:2') // it has expired
      return store.unlink(keys)
    }
    const result = await clear({
      tasks,
      what: { pattern: 'user:?' },
      dryRun: false,
      store: { ...store, unlink },
      signal,
    })
    assertEquals([result.matched, result.deleted], [2, 1])
  })

  it('deletes in batches, and shows ten keys at most', async () => {
    const keys = Array.from({ length: 2000 }, (_, at) => `user:${at}`)
    const store = storeOf(keys, 1100)
    const { deleted, sample } = await clear({ tasks, what: { pattern: '*' }, dryRun: false, store, signal })
    assertEquals([deleted, sample, store.held.size], [2000, keys.slice(0, 10), 0])
    assertEquals(store.batches, [500, 500, 100, 500, 400])
  })

  it('does not even look where no key can be meant', async () => {
    const store = storeOf(KEYS)
    const { tasks: few } = configOf({ users: task('user:{id}') })
    const result = await clear({ tasks: few, what: { pattern: 'nobody*' }, dryRun: false, store, signal })
    assertEquals([result.matched, store.scans], [0, []])
  })

  it('refuses an unknown task and a pattern that is too much', async () => {
    const codeOf = async (what: { pattern: string } | { task: string }) =>
      (await assertRejects(() => clear({ tasks, what, dryRun: false, store: storeOf(KEYS), signal }), PrewarmError))
        .code
    assertEquals(
      [await codeOf({ task: 'nope' }), await codeOf({ pattern: '*a'.repeat(20) })],
      ['TASK_UNKNOWN', 'REQUEST_INVALID'],
    )
  })

  it('stops between two batches when it is cancelled, and says how far it came', async () => {
    const abort = new AbortController()
    const store = storeOf(
      Array.from({ length: 40 }, (_, at) => `user:${at}`),
      10,
    )
    const unlink = async (keys: readonly string[]) => {
      abort.abort()
      return store.unlink(keys)
    }
    const run = () =>
      clear({ tasks, what: { pattern: '*' }, dryRun: false, store: { ...store, unlink }, signal: abort.signal })
    const error = await assertRejects(run, PrewarmError)
    assertEquals([error.code, error.message], ['JOB_CANCELLED', 'Clearing was cancelled; 10 keys were deleted before'])
    assertEquals(store.held.size, 30)
    await assertRejects(run, PrewarmError)
    assertEquals(store.held.size, 30)
  })

  it('deletes exactly what is asked for, whatever Redis holds', async () => {
    const key = fc
      .tuple(
        fc.constantFrom('user:', 'users:', 'prewarm:', 'x:', ''),
        fc.constantFrom('1', 'a*', 'é'),
        fc.constantFrom('', ':name', ':all'),
      )
      .map((all) => all.join(''))
    const pattern = fc.constantFrom('*', 'user:*', '*:name', 'user:a\\*', '?ser:?', '[ux]*', 'prewarm:*')
    const property = fc.asyncProperty(fc.uniqueArray(key), pattern, async (keys, text) => {
      const store = storeOf(keys)
      const result = await clear({ tasks, what: { pattern: text }, dryRun: false, store, signal })
      const isOfTask = (one: string) => [...tasks.values()].some((each) => each.key.match(one) !== null)
      const meant = keys.filter((one) => glob(text).matches(one) && isOfTask(one) && !one.startsWith('prewarm:'))
      assertEquals([...store.held].sort(), keys.filter((one) => !meant.includes(one)).sort())
      assertEquals([result.matched, result.deleted], [meant.length, meant.length])
    })
    await checkAsync(property, 300)
  })
})
