import { bounded } from '../clock.ts'
import type { LoadTask } from '../config/task.ts'
import { PrewarmError } from '../errors.ts'
import { keyedResult } from './keyed.ts'
import { idsOf } from './keys.ts'
import type { SqlClient } from './sql-client.ts'
import type { Origin, ReadOptions, ReadResult, Work } from './types.ts'
import { userContext, userError } from './user.ts'

/** The origin of a `load` task: a function of the user's, called with many keys at once. */
export class FunctionOrigin implements Origin {
  readonly #task: LoadTask
  readonly #client: () => SqlClient

  constructor(task: LoadTask, client: () => SqlClient) {
    this.#task = task
    this.#client = client
  }

  async read(work: Work, { params, timeoutMs, signal }: ReadOptions): Promise<ReadResult> {
    if (work.kind !== 'keys') throw new TypeError(`A load function reads keys by name (task '${this.#task.name}')`)
    const keys = [...work.keys]
    const abort = new AbortController()
    const signals = AbortSignal.any([signal, abort.signal])
    const context = userContext(this.#client, params, signals) as Parameters<LoadTask['load']>[1]
    // Parsed when first asked for: many functions go by the keys alone.
    let ids: Record<string, string>[] | undefined
    Object.defineProperty(context, 'ids', { enumerable: true, get: () => (ids ??= idsOf(this.#task, keys)) })
    let values: unknown
    try {
      const loading = (async () => await this.#task.load(keys, context))()
      values = await bounded(loading, {
        timeoutMs,
        signal,
        what: `load of task '${this.#task.name}'`,
        cancel: () => abort.abort(),
      })
    } catch (error) {
      throw userError(error, `load of task '${this.#task.name}'`)
    }
    return { ...keyedResult(this.#task, work.keys, lookup(values, work.keys, this.#task.name)), requests: 1 }
  }

  async close(): Promise<void> {}
}

/** How to find a key's value in what `load` returned. */
function lookup(values: unknown, keys: readonly string[], task: string): (key: string, index: number) => unknown {
  if (values instanceof Map) return (key) => values.get(key)
  if (Array.isArray(values)) {
    if (values.length !== keys.length) {
      throw new PrewarmError(
        'ORIGIN_FAILED',
        `load of task '${task}' returned a list of ${values.length} for ${keys.length} keys: return a Map from key to value, or a list in the keys' order`,
      )
    }
    return (_, index) => values[index]
  }
  if (typeof values === 'object' && values !== null) {
    const object = values as Record<string, unknown>
    return (key) => (Object.hasOwn(object, key) ? object[key] : undefined)
  }
  throw new PrewarmError(
    'ORIGIN_FAILED',
    `load of task '${task}' returned ${String(values)}: return a Map from key to value`,
  )
}
