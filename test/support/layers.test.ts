import { describe, it } from 'node:test'
import { assertEquals } from '@std/assert'
import { objection } from './layers.ts'
import { importsOf } from './source.ts'

describe('importsOf', () => {
  it('importsOf finds every kind of import, and tells types from the rest', () => {
    const source = [
      "import { a, type B } from './b.ts'",
      "import type { C } from '../types.ts'",
      "import {\n  d,\n  e as f,\n} from '@scope/pack/deep'",
      "import g, * as h from 'node:fs'",
      "import 'side-effect/now'",
      "export { i } from './i.ts'",
      "export type { J } from './j.ts'",
      "const k = await import('lazy')",
      "type L = typeof import('only-a-type').default",
      "// import { m } from './comment.ts'",
      "export const text = `import { n } from 'prewarm'`",
    ].join('\n')
    assertEquals(
      importsOf('src/job/a.ts', source).map(({ target, isType }) => `${target}${isType ? ' (type)' : ''}`),
      [
        ...['src/job/b.ts', 'src/types.ts (type)', '@scope/pack', 'node:fs', 'side-effect'],
        ...['src/job/i.ts', 'src/job/j.ts (type)', 'lazy', 'only-a-type (type)'],
      ],
    )
  })
})

/** A file, what it imports, and whether the table lets it. */
const CASES: [string, string, boolean][] = [
  ['src/types.ts', 'src/errors.ts', true],
  ['src/errors.ts', 'src/codec/json.ts', false],
  ['src/errors.ts', 'zod', false],
  ['src/job/lane.ts', 'src/origin/backoff.ts', true],
  ['src/job/plan.ts', 'src/origin/function.ts', false],
  ['src/job/plan.ts', 'src/warmer.ts', false],
  ['src/queue/batch-queue.ts', 'tinyqueue', true],
  ['src/queue/batch-queue.ts', 'ioredis', false],
  ['src/codec/json.ts', 'node:fs', false],
  ['src/origin/http.ts', 'src/origin/keyed.ts', true],
  ['src/origin/http.ts', 'src/origin/postgres.ts', false],
  ['src/origin/http.ts', 'src/batch.ts', false],
  ['src/embedded/redis.ts', 'src/embedded/wasi.ts', true],
  ['src/batch.ts', 'src/codec/index.ts', true],
  ['src/batch.ts', 'src/store/redis.ts', false],
  ['src/warmer.ts', 'src/runtime/index.ts', false],
  ['src/pool/pool.ts', 'src/cli/io.ts', false],
  ['src/pool/pool.ts', 'src/compose.ts', false],
  ['src/compose.ts', 'src/store/redis.ts', true],
  ['src/compose.ts', 'src/cli/io.ts', false],
  ['src/cli/run.ts', 'src/compose.ts', true],
  ['src/cli/plan.ts', 'src/compose.ts', false],
  ['src/cli/plan.ts', 'src/origin/ranges.ts', false],
  ['src/cli/plan.ts', 'postgres', false],
  ['src/cli/plan.ts', 'src/inspect/plan.ts', true],
  ['src/demo/stage.ts', 'src/embedded/redis.ts', true],
  ['src/demo/stage.ts', 'src/embedded/wasi.ts', false],
  ['src/recipes/cars/config.ts', 'src/define.ts', true],
  ['src/recipes/cars/config.ts', 'src/index.ts', false],
  ['src/server/index.ts', 'src/store/redis.ts', false],
  ['src/coordination/lock.ts', 'ioredis', false],
  ['src/schedule/next-run.ts', 'src/warmer.ts', false],
  ['src/cache/redis-link.ts', 'ioredis', true],
  ['src/cache/hearing.ts', 'ioredis', false],
  ['src/cache/redis-tier.ts', 'src/cache/redis-link.ts', false],
  ['src/cache/tier.ts', 'src/cache/scripts.ts', false],
  ['src/cache/fetcher.ts', 'src/cache/tiered.ts', false],
  ['src/cache/tiered.ts', 'src/cache/redis-tier.ts', true],
  ['src/compose-cache.ts', 'src/cache/redis-link.ts', true],
  ['src/cli/stats.ts', 'src/compose-cache.ts', false],
  ['src/recipes/cars/config.ts', 'src/warmer.ts', false],
  ['src/elsewhere/new.ts', 'src/types.ts', false],
]

describe('objection', () => {
  for (const [file, target, isFine] of CASES) {
    it(`objection ${isFine ? 'lets' : 'keeps'} ${file} ${isFine ? 'import' : 'from'} ${target}`, () => {
      assertEquals(objection(file, { target, isType: false }) === null, isFine)
      assertEquals(objection(file, { target, isType: true }), null)
    })
  }
})
