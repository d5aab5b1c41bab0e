import type { WarmerOptions } from './compose.ts'
import type { Warmer } from './warmer.ts'

// What `prewarm` means in a configuration file: every worker imports that, and needs no more than this.

export type * from './config/define.ts'
export { defineConfig, http, load, sql } from './config/define.ts'
export { isPrewarmError, PrewarmError } from './errors.ts'
export type { Explanation, QueryFacts, Ranking, Strategy, StrategyContext } from './job/strategy/types.ts'
export { keyTemplate } from './keyspace/template.ts'

/** As in `prewarm` itself, which is loaded only when this is called. */
export async function createWarmer(options?: WarmerOptions): Promise<Warmer> {
  const { createWarmer: create } = await import('./compose.ts')
  return create(options)
}
