import { describe, it } from 'node:test'
import { assert, assertEquals, assertRejects } from '@std/assert'
import type { LoadOptions } from '../../src/config/define.ts'
import { PrewarmError } from '../../src/errors.ts'
import { isRetryable } from '../../src/origin/failure.ts'
import { FunctionOrigin } from '../../src/origin/function.ts'
import type { ReadOptions } from '../../src/origin/types.ts'
import { FakeSqlClient } from '../fakes/sql-client.ts'
import { keys, loadTask } from '../fakes/tasks.ts'

const options = (more: Partial<ReadOptions> = {}): ReadOptions => {
  const signal = new AbortController().signal
  return { params: {}, timeoutMs: 60_000, signal, requestIntervalMs: 0, traceId: '1'.repeat(32), ...more }
}

function read(load: LoadOptions['load'], more: Partial<ReadOptions> = {}) {
  const origin = new FunctionOrigin(loadTask({ load }), () => new FakeSqlClient())
  return origin.read({ kind: 'keys', keys: keys(3) }, options(more))
}

/** What `load` may return for three keys, and the values that come of it. */
const RETURNED: [string, unknown, unknown[]][] = [
  [
    'a Map',
    new Map([
      ['k:2', 'b'],
      ['k:1', 'a'],
      ['k:3', 'c'],
    ]),
    ['a', 'b', 'c'],
  ],
  [
    'a promise',
    Promise.resolve(
      new Map([
        ['k:1', 'a'],
        ['k:2', 'b'],
        ['k:3', 'c'],
      ]),
    ),
    ['a', 'b', 'c'],
  ],
  ['an object', { 'k:3': 'c', 'k:1': 'a', 'k:2': 'b' }, ['a', 'b', 'c']],
  ['an object without prototype', Object.assign(Object.create(null), { 'k:1': 1, 'k:2': 2, 'k:3': 3 }), [1, 2, 3]],
  ['a list in the keys’ order', ['a', 'b', 'c'], ['a', 'b', 'c']],
  ['values that are false', [0, '', false], [0, '', false]],
  [
    'more than was asked for',
    new Map([
      ['k:1', 1],
      ['k:2', 2],
      ['k:3', 3],
      ['k:4', 4],
    ]),
    [1, 2, 3],
  ],
]

const WRONG: [string, unknown, string][] = [
  ['a list that is too short', ['a', 'b'], 'a list of 2 for 3 keys'],
  ['a list that is too long', ['a', 'b', 'c', 'd'], 'a list of 4 for 3 keys'],
  ['nothing', undefined, 'undefined'],
  ['null', null, 'null'],
  ['text', 'x', 'x'],
]

const refused = async (work: () => Promise<unknown>): Promise<[string, boolean, string]> => {
  const error = await assertRejects(work, PrewarmError)
  return [error.code, isRetryable(error), error.message]
}

describe('FunctionOrigin', () => {
  for (const [what, returned, values] of RETURNED)
    it(`read takes ${what}`, async () => {
      const { records, failures, requests, done } = await read(() => returned)
      assertEquals(
        records,
        values.map((value, at) => ({ key: `k:${at + 1}`, value })),
      )
      assertEquals([failures, requests, done], [[], 1, true])
    })

  for (const [what, returned, told] of WRONG)
    it(`read refuses ${what}`, async () => {
      const [code, mayPass, message] = await refused(() => read(() => returned))
      assertEquals([code, mayPass], ['ORIGIN_FAILED', false])
      assert(message.startsWith(`load of task 'one' returned ${told}`), message)
    })

  it('read fails each key alone that has no value', async () => {
    for (const returned of [new Map([['k:2', 'b']]), { 'k:2': 'b', 'k:1': null }, [undefined, 'b', null]]) {
      const { records, failures } = await read(() => returned)
      assertEquals(records, [{ key: 'k:2', value: 'b' }])
      assertEquals(
        failures.map(({ key, retryable, failure }) => [key, retryable, failure.code]),
        [
          ['k:1', false, 'ORIGIN_NO_VALUE'],
          ['k:3', false, 'ORIGIN_NO_VALUE'],
        ],
      )
    }
  })

  it('read takes no value from a prototype', async () => {
    const origin = new FunctionOrigin(loadTask({ key: '{id}', load: () => ({}) }), () => new FakeSqlClient())
    const { records, failures } = await origin.read({ kind: 'keys', keys: ['toString', 'constructor'] }, options())
    assertEquals([records.length, failures.length], [0, 2])
  })

  it('read may try again what threw, whenever it threw', async () => {
    const throwing: LoadOptions['load'][] = [
      () => {
        throw new Error('broken redis://u:s3cret@h')
      },
      async () => {
        throw new Error('broken redis://u:s3cret@h')
      },
    ]
    for (const load of throwing)
      assertEquals(await refused(() => read(load)), [
        'ORIGIN_FAILED',
        true,
        "load of task 'one' threw: broken redis://***@h",
      ])
  })

  it('read tells a database’s error as such', async () => {
    const thrown = (code: string) => () => {
      throw Object.assign(new Error('x'), { name: 'PostgresError', code })
    }
    const codes = ['57014', '08006', '42601', '40001']
    const told = await Promise.all(codes.map((code) => refused(() => read(thrown(code)))))
    assertEquals(
      told.map(([code, mayPass]) => [code, mayPass]),
      [
        ['ORIGIN_TIMEOUT', true],
        ['ORIGIN_UNREACHABLE', true],
        ['ORIGIN_FAILED', false],
        ['ORIGIN_FAILED', true],
      ],
    )
  })

  it('read bounds the function in time and tells it so', async () => {
    let aborted = false
    const never: LoadOptions['load'] = (_, { signal }) => {
      signal.addEventListener('abort', () => {
        aborted = true
      })
      return new Promise(() => {})
    }
    const [code, mayPass] = await refused(() => read(never, { timeoutMs: 2 }))
    assertEquals([code, mayPass, aborted], ['ORIGIN_TIMEOUT', true, true])
  })

  it('read ends when the job is cancelled, though the function does not listen', async () => {
    const abort = new AbortController()
    const reading = read(() => new Promise(() => {}), { signal: abort.signal })
    abort.abort()
    assertEquals((await refused(() => reading)).slice(0, 2), ['JOB_CANCELLED', false])
  })
})
