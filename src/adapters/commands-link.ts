import type { CacheLink } from '../cache/tier.ts'
import type { Commands, Script } from '../coordination/types.ts'

/** Keys that a page of SCAN looks at. */
const SCAN_COUNT = 1000

/** A {@linkcode CacheLink} for those that keep nothing in memory, and so need not hear of changes: one connection is enough. */
export class CommandsLink implements CacheLink {
  readonly hearing = 'nothing'
  readonly #commands: Commands

  constructor(commands: Commands) {
    this.#commands = commands
  }

  script(script: Script, keys: readonly string[], args: readonly (string | number)[]): Promise<unknown> {
    return this.#commands.script(script, keys, args)
  }

  async *scan(glob: string): AsyncGenerator<string[], void> {
    let cursor = '0'
    do {
      const page = await this.#commands.call('SCAN', cursor, 'MATCH', glob, 'COUNT', SCAN_COUNT)
      const [next, keys] = page as [string, string[]]
      cursor = next
      if (keys.length > 0) yield keys
    } while (cursor !== '0')
  }

  close(): Promise<void> {
    return this.#commands.close()
  }
}
