import { spawn } from 'node:child_process'
import { chmodSync, closeSync, openSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import process from 'node:process'
import {
  fileExists,
  importFile,
  importFileAgain,
  listenError,
  parentPort,
  resolvePath,
  stopWithin,
  urlOf,
  workerPort,
} from './common.ts'
import type { HttpServing, Listening, Runtime } from './types.ts'

/** The part of Deno's server that is used here. */
interface DenoServer {
  addr: { port?: number }
  finished: Promise<void>
}
declare const Deno: {
  serve(
    options: { hostname?: string; port?: number; path?: string; signal: AbortSignal; onListen(): void },
    handler: (request: Request, info: unknown) => Response | Promise<Response>,
  ): DenoServer
}

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
    importConfigAgain: importFileAgain,
    startWorker: (url, name) => workerPort(new Worker(url.href, { type: 'module', name })),
    parentPort,
    command: [process.execPath, 'run', '-A'],
    spawnDetached(args, logFile, env = process.env) {
      const log = openSync(logFile, 'a', 0o600)
      try {
        const child = spawn(process.execPath, ['run', '-A', ...args], {
          detached: true,
          stdio: ['ignore', log, log],
          env: { ...env },
        })
        const exited = new Promise<number | null>((resolve) => {
          child.once('exit', resolve)
          child.once('error', () => resolve(null))
        })
        child.unref()
        return { pid: child.pid ?? -1, exited }
      } finally {
        closeSync(log)
      }
    },
    serveHttp: async (serving) => serveHttp(serving),
  }
}

/**
 * Deno closes no idle connection whose request is being answered; `idleTimeoutS` is Bun's. A server that shuts
 * down by itself can't be cut off any more, so answers under way are waited for here.
 */
function serveHttp({ fetch, ...at }: HttpServing): Listening {
  const cut = new AbortController()
  const options = { signal: cut.signal, onListen: () => {} }
  const answering = new Set<Promise<Response>>()
  const answer = (request: Request, info: unknown) => {
    const response = (async () => fetch(request, info))()
    answering.add(response)
    const done = () => void answering.delete(response)
    response.then(done, done)
    return response
  }
  const stopper =
    (server: DenoServer) =>
    (graceMs = 1000) =>
      stopWithin(graceMs, Promise.allSettled(answering), () => {
        cut.abort()
        return server.finished
      })
  try {
    if ('unix' in at) {
      const server = Deno.serve({ ...options, path: at.unix }, answer)
      chmodSync(at.unix, 0o600)
      return { url: at.unix, port: 0, stop: stopper(server) }
    }
    const server = Deno.serve({ ...options, hostname: at.host, port: at.port }, answer)
    const port = server.addr.port as number
    return { url: urlOf(at.host, port), port, stop: stopper(server) }
  } catch (error) {
    throw listenError(at, error)
  }
}
