import { describe, it } from 'node:test'
import { assert, assertEquals, assertRejects } from '@std/assert'
import fc from 'fast-check'
import { http, load, sql } from '../src/config/define.ts'
import type { Task } from '../src/config/task.ts'
import { PrewarmError } from '../src/errors.ts'
import { glob } from '../src/keyspace/glob.ts'
import { knownKeys } from '../src/keyspace/known.ts'
import { listKeys, type MatchingOptions, matching } from '../src/matching.ts'
import { FakeSqlClient } from './fakes/sql-client.ts'
import { configOf } from './fakes/tasks.ts'
import { checkAsync } from './support/property.ts'

const { tasks } = configOf({
  users: sql({ key: 'user:{id}', value: 'hash', query: 'select id from users', priority: 1 }),
  cars: load({ key: 'car:{id}', select: () => [], load: () => new Map(), priority: 5 }),
  named: load({ key: 'named:{id}', load: () => new Map() }),
  fixed: http({ key: 'config', url: 'https://origin.example/config', select: () => ['config'] }),
})

interface Given {
  hot?: string[]
  listed?: Record<string, string[]>
  stored?: string[][]
}

/** `matching` over what the access log, the tasks and Redis hold; notes what was asked for. */
function sources({ hot, listed = {}, stored = [] }: Given) {
  const asked: string[] = []
  const options = (pattern: string, limit: number, more: Partial<MatchingOptions> = {}): MatchingOptions => ({
    tasks,
    pattern,
    limit,
    store: {
      async *scan(match) {
        asked.push(`scan ${match}`)
        yield* stored
      },
    },
    list: async (task) => {
      asked.push(task.name)
      return listed[task.name] ?? []
    },
    ...(hot === undefined
      ? {}
      : {
          predictor: {
            predict: async () => {
              asked.push('log')
              return hot.map((key) => ({ key, score: 1, reason: '' }))
            },
          },
        }),
    signal: new AbortController().signal,
    ...more,
  })
  return { asked, find: (...args: Parameters<typeof options>) => matching(options(...args)) }
}
const failing = (code: 'STORE_UNREACHABLE' | 'ORIGIN_UNREACHABLE') => {
  throw new PrewarmError(code, `${code} is away`)
}

