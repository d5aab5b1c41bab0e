import { bunRuntime } from './bun.ts'
import { denoRuntime } from './deno.ts'
import type { Runtime } from './types.ts'

/** The runtime this program runs in. */
export function currentRuntime(): Runtime {
  return 'Deno' in globalThis ? denoRuntime() : bunRuntime()
}
