import { describe, it } from 'node:test'
import { assert, assertEquals, assertRejects, assertThrows } from '@std/assert'
import { sql } from '../../src/config/define.ts'
import { loadConfig, resolveConfig } from '../../src/config/load.ts'
import { PrewarmError } from '../../src/errors.ts'
import type { Runtime } from '../../src/runtime/types.ts'

/** A runtime whose files are these modules. */
function runtimeOf(files: Record<string, () => { default?: unknown }>) {
  const imported: string[] = []
  const runtime = {
    cores: 2,
    env: {},
    resolvePath: (path: string) => `/work/${path}`,
    fileExists: async (path: string) => path.replace('/work/', '') in files,
    importConfig: async (path: string) => {
      imported.push(path)
      return files[path.replace('/work/', '')]?.() ?? {}
    },
  }
  return { runtime: runtime as unknown as Runtime, imported }
}

const inputs = { nowMs: 0 }
const definition = { tasks: { one: sql({ key: 'k:{id}', value: 'hash', query: 'select 1' }) } }

describe('loadConfig', () => {
  it('loadConfig takes prewarm.config.ts, else .js, else .mjs', async () => {
    for (const [names, expected] of [
      [['prewarm.config.mjs', 'prewarm.config.js', 'prewarm.config.ts'], 'prewarm.config.ts'],
      [['prewarm.config.mjs', 'prewarm.config.js'], 'prewarm.config.js'],
      [['prewarm.config.mjs'], 'prewarm.config.mjs'],
    ] as [string[], string][]) {
      const { runtime, imported } = runtimeOf(
        Object.fromEntries(names.map((name) => [name, () => ({ default: definition })])),
      )
      const config = await loadConfig(undefined, inputs, runtime)
      assertEquals([imported, config.file], [[`/work/${expected}`], `/work/${expected}`])
      assertEquals([[...config.tasks.keys()], config.settings.workers], [['one'], 2])
    }
  })

  it('loadConfig takes the file that is named, and no other', async () => {
    const files = { 'prewarm.config.ts': () => ({}), 'mine.ts': () => ({ default: definition }) }
    assertEquals((await loadConfig('mine.ts', inputs, runtimeOf(files).runtime)).file, '/work/mine.ts')
    const error = await assertRejects(() => loadConfig('other.ts', inputs, runtimeOf(files).runtime), PrewarmError)
    assertEquals([error.code, error.message.includes('There is no file other.ts')], ['CONFIG_NOT_FOUND', true])
  })

  it('loadConfig tells where it looked', async () => {
    const error = await assertRejects(() => loadConfig(undefined, inputs, runtimeOf({}).runtime), PrewarmError)
    assertEquals(error.code, 'CONFIG_NOT_FOUND')
    for (const part of ['prewarm.config.ts', '/work/.', 'prewarm init', '--config'])
      assert(error.message.includes(part), error.message)
  })

  it('loadConfig tells what the file threw, without its passwords', async () => {
    const files = {
      'prewarm.config.ts': () => {
        throw new Error('no redis://u:s3cret@h')
      },
    }
    const error = await assertRejects(() => loadConfig(undefined, inputs, runtimeOf(files).runtime), PrewarmError)
    assertEquals(
      [error.code, error.message],
      ['CONFIG_INVALID', 'Cannot import /work/prewarm.config.ts: no redis://***@h'],
    )
  })

  it('loadConfig refuses a file without a default export', async () => {
    for (const module of [{}, { default: undefined }, { default: null }, { default: 'x' }]) {
      const { runtime } = runtimeOf({ 'prewarm.config.ts': () => module })
      const error = await assertRejects(() => loadConfig(undefined, inputs, runtime), PrewarmError)
      assertEquals([error.code, error.message.includes('has no default export')], ['CONFIG_INVALID', true])
    }
  })
})

describe('resolveConfig', () => {
  it('resolveConfig names the task whose key or query is wrong', () => {
    for (const options of [{ key: 'k:{id' }, { query: 'select $1' }, { query: 'select 1; select 2' }]) {
      const bad = sql({ key: 'k:{id}', value: 'hash', query: 'select 1', ...options })
      const error = assertThrows(
        () => resolveConfig({ tasks: { fine: definition.tasks.one, bad } }, {}, 1),
        PrewarmError,
      )
      assertEquals([error.code, error.message.startsWith('tasks.bad: ')], ['CONFIG_INVALID', true])
    }
  })

  it('resolveConfig keeps only prewarm’s own variables', () => {
    const env = { REDIS_URL: 'redis://h', SECRET: 'x' }
    assertEquals(resolveConfig(definition, { env }, 1).env, { REDIS_URL: 'redis://h' })
  })

  it('resolveConfig reads an order key with its direction', () => {
    const orderBy = ['created_at desc', 'id', ' name ASC ', 'a b']
    const tasks = { one: sql({ key: 'k:{id}', value: 'hash', query: 'select 1', orderBy }) }
    const task = resolveConfig({ tasks }, {}, 1).tasks.get('one')
    assertEquals(task?.kind === 'sql' && task.orderBy, [
      { column: 'created_at', descending: true },
      { column: 'id', descending: false },
      { column: 'name', descending: false },
      { column: 'a b', descending: false },
    ])
  })
})
