/** Hosts one Valkey in a worker thread. Started by redis.ts only; imported elsewhere it waits for a message that never comes. */
import { readFile } from 'node:fs/promises'
import { ValkeyHost } from './valkey-host.ts'
import { GuestMemory, wasiImports } from './wasi.ts'

/** Main thread to worker. */
export type ValkeyRequest = { type: 'start'; wasmPath: string; port: number } | { type: 'stop' }
/** Worker to main thread. */
export type ValkeyReply = { type: 'ready'; port: number } | { type: 'failed'; message: string } | { type: 'stopped' }

interface Guest {
  memory: WebAssembly.Memory
  _initialize(): void
  rk_boot(port: number): void
  rk_step(): void
}

/** By inference: not every set of type libraries has a name for it. */
type Imports = Parameters<typeof WebAssembly.instantiate>[1]

/** Timers of Valkey (expiry, blocked clients) are looked at this often, in ms. */
const TICK_MS = 50
/** Steps in one go before other events get a turn. */
const MAX_STEPS = 64
/** Lines of Valkey's log that go with the news that it ended. */
const LOG_LINES = 3

let stopHost: (() => Promise<void>) | undefined

async function start(wasmPath: string, port: number): Promise<void> {
  const memory = new GuestMemory()
  let guest: Guest | undefined
  let scheduled = false
  let logTail = ''

  const stop = async (): Promise<void> => {
    guest = undefined
    clearInterval(timer)
    await host.stop()
  }
  const fail = (error: unknown): void => {
    const reason = error instanceof Error ? error.message : String(error)
    void stop()
    reply({ type: 'failed', message: reason })
  }
  const run = (): void => {
    scheduled = false
    try {
      for (let steps = 0; guest !== undefined; steps++) {
        guest.rk_step()
        if (host.hasInput && steps < MAX_STEPS) continue
        guest.rk_step() // one more flushes the replies
        break
      }
    } catch (error) {
      fail(error) // a trap leaves the guest unusable
    }
    if (host.hasInput) wake()
  }
  const wake = (): void => {
    if (scheduled || guest === undefined) return
    scheduled = true
    setImmediate(run)
  }

  const host = new ValkeyHost({
    memory,
    port,
    wake,
    listening: (bound) => reply({ type: 'ready', port: bound }),
    failed: fail,
  })
  const timer = setInterval(wake, TICK_MS)
  stopHost = stop
  try {
    const module = await WebAssembly.compile(await readFile(wasmPath))
    const log = (text: string): void => {
      logTail = (logTail + text)
        .split('\n')
        .slice(-LOG_LINES - 1)
        .join('\n')
    }
    const exit = (code: number): never => {
      throw new Error(`valkey exited with code ${code}: ${logTail.trim()}`)
    }
    // Lua's longjmp is a WebAssembly exception, and its tag is ours to give. TypeScript does not know tags yet.
    const { Tag } = WebAssembly as unknown as { Tag: new (type: { parameters: string[] }) => object }
    const imports = {
      wasi_snapshot_preview1: wasiImports(module, memory, log, exit),
      host: host.imports(),
      env: { __c_longjmp: new Tag({ parameters: ['i32'] }) },
    }
    const instance = await WebAssembly.instantiate(module, imports as Imports)
    const exports = instance.exports as unknown as Guest
    memory.attach(exports.memory)
    exports._initialize()
    exports.rk_boot(port === 0 ? 6379 : port)
    guest = exports
  } catch (error) {
    fail(error)
  }
}

function reply(message: ValkeyReply): void {
  postMessage(message)
}

addEventListener('message', (event: MessageEvent<ValkeyRequest>) => {
  const request = event.data
  if (request.type === 'start') void start(request.wasmPath, request.port)
  else void (stopHost?.() ?? Promise.resolve()).finally(() => reply({ type: 'stopped' }))
})
