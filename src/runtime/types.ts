/** A thread's mailbox, the same in every runtime. */
export interface WorkerPort {
  post(message: unknown): void
  onMessage(listener: (message: unknown) => void): void
  /** Called at most once, when the thread is known to be gone. A dead thread may also just fall silent. */
  onExit(listener: (reason: string) => void): void
  /** Ends the thread at once. Safe to call twice. */
  terminate(): void
}

/** A program started on its own. */
export interface Detached {
  pid: number
  /** Resolves when it has ended: its exit code, or null if a signal ended it. Never rejects. */
  exited: Promise<number | null>
}

/** Where to listen: a port (0: a free one), or a socket in the file system, which only its owner may use. */
export type ListenAt = { host: string; port: number } | { unix: string }

export type HttpServing = ListenAt & {
  /** `env` is what tells the peer's address: Bun's server, which can also be told to be patient, or Deno's info of the connection. */
  fetch(request: Request, env: unknown): Response | Promise<Response>
  /** A connection that is silent for this long is closed, s, 1 to 255. @default 60 */
  idleTimeoutS?: number
}

export interface Listening {
  /** `http://host:port`; for a socket, its path. */
  url: string
  /** 0 for a socket. */
  port: number
  /** Accepts no more, lets answers that are under way go on for `graceMs`, then cuts them off. @default 1000 */
  stop(graceMs?: number): Promise<void>
}

/** What differs between Bun and Deno. Everything else in prewarm is the same code. */
export interface Runtime {
  readonly name: 'bun' | 'deno'
  readonly cores: number
  readonly env: Readonly<Record<string, string | undefined>>
  /** Monotonic nanoseconds. */
  nowNs(): number
  resolvePath(path: string): string
  fileExists(path: string): Promise<boolean>
  /** Imports a configuration; `import 'prewarm'` in it means this very package, wherever the file lies. */
  importConfig(file: string): Promise<{ default?: unknown }>
  /**
   * Imports a configuration as it is now. Under Bun its own modules are read again, too; packages (`node_modules`) and
   * prewarm itself are not. Under Deno only the file itself is.
   */
  importConfigAgain(file: string): Promise<{ default?: unknown }>
  startWorker(url: URL, name: string): WorkerPort
  /** This thread's own mailbox, when it is a worker. */
  parentPort(): WorkerPort
  /**
   * Starts this program again with other arguments, in a session of its own, output to the end of `logFile`.
   *
   * @param env its whole environment; default: this program's
   */
  spawnDetached(args: readonly string[], logFile: string, env?: Readonly<Record<string, string | undefined>>): Detached
  /** The program's own command line up to its arguments, for whoever starts it again: the runtime and its flags. */
  readonly command: readonly string[]
  /**
   * Answers HTTP.
   *
   * @throws {PrewarmError} `USAGE` when the port is taken or the address can't be had
   */
  serveHttp(serving: HttpServing): Promise<Listening>
}
