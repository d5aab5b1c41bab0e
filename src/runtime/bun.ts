import { chmodSync, closeSync, openSync, readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { availableParallelism } from 'node:os'
import { dirname, isAbsolute, sep } from 'node:path'
import { fileURLToPath } from 'node:url'
import {
  fileExists,
  importFile,
  listenError,
  parentPort,
  resolvePath,
  stopWithin,
  urlOf,
  workerPort,
} from './common.ts'
import type { HttpServing, Listening, Runtime } from './types.ts'

/** What a configuration may import of prewarm, as `exports` in package.json has it. */
const MODULES = {
  prewarm: '../define.ts',
  'prewarm/recipes/cars': '../recipes/cars/index.ts',
  'prewarm/recipes/sessions': '../recipes/sessions/index.ts',
}

/** This package's own modules. */
const OWN = ['src', 'workers'].map((folder) => fileURLToPath(new URL(`../../${folder}/`, import.meta.url)))

/** Bun keeps ES modules in the cache of CommonJS; a query behind the name would not read the file again. */
async function importAgain(file: string, importConfig: Runtime['importConfig']): Promise<{ default?: unknown }> {
  const { cache } = createRequire(import.meta.url)
  const forget = (paths: Iterable<string>) => {
    for (const path of paths) delete cache[path]
  }
  forget(Object.keys(cache).filter(isUsers))
  const local = localModules(file)
  // What threw while it was imported is in the cache as well, but not among its keys.
  forget(local)
  try {
    return await importConfig(file)
  } catch (error) {
    // What was read but never run, because another module misses one of its exports, can only be forgotten once it has run.
    for (const path of local) await importFile(path).catch(() => {})
    forget(local)
    throw error
  }
}

/** A module that is neither prewarm's own nor of a package. */
function isUsers(path: string): boolean {
  return !OWN.some((folder) => path.startsWith(folder)) && !path.includes(`${sep}node_modules${sep}`)
}

/** A file, and the user's modules that it imports, as it is written now. */
function localModules(file: string, found = new Set<string>()): Set<string> {
  found.add(file)
  try {
    const transpiler = new Bun.Transpiler({ loader: 'tsx' })
    for (const { path } of transpiler.scanImports(readFileSync(file, 'utf8'))) {
      const next = resolveFrom(file, path)
      if (next !== null && isUsers(next) && !found.has(next)) localModules(next, found)
    }
  } catch {
    // A file that can't be read is told by its import.
  }
  return found
}

function resolveFrom(file: string, specifier: string): string | null {
  try {
    const path = Bun.resolveSync(specifier, dirname(file))
    return isAbsolute(path) ? path : null
  } catch {
    return null
  }
}

/** prewarm under Bun. */
export function bunRuntime(): Runtime {
  let aliased = false
  const runtime: Runtime = {
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
    importConfigAgain: (file) => importAgain(file, runtime.importConfig),
    startWorker: (url, name) => workerPort(new Worker(url.href, { type: 'module', name, smol: true })),
    parentPort,
    command: [process.execPath],
    spawnDetached(args, logFile, env) {
      const log = openSync(logFile, 'a', 0o600)
      try {
        const child = Bun.spawn([process.execPath, ...args], {
          detached: true,
          stdin: 'ignore',
          stdout: log,
          stderr: log,
          ...(env === undefined ? {} : { env: { ...env } }),
        })
        child.unref()
        return { pid: child.pid, exited: child.exited.then(() => child.exitCode) }
      } finally {
        closeSync(log)
      }
    },
    serveHttp: async (serving) => serveHttp(serving),
  }
  return runtime
}

function serveHttp({ fetch, idleTimeoutS = 60, ...at }: HttpServing): Listening {
  try {
    if ('unix' in at) {
      const server = Bun.serve({ unix: at.unix, development: false, fetch })
      chmodSync(at.unix, 0o600)
      return { url: at.unix, port: 0, stop: (graceMs) => stopServer(server, graceMs) }
    }
    const { host, port } = at
    const server = Bun.serve({
      hostname: host,
      port,
      idleTimeout: idleTimeoutS,
      development: false,
      // Without a word Bun shares the port with whoever else has it, where this is no development server.
      reusePort: false,
      fetch,
    })
    const taken = server.port as number
    return { url: urlOf(host, taken), port: taken, stop: (graceMs) => stopServer(server, graceMs) }
  } catch (error) {
    throw listenError(at, error)
  }
}

const stopServer = (server: Bun.Server<undefined>, graceMs = 1000) =>
  stopWithin(graceMs, server.stop(false), () => server.stop(true))
