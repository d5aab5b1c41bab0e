import { access } from 'node:fs/promises'
import { resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import { PrewarmError } from '../errors.ts'
import type { ListenAt, WorkerPort } from './types.ts'

export const resolvePath = (path: string): string => resolve(path)

export async function fileExists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  )
}

export const importFile = (file: string): Promise<{ default?: unknown }> => import(pathToFileURL(file).href)

let reads = 0

/** Imports a file once more under a name that was never used. */
export const importFileAgain = (file: string): Promise<{ default?: unknown }> =>
  import(`${pathToFileURL(file).href}?read=${++reads}`)

/** An address as a URL has it. */
export function urlOf(host: string, port: number): string {
  return `http://${host.includes(':') ? `[${host}]` : host}:${port}`
}

/** Why nothing can listen there, as the user can mend it. */
export function listenError(at: ListenAt, error: unknown): PrewarmError {
  const { code } = error as { code?: string }
  const message = error instanceof Error ? error.message : String(error)
  if ('unix' in at) return new PrewarmError('INTERNAL', `Cannot listen at ${at.unix}: ${message}`, { cause: error })
  const { host, port } = at
  const isTaken = code === 'EADDRINUSE'
  const why = isTaken ? `port ${port} of ${host} is taken` : `cannot listen at ${host}, port ${port}: ${message}`
  const fix = isTaken
    ? 'choose another with --port, or 0 for a free one'
    : "check --host (an address of this machine) and --port (below 1024 needs the system's leave)"
  return new PrewarmError('USAGE', `${why}: ${fix}`, { cause: error })
}

/** Ends `graceful`, or `cut`s after `graceMs`. */
export async function stopWithin(graceMs: number, graceful: Promise<unknown>, cut: () => unknown): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>()
  const timer = setTimeout(resolve, graceMs)
  await Promise.race([graceful.catch(() => {}), promise])
  clearTimeout(timer)
  await cut()
}

/** The mailbox of the thread this runs in. */
export function parentPort(): WorkerPort {
  const self = globalThis as unknown as {
    postMessage(message: unknown): void
    addEventListener(type: 'message', listener: (event: MessageEvent) => void): void
    close(): void
  }
  return {
    post: (message) => self.postMessage(message),
    onMessage: (listener) => self.addEventListener('message', (event) => listener(event.data)),
    onExit: () => {},
    terminate: () => self.close(),
  }
}

/** The parts of a web worker that both runtimes have. */
export function workerPort(worker: Worker): WorkerPort {
  const exits = new Set<(reason: string) => void>()
  const exit = (reason: string) => {
    const listeners = [...exits]
    exits.clear()
    for (const listener of listeners) listener(reason)
  }
  worker.addEventListener('error', (event) => {
    // Deno ends the parent as well unless the error is taken here.
    event.preventDefault()
    exit(event.message ?? 'the worker failed')
  })
  worker.addEventListener('close', () => exit('the worker closed'))
  return {
    post: (message) => worker.postMessage(message),
    onMessage: (listener) => worker.addEventListener('message', (event) => listener(event.data)),
    onExit: (listener) => exits.add(listener),
    terminate: () => {
      exits.clear()
      worker.terminate()
    },
  }
}
