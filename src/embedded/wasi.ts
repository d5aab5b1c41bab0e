/** The small part of WASI preview 1 that Valkey calls: a clock, a console and "there is no file system". */

const OK = 0
const EBADF = 8
const ENOENT = 44
const ENOSYS = 52
const ESPIPE = 70
const CHARACTER_DEVICE = 2

/** A view of the guest's memory; wrapped again whenever the guest has grown it. */
export class GuestMemory {
  #memory: WebAssembly.Memory | undefined
  #bytes = new Uint8Array()
  #view = new DataView(new ArrayBuffer(0))

  /** Called once, as soon as the instance exists. */
  attach(memory: WebAssembly.Memory): void {
    this.#memory = memory
  }

  get bytes(): Uint8Array {
    this.#refresh()
    return this.#bytes
  }

  get view(): DataView {
    this.#refresh()
    return this.#view
  }

  #refresh(): void {
    const buffer = this.#memory?.buffer
    if (buffer === undefined || this.#bytes.buffer === buffer) return
    this.#bytes = new Uint8Array(buffer)
    this.#view = new DataView(buffer)
  }
}

type Call = (...args: number[]) => number

/**
 * The `wasi_snapshot_preview1` imports of `module`; what it imports beyond the calls below answers ENOSYS.
 * `log` gets what the guest prints; `exit` gets its exit code and must throw, for the guest may not go on.
 */
export function wasiImports(
  module: WebAssembly.Module,
  memory: GuestMemory,
  log: (text: string) => void,
  exit: (code: number) => never,
): Record<string, (...args: never[]) => number> {
  const decoder = new TextDecoder()
  const calls: Record<string, Call> = {
    environ_get: () => OK,
    environ_sizes_get: (countAt = 0, sizeAt = 0) => {
      memory.view.setUint32(countAt, 0, true)
      memory.view.setUint32(sizeAt, 0, true)
      return OK
    },
    fd_close: () => OK,
    fd_fdstat_get: (fd = 0, at = 0) => {
      if (fd > 2) return EBADF
      memory.bytes.fill(0, at, at + 24)
      memory.bytes[at] = CHARACTER_DEVICE
      return OK
    },
    fd_write: (_fd = 0, vectorsAt = 0, count = 0, writtenAt = 0) => {
      const { view, bytes } = memory
      let written = 0
      let text = ''
      for (let i = 0; i < count; i++) {
        const start = view.getUint32(vectorsAt + i * 8, true)
        const length = view.getUint32(vectorsAt + i * 8 + 4, true)
        text += decoder.decode(bytes.subarray(start, start + length))
        written += length
      }
      view.setUint32(writtenAt, written, true)
      log(text)
      return OK
    },
    fd_read: (_fd, _vectors, _count, readAt = 0) => {
      memory.view.setUint32(readAt, 0, true)
      return OK
    },
    fd_seek: () => ESPIPE,
    fd_prestat_get: () => EBADF,
    fd_prestat_dir_name: () => EBADF,
    path_open: () => ENOENT,
    path_filestat_get: () => ENOENT,
    // Nobody may sleep here: the sockets live on the same thread. Every wait is over at once.
    poll_oneoff: (_in, out = 0, count = 0, firedAt = 0) => {
      memory.bytes.fill(0, out, out + count * 32)
      memory.view.setUint32(firedAt, count, true)
      return OK
    },
    sched_yield: () => OK,
    proc_exit: (code = 0) => exit(code),
  }
  for (const { module: from, name } of WebAssembly.Module.imports(module)) {
    if (from === 'wasi_snapshot_preview1') calls[name] ??= () => ENOSYS
  }
  const clock = (id: number, _precision: bigint, at: number): number => {
    // The wall clock is the clients' own (`Date.now()`), also after it was set: expiry times are compared with it.
    const ms = id === 0 ? Date.now() : performance.now()
    memory.view.setBigUint64(at, BigInt(Math.round(ms * 1000)) * 1000n, true)
    return OK
  }
  return { ...calls, clock_time_get: clock }
}
