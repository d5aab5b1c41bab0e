import { closeSync, openSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import { fileExists, importFile, parentPort, resolvePath, workerPort } from './common.ts'
import type { Runtime } from './types.ts'

const INDEX = new URL('../index.ts', import.meta.url)

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
        const exports = (await import(INDEX.href)) as Record<string, unknown>
        Bun.plugin({
          name: 'prewarm',
          setup: (build) => void build.module('prewarm', () => ({ exports, loader: 'object' })),
        })
      }
      return importFile(file)
    },
    startWorker: (url, name) => workerPort(new Worker(url.href, { type: 'module', name })),
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
