import { getLogger } from '@logtape/logtape'
import { readEnvironment } from './config/environment.ts'
import { currentRuntime } from './runtime/index.ts'

const log = getLogger(['prewarm'])

/**
 * Warms in the background of the program that imports this, where `ENABLE_CACHE_WARMING_ON_STARTUP` is true: everything that
 * `prewarm.config.ts` in the working directory declares, once. Resolves when that has ended; never rejects.
 */
export const startup: Promise<void> = warmInBackground()

async function warmInBackground(): Promise<void> {
  try {
    const { ENABLE_CACHE_WARMING_ON_STARTUP } = currentRuntime().env
    if (readEnvironment({ ENABLE_CACHE_WARMING_ON_STARTUP }).startupEnabled !== true) return
    // Only now: a program that does not warm does not load it.
    const { createWarmer } = await import('./compose.ts')
    const warmer = await createWarmer({ onNotice: (text) => log.warn('{text}', { text }) })
    try {
      await warmer.warmOnStartup()
    } finally {
      await warmer.stop()
    }
  } catch (error) {
    log.error('could not warm at the start: {error}', { error })
  }
}
