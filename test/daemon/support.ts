/** Daemons as a user runs them: other processes, found by their files, ended with the test whatever happens. */
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import process from 'node:process'
import { Machine } from '../cli/support.ts'

/** Bound on one test: it starts several processes. */
export const SLOW = { timeout: 60_000 }

/**
 * `quick` is warmed at once; `slow` reads nothing before the file `go` is there. What they warm stands in `values.ts`, which the
 * configuration imports.
 */
export const configText = (inside = '') => `
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { defineConfig, load } from 'prewarm'
import { VALUE } from './values.ts'

const ids = Array.from({ length: 100 }, (_, id) => ({ id }))
const go = join(import.meta.dirname, 'go')
export default defineConfig({
  workers: 1,
  tasks: {
    quick: load({ key: 'quick:{id}', value: 'string', select: () => ids, load: async (keys) => new Map(keys.map((key) => [key, VALUE])) }),
    slow: load({
      key: 'slow:{id}', value: 'string', timeoutMs: '2m', select: () => ids,
      async load(keys, { signal }) {
        while (!existsSync(go) && !signal.aborted) await new Promise((resolve) => setTimeout(resolve, 20))
        return new Map(keys.map((key) => [key, VALUE]))
      },
    }),
  },
  control: { rateLimits: { warm: 10_000, status: 10_000 } },
  ${inside}
})
`

export class DaemonMachine extends Machine {
  readonly runtime = join(this.home, 'run')
  readonly config = join(this.home, 'prewarm.config.ts')

  constructor() {
    super()
    mkdirSync(this.runtime, { mode: 0o700 })
    this.env = { XDG_RUNTIME_DIR: this.runtime }
    this.configure()
  }

  configure({ inside = '', value = 'first' }: { inside?: string; value?: string } = {}): void {
    writeFileSync(this.config, configText(inside))
    writeFileSync(join(this.home, 'values.ts'), `export const VALUE = '${value}'\n`)
  }

  /** Lets `slow` end. */
  go(): void {
    writeFileSync(join(this.home, 'go'), '')
  }

  folder(name = 'default'): string {
    return join(this.runtime, 'prewarm', name)
  }

  /** Starts a daemon on a free port; its pid and where it listens. */
  async daemon(...args: string[]): Promise<{ pid: number; url: string; log: string }> {
    const { code, answer, stderr } = await this.json('daemon', 'start', '--port', '0', ...args)
    if (code !== 0) throw new Error(`the daemon did not start: ${stderr}`)
    return answer
  }

  /** Ends what still runs, and removes everything; throws if a test left a daemon behind. */
  override remove(): void {
    const left = processesNaming(this.home)
    for (const pid of left) process.kill(pid, 'SIGKILL')
    super.remove()
    if (left.length > 0) throw new Error(`left running: ${left}`)
  }
}

/** One call of the HTTP API. */
export async function call(
  url: string,
  method: 'GET' | 'POST',
  path: string,
  body?: object,
  // biome-ignore lint/suspicious/noExplicitAny: each route's answer is its own
): Promise<{ status: number; body: any }> {
  const headers = body === undefined ? {} : { 'content-type': 'application/json' }
  const init = { method, headers, ...(body === undefined ? {} : { body: JSON.stringify(body) }) }
  const response = await fetch(`${url}${path}`, init)
  return { status: response.status, body: await response.json() }
}

/** Processes whose environment or arguments name this folder, which only the test's own do. */
export function processesNaming(text: string): number[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name) && Number(name) !== process.pid)
    .map(Number)
    .filter((pid) => {
      try {
        return ['cmdline', 'environ'].some((file) => readFileSync(`/proc/${pid}/${file}`, 'utf8').includes(text))
      } catch {
        return false
      }
    })
}
