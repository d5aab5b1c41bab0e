import { createWarmer } from './compose.ts'
import { currentRuntime } from './runtime/index.ts'
import type { Runtime } from './runtime/types.ts'
import { BunCacheWarmer as TaskWarmer } from './warming/bun-cache-warmer.ts'
import { Measurements } from './warming/measure.ts'
import type { BunCacheWarmerOptions } from './warming/task-options.ts'

let runtime: Runtime | undefined
function nowNs(): number {
  runtime ??= currentRuntime()
  return runtime.nowNs()
}

/**
 * Runs named functions in order of priority and stores what they return, with a warmer that lasts for one `executeTasks`.
 * Runs in any runtime that prewarm runs in.
 */
export class BunCacheWarmer extends TaskWarmer {
  constructor(options: BunCacheWarmerOptions = {}) {
    super(options, { createWarmer, env: () => currentRuntime().env, nowNs, nowMs: () => Date.now() })
  }
}

/** Measures functions by name, in nanoseconds: `performance.measure('users', () => warmUsers())`, `performance.summary()`. */
export const performance: Measurements = new Measurements({ nowNs })
