import { access } from 'node:fs/promises'
import { resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import type { WorkerPort } from './types.ts'

export const resolvePath = (path: string): string => resolve(path)

export async function fileExists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  )
}

export const importFile = (file: string): Promise<{ default?: unknown }> => import(pathToFileURL(file).href)

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
