import { after, before, describe, it } from 'node:test'
import { assert, assertEquals } from '@std/assert'
import fc from 'fast-check'
import { type BatchEdges, type BatchOptions, runBatch } from '../../src/batch.ts'
import { FILL } from '../../src/cache/scripts.ts'
import type { CacheLink } from '../../src/cache/tier.ts'
import type { TieredCache } from '../../src/cache/tiered.ts'
import { load } from '../../src/config/define.ts'
import type { LoadTask } from '../../src/config/task.ts'
import { FunctionOrigin } from '../../src/origin/function.ts'
import { RedisStore } from '../../src/store/redis.ts'
import { taskOf } from '../fakes/tasks.ts'
import { openCache } from '../support/caches.ts'
import { clock, sleep } from '../support/coordination.ts'
import { checkAsync } from '../support/property.ts'
import { type RedisServer, startRedisServer } from '../support/servers.ts'

/** What one actor does with one key; delays in ms: before it begins, and while it holds what it has read or is to tell of. */
type Step = { act: 'read' | 'fresh' | 'write' | 'tag' | 'set' | 'warm'; cache: 0 | 1; startMs: number; heldMs: number }

const RUNS = 60
/** Keys of one run; each has an interleaving of its own. */
const KEYS = 50

const ms = (max: number) => fc.integer({ min: 0, max })
const cacheNumber = fc.constantFrom(0 as const, 1 as const)
const stepsOf = (...acts: Step['act'][]) =>
  fc.array(fc.record({ act: fc.constantFrom(...acts), cache: cacheNumber, startMs: ms(12), heldMs: ms(8) }), {
    minLength: 3,
    maxLength: 10,
  })
/** The application tells of a change by a delete, a tag, or a set with a version; mixed with a delete a set can't know its place. */
const story = fc.oneof(
  { arbitrary: stepsOf('read', 'read', 'fresh', 'write', 'warm'), weight: 3 },
  { arbitrary: stepsOf('read', 'read', 'fresh', 'tag'), weight: 1 },
  { arbitrary: stepsOf('read', 'read', 'fresh', 'set', 'warm'), weight: 2 },
)

describe('interleavings of readers, writers, invalidators and warmers', () => {
  let server: RedisServer
  let store: RedisStore
  before(async () => {
    server = await startRedisServer()
    store = new RedisStore({ url: server.url, clock })
    await store.connect(5000)
  })
  after(async () => {
    await store.close()
    await server.stop()
  })

  it(`leave no wrong value at rest: ${RUNS * KEYS} of them`, async () => {
    const caches = await openTwo(server.url)
    let round = 0
    let held = 0
    try {
      await checkAsync(
        fc.asyncProperty(fc.array(story, { minLength: KEYS, maxLength: KEYS }), async (stories) => {
          const { wrong, checked } = await play(caches, store, stories, `a${round++}`)
          assertEquals(wrong, [])
          held += checked
        }),
        RUNS,
      )
      assert(held > RUNS * KEYS, `only ${held} values were there to be wrong`)
    } finally {
      await Promise.all(caches.map((cache) => cache.close()))
    }
  })

  it('leave wrong values where nobody compares tickets: the same without the guard', async () => {
    const caches = await openTwo(server.url, withoutTickets)
    const careless = Object.create(store, {
      write: {
        value: (entries: never, options: object) => store.write(entries, { ...options, ticket: undefined } as never),
      },
      begin: { value: () => store.begin() },
    }) as RedisStore
    let wrong = 0
    try {
      for (let round = 0; round < RUNS && wrong === 0; round++) {
        const stories = fc.sample(story, { numRuns: KEYS, seed: round })
        wrong += (await play(caches, careless, stories, `b${round}`)).wrong.length
      }
    } finally {
      await Promise.all(caches.map((cache) => cache.close()))
    }
    assert(wrong > 0, 'the test can not tell a guarded cache from an unguarded one')
  })
})

function openTwo(url: string, around?: (link: CacheLink) => CacheLink): Promise<TieredCache[]> {
  const options = { negativeTtl: 0, refreshAhead: 1, ...(around === undefined ? {} : { around }) }
  return Promise.all([openCache(url, options), openCache(url, options)])
}

/** Every load looks as if it had begun just now, and held every lease. */
function withoutTickets(link: CacheLink): CacheLink {
  return {
    script(script, keys, args) {
      if (script !== FILL) return link.script(script, keys, args)
      const [, , , ...rest] = args
      return link.script(script, keys, ['9007199254740991', '', 'o', ...rest])
    },
    scan: (glob) => link.scan(glob),
    get hearing() {
      return link.hearing
    },
    close: () => link.close(),
  }
}

/** Plays all stories at once, each on its own key, and returns what is wrong when everything has ended. */
async function play(
  caches: readonly TieredCache[],
  store: RedisStore,
  stories: readonly Step[][],
  name: string,
): Promise<{ wrong: string[]; checked: number }> {
  const origin = new Map<string, number>()
  let newest = 0
  const read = async (key: string, heldMs: number) => {
    const value = origin.get(key)
    await sleep(heldMs)
    return value
  }
  const step = async (key: string, { act, cache: number, startMs, heldMs }: Step, tags: string[]) => {
    await sleep(startMs)
    const cache = caches[number] as TieredCache
    if (act === 'read') await cache.get(key, { load: () => read(key, heldMs), tags })
    else if (act === 'fresh') await cache.get(key, { load: () => read(key, heldMs), tags, fresh: true })
    else if (act === 'warm') await warm(store, key, () => read(key, heldMs))
    else {
      const value = ++newest
      origin.set(key, value)
      await sleep(heldMs / 2)
      if (act === 'write') await cache.delete(key)
      else if (act === 'tag') await cache.invalidateTags(...tags)
      else await cache.set(key, value, { version: value })
    }
  }
  const keys = stories.map((_, index) => `${name}:${index}`)
  for (const key of keys) origin.set(key, ++newest)
  await Promise.all(
    stories.flatMap((steps, index) => {
      const key = keys[index] as string
      const tags = steps.some(({ act }) => act === 'tag') ? [`t:${key}`] : []
      return steps.map((one) => step(key, one, tags))
    }),
  )
  // What is heard of others' changes has a way to go, and refreshes in the background to end.
  await sleep(50)
  const wrong: string[] = []
  let checked = 0
  for (const [number, cache] of caches.entries()) {
    const values = await Promise.all(keys.map((key) => cache.read<number>(key)))
    for (const [index, { value, tier }] of values.entries()) {
      const key = keys[index] as string
      if (value === undefined) continue
      checked++
      if (value === origin.get(key)) continue
      wrong.push(
        `${key} is ${value} in the ${tier} of cache ${number}, not ${origin.get(key)}: ${JSON.stringify(stories[index])}`,
      )
    }
  }
  return { wrong, checked }
}

async function warm(store: RedisStore, key: string, read: () => Promise<unknown>): Promise<void> {
  const task = taskOf(load({ key: '{a}:{b}', ttl: '1m', load: async (keys) => new Map([[keys[0], await read()]]) }))
  const options: BatchOptions = {
    ...{ params: {}, timeoutMs: 5000, requestIntervalMs: 0, traceId: '0'.repeat(32), storeTimeoutMs: 5000 },
    ...{ backoffBaseMs: 1, ttlMs: task.ttlMs, retries: 0, keyEvents: 0, signal: new AbortController().signal },
  }
  const edges: BatchEdges = {
    store,
    clock,
    random: Math.random,
    origin: new FunctionOrigin(task as LoadTask, () => null as never),
  }
  await runBatch(task, { kind: 'keys', keys: [key] }, options, edges)
}
