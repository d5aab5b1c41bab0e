import type { Task } from '../config/task.ts'
import { PrewarmError } from '../errors.ts'
import type { Origin } from '../origin/types.ts'
import type { Form } from './forms.ts'
import type { Load, Loaded, LoadMissing } from './types.ts'

/** What a load brought for one key; a key that is not in the answer has no value. */
export type Got = { value: unknown; version?: string | undefined } | { error: unknown }

/** Loads keys; throws if the whole load failed. */
export interface LoadAll {
  (keys: readonly string[], signal: AbortSignal): Promise<Map<string, Got>>
  /** Bound on it, ms, where it has one of its own. */
  timeoutMs?: number
  /** Most keys of one call. @default no bound */
  maxKeys?: number
}

function loadOne<T>(load: Load<T>): LoadAll {
  return async ([key = ''], signal) => new Map([[key, { value: await load(key, { signal }) }]])
}

/** @throws {PrewarmError} `ORIGIN_FAILED` for an answer that is none of the three forms */
function loadMany<T>(load: LoadMissing<T>): LoadAll {
  return async (keys, signal) => {
    const loaded = await load([...keys], { signal })
    return new Map(keys.map((key, index) => [key, { value: pick(loaded, key, index, keys.length) }]))
  }
}

function pick<T>(loaded: Loaded<T>, key: string, index: number, count: number): unknown {
  if (loaded instanceof Map) return loaded.get(key)
  if (Array.isArray(loaded)) {
    if (loaded.length === count) return loaded[index]
    const message = `loadMissing returned a list of ${loaded.length} for ${count} keys: return a Map from key to value, or a list in the keys' order`
    throw new PrewarmError('ORIGIN_FAILED', message)
  }
  if (typeof loaded === 'object' && loaded !== null) {
    return Object.hasOwn(loaded, key) ? (loaded as Record<string, unknown>)[key] : undefined
  }
  throw new PrewarmError('ORIGIN_FAILED', `loadMissing returned ${String(loaded)}: return a Map from key to value`)
}

/** Loads by the keyspace's own task, as a warm-up does. */
function loadFrom(task: Task, originOf: (task: Task) => Origin): LoadAll {
  // Not before it is needed: a process without a database reads what others have cached.
  let origin: Origin | undefined
  const load: LoadAll = async (keys, signal) => {
    origin ??= originOf(task)
    const { records, failures } = await origin.read(
      { kind: 'keys', keys },
      { params: task.params.parse({}), timeoutMs: task.timeoutMs, signal, requestIntervalMs: 0, traceId: NO_TRACE },
    )
    const got = new Map<string, Got>(records.map(({ key, value, version }) => [key, { value, version }]))
    for (const { key, failure } of failures) {
      if (key === null || failure.code === 'ORIGIN_NO_VALUE') continue
      const { code, message, detail } = failure
      got.set(key, { error: new PrewarmError(code, message, { detail }) })
    }
    return got
  }
  load.timeoutMs = task.timeoutMs
  // The bound is one for all keys of a call, and these come by one request each.
  load.maxKeys = task.kind === 'http' ? 1 : task.batchSize
  return load
}

const NO_TRACE = '0'.repeat(32)

/** What loads a key: a function that the caller gives, else its keyspace. */
export class Loads {
  readonly #originOf: (task: Task) => Origin
  readonly #own = new Map<Task, LoadAll>()

  constructor(originOf: (task: Task) => Origin) {
    this.#originOf = originOf
  }

  /** Null: nothing can load it. */
  for<T>({ task }: Form, load: Load<T> | undefined): LoadAll | null {
    if (load !== undefined) return loadOne(load)
    if (task === null) return null
    let own = this.#own.get(task)
    if (own === undefined) {
      own = loadFrom(task, this.#originOf)
      this.#own.set(task, own)
    }
    return own
  }

  /** Those that one call loads, together: with the caller's own function all, else as many as a keyspace's batch holds. */
  group<I extends { form: Form }, T>(
    items: readonly I[],
    loadMissing: LoadMissing<T> | undefined,
  ): [LoadAll | null, readonly I[]][] {
    if (items.length === 0) return []
    if (loadMissing !== undefined) return [[loadMany(loadMissing), items]]
    const groups = Map.groupBy(items, ({ form }) => this.for(form, undefined))
    return [...groups].flatMap(([load, all]) => {
      const size = load?.maxKeys ?? all.length
      return Array.from({ length: Math.ceil(all.length / size) }, (_, at): [LoadAll | null, readonly I[]] => [
        load,
        all.slice(at * size, (at + 1) * size),
      ])
    })
  }
}
