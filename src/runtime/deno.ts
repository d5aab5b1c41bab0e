import { spawn } from 'node:child_process'
import { closeSync, openSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import process from 'node:process'
import { fileExists, importFile, parentPort, resolvePath, workerPort } from './common.ts'
import type { Runtime } from './types.ts'

/** prewarm under Deno. In a configuration, `prewarm` is what the project's import map or package.json says. */
export function denoRuntime(): Runtime {
  return {
    name: 'deno',
    cores: availableParallelism(),
    env: process.env,
    nowNs: () => Math.round(performance.now() * 1e6),
    resolvePath,
    fileExists,
    importConfig: importFile,
    startWorker: (url, name) => workerPort(new Worker(url.href, { type: 'module', name })),
    parentPort,
    spawnDetached(args, logFile) {
      const log = openSync(logFile, 'a', 0o600)
      try {
        const child = spawn(process.execPath, ['run', '-A', ...args], { detached: true, stdio: ['ignore', log, log] })
        child.unref()
        return { pid: child.pid ?? -1 }
      } finally {
        closeSync(log)
      }
    },
  }
}
