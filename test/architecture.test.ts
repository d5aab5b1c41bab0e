import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { pathToFileURL } from 'node:url'
import { assert, assertEquals } from '@std/assert'
import { DRIVERS, EXCEPTIONS, layerOf, objection } from './support/layers.ts'
import { codeOf, importsComputed, importsOf, ROOT, sourceFiles, sourceOf } from './support/source.ts'

const FILES = sourceFiles('src', 'workers')

/** Top level, as DESIGN.md says. Names that begin with a dot are free. */
const TOP_LEVEL = [
  ...['src', 'workers', 'bench', 'test', 'node_modules'],
  ...['bunfig.toml', 'deno.json', 'package.json', 'tsconfig.json', 'bun.lock'],
  ...['README.md', 'LICENSE', 'CHANGELOG.md'],
]

/** Programs: importing one runs it, which is what it is for. */
const PROGRAMS = ['src/cli/main.ts', 'workers/warm-worker.ts', 'workers/predict-worker.ts']

/** Files above 300 lines, each with its reason. */
const LONG: Record<string, string> = {
  'src/warmer.ts': 'the facade: a short method for each thing that the faces may ask, and no more',
}

/** The mechanisms that must take a Clock and a random function. */
const PURE =
  /^src\/((config|keyspace|job|queue|codec|events|learn|gain|optimize)\/|predict\/(?!onnx\.ts)|snapshot\/(?!file)|copy\/(?!redis)|schedule\/(?!startup)|coordination\/(?!redis-commands)|cache\/(?!redis-link)|metrics\/(?!prometheus|tracer)|origin\/(token-bucket|rate|breaker|guard|emergency|gradient|latency-window|retry-after|batch-end|backoff|sql-text|ranges|keys|keyed|failure|types|sql-client)\.ts|store\/(?!redis\.ts)|pool\/protocol\.ts|types\.ts|errors\.ts)/
const IMPURE =
  /\bDate\.now\b|\bnew Date\(\)|\bperformance\.now\b|\bMath\.random\b|\b(set(Timeout|Interval|Immediate)|queueMicrotask)\b|\b(Bun|Deno|process)\.|(?<!\.|#|async )\bfetch\(|\bglobalThis\b/

describe('architecture', () => {
  it('every file belongs to a layer', () => {
    assertEquals(
      FILES.filter((file) => layerOf(file) === undefined),
      [],
    )
  })

  it('imports point down, as the layer table says', () => {
    const found = FILES.flatMap((file) => importsOf(file, sourceOf(file)).map((one) => objection(file, one)))
    assertEquals([...new Set(found.filter((one) => one !== null))], [])
  })

  it('exceptions from the layer table are still needed', () => {
    for (const { file, target } of EXCEPTIONS) {
      assert(
        importsOf(file, sourceOf(file)).some((one) => one.target === target && !one.isType),
        `${file} no longer imports ${target}`,
      )
    }
  })

  it('an edge file stands over one third-party package, and a driver under one edge', () => {
    const owners = new Map<string, string[]>()
    for (const file of FILES.filter((one) => layerOf(one) === 'edges')) {
      const packages = new Set(
        importsOf(file, sourceOf(file))
          .filter(({ target, isType }) => !isType && !target.startsWith('node:') && !target.endsWith('.ts'))
          .map(({ target }) => target),
      )
      assert(packages.size <= 1, `${file} imports ${[...packages].join(' and ')}`)
      for (const name of packages) owners.set(name, [...(owners.get(name) ?? []), file])
    }
    for (const name of DRIVERS.filter((one) => one !== 'ioredis'))
      assert((owners.get(name)?.length ?? 0) <= 1, `${name}: ${owners.get(name)}`)
    assertEquals(
      [owners.get('ioredis'), owners.get('postgres')],
      [
        ['src/cache/redis-link.ts', 'src/coordination/redis-commands.ts', 'src/copy/redis.ts', 'src/store/redis.ts'],
        ['src/origin/postgres.ts'],
      ],
    )
  })

  it('imports whose name only shows at run time are the runtime’s alone', () => {
    const computed = FILES.filter((file) => importsComputed(sourceOf(file)))
    assertEquals(
      computed.filter((file) => !file.startsWith('src/runtime/')),
      [],
    )
    assert(computed.includes('src/runtime/common.ts'))
  })

  it('mechanisms know no clock, timer, runtime or chance of their own', () => {
    const found = FILES.filter((file) => PURE.test(file)).flatMap((file) => {
      const global = IMPURE.exec(codeOf(sourceOf(file)))?.[0]
      return global === undefined ? [] : [`${file} uses ${global}`]
    })
    assertEquals(found, [])
  })

  it('index.ts only names what is public', () => {
    const rest = codeOf(sourceOf('src/index.ts')).replace(/^export (type )?\{[\w\s,]*\} from '[^']+'$/gm, '')
    assertEquals(rest.trim(), '')
  })

  it('a file does one thing: none is above 300 lines without a reason', () => {
    const long = FILES.filter((file) => sourceOf(file).trimEnd().split('\n').length > 300)
    assertEquals(
      long.filter((file) => LONG[file] === undefined),
      [],
    )
    assertEquals(
      Object.keys(LONG).filter((file) => !long.includes(file)),
      [],
      'these are short again',
    )
  })

  it('top level holds what the design says, and nothing else', () => {
    const entries = readdirSync(ROOT).filter((name) => !name.startsWith('.'))
    assertEquals(entries.sort(), [...TOP_LEVEL].sort())
  })

  for (const file of FILES.filter((one) => !PROGRAMS.includes(one))) {
    it(`importing ${file} does not throw`, async () => {
      await import(pathToFileURL(join(ROOT, file)).href)
    })
  }
})
