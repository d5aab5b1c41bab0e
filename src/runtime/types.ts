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
  startWorker(url: URL, name: string): WorkerPort
  /** This thread's own mailbox, when it is a worker. */
  parentPort(): WorkerPort
  /** Starts this program again with other arguments, in a session of its own, output to `logFile`. */
  spawnDetached(args: readonly string[], logFile: string): Detached
}
