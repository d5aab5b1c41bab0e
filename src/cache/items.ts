import { type Form, hashTags } from './forms.ts'
import { createItem, type Item } from './item.ts'
import type { MemoryLayer } from './memory.ts'
import { type CacheLimits, entryTimes } from './options.ts'
import { checkTags } from './tags.ts'
import type { EntryOptions, FilledBy, GetOptions } from './types.ts'

/** What a call says of how its keys are kept. */
export type Given = EntryOptions & Pick<GetOptions<unknown>, 'negativeTtl'>

/** Makes items of keys: each is a question to Redis from then on, to be ended by `memory.done`. */
export class Items {
  readonly #formOf: (key: string) => Form
  readonly #memory: MemoryLayer
  readonly #limits: CacheLimits

  constructor(formOf: (key: string) => Form, memory: MemoryLayer, limits: CacheLimits) {
    this.#formOf = formOf
    this.#memory = memory
    this.#limits = limits
  }

  /** @throws {PrewarmError} `KEY_INVALID`, `USAGE` */
  one(key: string, options: Given, filledBy: FilledBy = 'read'): Item {
    const form = this.#formOf(key)
    const tags = checkTags(options.tags ?? [])
    if (tags.length > 0 && form.type === 'hash') throw hashTags(key, form.type)
    return createItem(key, form, entryTimes(options), this.#limits, this.#memory.ask(key), { tags, filledBy })
  }

  /** All or none. @throws as `one` */
  all(keys: readonly string[], options: Given, filledBy?: FilledBy): Item[] {
    const items: Item[] = []
    try {
      for (const key of keys) items.push(this.one(key, options, filledBy))
      return items
    } catch (error) {
      for (const { asked } of items) this.#memory.done(asked)
      throw error
    }
  }
}
