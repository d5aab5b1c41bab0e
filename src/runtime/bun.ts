import { closeSync, openSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import { fileExists, importFile, parentPort, resolvePath, workerPort } from './common.ts'
import type { Runtime } from './types.ts'

/** What a configuration may import of prewarm, as `exports` in package.json has it. */
const MODULES = {
  prewarm: '../index.ts',
  'prewarm/recipes/cars': '../recipes/cars/index.ts',
  'prewarm/recipes/sessions': '../recipes/sessions/index.ts',
}

/** prewarm under Bun. */
export function bunRuntime(): Runtime {
  let aliased = false
  return {
    name: 'bun',
    cores: availableParallelism(),
    env: process.env,
    nowNs: Bun.nanoseconds,
    resolvePath,
    fileExists,
    async importConfig(file) {
      if (!aliased) {
        aliased = true
        Bun.plugin({
          name: 'prewarm',
          setup(build) {
            for (const [name, path] of Object.entries(MODULES)) {
              const load = async () => ({
                exports: await import(new URL(path, import.meta.url).href),
                loader: 'object' as const,
              })
              build.module(name, load)
            }
          },
        })
      }
      return importFile(file)
    },
    startWorker: (url, name) => workerPort(new Worker(url.href, { type: 'module', name, smol: true })),
    parentPort,
    spawnDetached(args, logFile) {
      const log = openSync(logFile, 'a', 0o600)
      try {
        const child = Bun.spawn([process.execPath, ...args], {
          detached: true,
          stdin: 'ignore',
          stdout: log,
          stderr: log,
        })
        child.unref()
        return { pid: child.pid }
      } finally {
        closeSync(log)
      }
    },
  }
}