describe('matching', () => {
  it('gives the log’s keys first, then the tasks’, the warmest task first, then Redis’, each once', async () => {
    const { asked, find } = sources({
      hot: ['user:9', 'other:1', 'car:7'],
      listed: { users: ['user:1', 'user:9'], cars: ['car:1', 'car:7'], fixed: ['config'] },
      stored: [
        ['car:2', 'user:1', 'nobody', 'prewarm:jobs'],
        ['named:1', 'car:2'],
      ],
    })
    const keys = ['user:9', 'car:7', 'car:1', 'user:1', 'config', 'car:2', 'named:1']
    assertEquals(await find('*', 100), { keys, truncated: false })
    assertEquals(asked, ['log', 'cars', 'users', 'fixed', 'scan *'])
  })

  it('leaves out what does not match, and asks no task that can’t', async () => {
    const { asked, find } = sources({
      hot: ['user:1', 'car:1'],
      listed: { users: ['user:12', 'user:2'] },
      stored: [['user:13', 'users:1', 'car:1']],
    })
    assertEquals(await find('user:1*', 100), { keys: ['user:1', 'user:12', 'user:13'], truncated: false })
    assertEquals(asked, ['log', 'users', 'scan user:1*'])
    asked.length = 0
    assertEquals(await find('bike:*', 100), { keys: [], truncated: false })
    assertEquals(asked, [])
  })

  it('stops as soon as there are more than wanted', async () => {
    const { asked, find } = sources({
      hot: ['user:1', 'user:2'],
      listed: { users: ['user:2', 'user:3'] },
      stored: [['user:4']],
    })
    assertEquals(await find('user:*', 1), { keys: ['user:1'], truncated: true })
    assertEquals(asked, ['log'])
    assertEquals(await find('user:*', 3), { keys: ['user:1', 'user:2', 'user:3'], truncated: true })
    assertEquals(await find('user:*', 4), { keys: ['user:1', 'user:2', 'user:3', 'user:4'], truncated: false })
  })

  it('counts the others where one is away', async () => {
    const { find } = sources({ hot: ['car:1'], listed: { cars: ['car:2'] }, stored: [['car:3']] })
    const list = async () => failing('ORIGIN_UNREACHABLE')
    const store = { scan: () => failing('STORE_UNREACHABLE') }
    const broken = {
      async *scan() {
        yield ['car:4']
        failing('STORE_UNREACHABLE')
      },
    }
    const predictor = { predict: async () => failing('STORE_UNREACHABLE') }
    assertEquals((await find('car:*', 9, { list })).keys, ['car:1', 'car:3'])
    assertEquals((await find('car:*', 9, { store, predictor })).keys, ['car:2'])
    assertEquals((await find('car:*', 9, { list, store: broken })).keys, ['car:1', 'car:4'])
    const error = await assertRejects(() => find('car:*', 9, { list, store, predictor }), PrewarmError)
    assertEquals(error.code, 'STORE_UNREACHABLE')
  })

  it('ends at once when it is cancelled, whatever it waits for', async () => {
    const never = new Promise<never>(() => {})
    const hanging: Partial<MatchingOptions>[] = [
      { predictor: { predict: () => never } },
      { list: () => never },
      { store: { scan: () => ({ [Symbol.asyncIterator]: () => ({ next: () => never }) }) } },
    ]
    for (const more of hanging) {
      const abort = new AbortController()
      const found = sources({}).find('*', 9, { ...more, signal: abort.signal })
      abort.abort()
      assertEquals((await assertRejects(() => found, PrewarmError)).code, 'JOB_CANCELLED')
    }
    const signal = AbortSignal.abort()
    const { asked, find } = sources({ hot: ['car:1'] })
    assertEquals((await assertRejects(() => find('*', 9, { signal }), PrewarmError)).code, 'JOB_CANCELLED')
    assert(!asked.includes('scan *'))
  })

  it('refuses a pattern that is too much', async () => {
    const error = await assertRejects(() => sources({}).find('a'.repeat(257), 9), PrewarmError)
    assertEquals(error.code, 'REQUEST_INVALID')
  })

  it('gives no key twice, none that is unknown, and as many as there are', async () => {
    const names = ['user:1', 'user:2', 'car:1', 'car:12', 'named:1', 'config', 'x', 'prewarm:a', 'user:']
    const some = fc.array(fc.constantFrom(...names), { maxLength: 12 })
    const pattern = fc.constantFrom('*', 'user:*', '*1', 'c*', '[cu]*', 'config', 'x')
    const known = knownKeys(tasks.values())
    const limits = fc.integer({ min: 1, max: 8 })
    const property = fc.asyncProperty(some, some, some, pattern, limits, async (hot, listed, stored, text, limit) => {
      const listable = listed.filter((key) => known.taskOf(key) !== undefined && !key.startsWith('named:'))
      const ofTask = (name: string) => listable.filter((key) => known.taskOf(key)?.name === name)
      const byTask = { cars: ofTask('cars'), users: ofTask('users'), fixed: ofTask('fixed') }
      const { keys, truncated } = await sources({ hot, listed: byTask, stored: [stored] }).find(text, limit)
      const isMeant = (key: string) => glob(text).matches(key) && known.taskOf(key) !== undefined
      const all = [...new Set([...hot, ...listable, ...stored].filter(isMeant))]
      assertEquals(
        [keys.length, new Set(keys).size, truncated],
        [Math.min(limit, all.length), keys.length, all.length > limit],
      )
      assert(keys.every((key) => all.includes(key)))
    })
    await checkAsync(property, 300)
  })
})

describe('listKeys', () => {
  const { signal } = new AbortController()
  const task = (name: string) => tasks.get(name) as Task

  it('reads the key columns of a query’s first rows', async () => {
    const client = new FakeSqlClient()
    client.answer = () => ({ columns: ['id'], rows: [['1'], [null], ['2']] })
    assertEquals(await listKeys(task('users'), () => client, { count: 7, signal }), ['user:1', 'user:2'])
    assertEquals(
      client.queries.map(({ before, after }) => before + after),
      ['select "id" from () q limit 7'],
    )
  })

  it('lists what select gives, with the task’s own parameters, no more than wanted', async () => {
    const seen: unknown[] = []
    const config = configOf({
      one: load({
        key: 'k:{id}',
        params: { days: 3 },
        select: ({ params }) => {
          seen.push({ ...params })
          return ['1', '2', '3']
        },
        load: () => new Map(),
      }),
    })
    const one = config.tasks.get('one') as Task
    const client = () => new FakeSqlClient()
    assertEquals(await listKeys(one, client, { count: 2, signal }), ['k:1', 'k:2'])
    await listKeys(one, client, { count: 2, params: { days: 9 }, signal })
    assertEquals(seen, [{ days: 3 }, { days: 9 }])
  })

  it('can’t list a task without select', async () => {
    const error = await assertRejects(
      () => listKeys(task('named'), () => new FakeSqlClient(), { count: 1, signal }),
      PrewarmError,
    )
    assertEquals(error.code, 'CONFIG_INVALID')
  })
})
