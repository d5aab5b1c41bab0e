import { describe, it } from 'node:test'
import { assertEquals, assertRejects } from '@std/assert'
import { createCache, PrewarmError } from '../../src/index.ts'

describe('createCache', () => {
  it('refuses a warmer that was not awaited', async () => {
    const error = await assertRejects(
      () => createCache({ warmer: Promise.resolve({}) as never }),
      PrewarmError,
      'await it',
    )
    assertEquals(error.code, 'USAGE')
  })

  it('refuses two sources of keyspaces, by name, before it starts anything', async () => {
    const error = await assertRejects(
      () => createCache({ config: { tasks: {} }, file: 'nowhere.config.ts', env: {} }),
      PrewarmError,
      'config and file are given',
    )
    assertEquals(error.code, 'USAGE')
  })
})
