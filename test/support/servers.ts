/** Real servers for integration tests, and a proxy that breaks connections. Node APIs only, so that it works in Bun and Deno. */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { accessSync, chownSync, constants, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import net from 'node:net'
import { tmpdir } from 'node:os'
import { delimiter, join } from 'node:path'
import process from 'node:process'

const START_DEADLINE_MS = 30_000
const STOP_DEADLINE_MS = 10_000

export interface TestServer {
  readonly url: string
  readonly port: number
  readonly pid: number
  /** Ends the server and removes its folder; safe to call twice. */
  stop(): Promise<void>
}

export interface RedisServer extends TestServer {
  /** SIGSTOP: connections stay open and nothing answers. */
  pause(): void
  resume(): void
}

/** Starts `redis-server` on a free port, without persistence; `args` go behind ours, as in `['--maxmemory', '10mb']`. */
export async function startRedisServer(options: { args?: string[] } = {}): Promise<RedisServer> {
  const program = findProgram('redis-server')
  if (program === undefined) throw new Error('redis-server is missing: run `bun test/support/provision.ts`')
  return onFreePort(async () => {
    const port = await freePort()
    const home = mkdtempSync(join(tmpdir(), 'prewarm-test-redis-'))
    const args = ['--port', String(port), '--bind', '127.0.0.1', '--dir', home, '--save', '', '--appendonly', 'no']
    const server = await launch(program, [...args, ...(options.args ?? [])], home, 'Ready to accept connections')
    return {
      url: `redis://127.0.0.1:${port}`,
      port,
      ...server,
      pause: () => void process.kill(server.pid, 'SIGSTOP'),
      resume: () => void process.kill(server.pid, 'SIGCONT'),
    }
  })
}

/** Starts the newest PostgreSQL there is, with an empty cluster; user `postgres`, no password, no fsync. */
export function startPostgresServer(): Promise<TestServer> {
  return onFreePort(tryPostgresServer)
}

async function tryPostgresServer(): Promise<TestServer> {
  const bin = findPostgresBin()
  if (bin === undefined) throw new Error('PostgreSQL is missing: run `bun test/support/provision.ts`')
  const user = process.getuid?.() === 0 ? unprivilegedUser() : {}
  const home = mkdtempSync(join(tmpdir(), 'prewarm-test-pg-'))
  if (user.uid !== undefined) chownSync(home, user.uid, user.gid ?? user.uid)
  const data = join(home, 'data')
  const flags = [
    '-D',
    data,
    '-U',
    'postgres',
    '-A',
    'trust',
    '-E',
    'UTF8',
    '--locale=C',
    '--no-sync',
    '--no-instructions',
  ]
  const made = spawnSync(join(bin, 'initdb'), flags, { cwd: home, encoding: 'utf8', ...user })
  if (made.status !== 0) {
    rmSync(home, { recursive: true, force: true })
    throw new Error(`initdb failed: ${made.stderr}${made.error ?? ''}`)
  }
  const port = await freePort()
  const settings = ['listen_addresses=127.0.0.1', `port=${port}`, 'unix_socket_directories=', 'fsync=off']
  settings.push('synchronous_commit=off', 'full_page_writes=off', 'dynamic_shared_memory_type=mmap')
  const args = ['-D', data, ...settings.flatMap((setting) => ['-c', setting])]
  const server = await launch(join(bin, 'postgres'), args, home, 'ready to accept connections', user)
  return { url: `postgres://postgres@127.0.0.1:${port}/postgres`, port, ...server }
}

/** Tries a few times: another program may take a free port, also as its own end of a connection, before `start` has it. */
async function onFreePort<T>(start: () => Promise<T>): Promise<T> {
  for (let tries = 1; ; tries++) {
    try {
      return await start()
    } catch (error) {
      if (tries === 3 || !/address already in use/i.test(String(error))) throw error
    }
  }
}

/** A TCP port on 127.0.0.1 that was free a moment ago. */
export function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const probe = net.createServer().once('error', reject)
    probe.listen(0, '127.0.0.1', () => {
      const { port } = probe.address() as net.AddressInfo
      probe.close(() => resolve(port))
    })
  })
}

/** The path of an executable on PATH. */
export function findProgram(name: string): string | undefined {
  return searchPath()
    .map((folder) => join(folder, name))
    .find(isExecutable)
}

/** A folder with all of `initdb`, `postgres` and `psql`: the newest of Debian's, else one on PATH. */
export function findPostgresBin(): string | undefined {
  const debian = '/usr/lib/postgresql'
  const versions = existsSync(debian) ? readdirSync(debian).sort((a, b) => Number(b) - Number(a)) : []
  const folders = [...versions.map((version) => join(debian, version, 'bin')), ...searchPath()]
  return folders.find((folder) => ['initdb', 'postgres', 'psql'].every((name) => isExecutable(join(folder, name))))
}

function searchPath(): string[] {
  return (process.env.PATH ?? '').split(delimiter).filter((folder) => folder !== '')
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK)
    return true
  } catch {
    return false
  }
}

type User = { uid?: number; gid?: number }

/** PostgreSQL refuses root: `postgres` where there is such a user, else `nobody`. */
function unprivilegedUser(): User {
  const users = readFileSync('/etc/passwd', 'utf8').split('\n')
  const line = users.find((user) => user.startsWith('postgres:')) ?? users.find((user) => user.startsWith('nobody:'))
  if (line === undefined) throw new Error('/etc/passwd has neither a user `postgres` nor `nobody`')
  const [, , uid, gid] = line.split(':')
  return { uid: Number(uid), gid: Number(gid) }
}

/** What still runs: the process, and its folder. Swept when this process ends without having called `stop`. */
const running = new Map<ChildProcess, string>()

function sweep(): void {
  for (const [child, home] of running) {
    child.kill('SIGKILL')
    rmSync(home, { recursive: true, force: true })
  }
  running.clear()
}

async function launch(program: string, args: string[], home: string, readyText: string, user: User = {}) {
  if (!process.listeners('exit').includes(sweep)) {
    process.on('exit', sweep)
    process.once('SIGTERM', () => process.exit(143)) // by itself it would end us without an `exit`
  }
  const child = spawn(program, args, { cwd: home, stdio: ['ignore', 'pipe', 'pipe'], ...user })
  running.set(child, home)
  const exited = new Promise<void>((resolve) => {
    child.once('exit', () => resolve())
    child.once('error', () => resolve())
  })
  let stopping: Promise<void> | undefined
  const stop = (): Promise<void> => {
    stopping ??= (async () => {
      child.kill('SIGINT') // Redis: stop; PostgreSQL: fast shutdown
      child.kill('SIGCONT')
      const timer = setTimeout(() => child.kill('SIGKILL'), STOP_DEADLINE_MS)
      await exited
      clearTimeout(timer)
      running.delete(child)
      rmSync(home, { recursive: true, force: true, maxRetries: 3 })
    })()
    return stopping
  }
  let output = ''
  let timer: ReturnType<typeof setTimeout> | undefined
  try {
    await new Promise<void>((resolve, reject) => {
      const fail = (why: string): void => reject(new Error(`${program} ${why}: ${output.slice(-2000)}`))
      timer = setTimeout(() => fail('is not ready'), START_DEADLINE_MS)
      const listen = (chunk: unknown): void => {
        output = (output + chunk).slice(-10_000)
        if (output.includes(readyText)) resolve()
      }
      child.stdout?.on('data', listen)
      child.stderr?.on('data', listen)
      child.once('error', (error) => fail(error.message))
      void exited.then(() => fail('ended'))
    })
  } catch (error) {
    await stop()
    throw error
  } finally {
    clearTimeout(timer)
  }
  return { pid: child.pid ?? 0, stop }
}

export interface CutProxy {
  /** Clients connect here, on 127.0.0.1. */
  readonly port: number
  /** After `bytes` more client-to-server bytes, which the server still gets, cuts all connections, once. */
  cutAfterBytes(bytes: number): void
  /** Cuts all connections; new ones are accepted. */
  cutNow(): void
  /** Nothing flows in either direction, on old connections and new. */
  stall(): void
  resume(): void
  /** While true, new connections are refused (ECONNREFUSED); open ones go on. Resolves when it is in force. */
  refuse(refusing: boolean): Promise<void>
  stop(): Promise<void>
}

/** A TCP proxy to 127.0.0.1:`targetPort` for fault injection. */
export async function startCutProxy(targetPort: number): Promise<CutProxy> {
  const pairs = new Map<net.Socket, net.Socket>()
  let budget = Number.POSITIVE_INFINITY
  let stalled = false
  let held: (() => void)[] = []
  let port = 0
  let server: net.Server | undefined

  const cutNow = (): void => {
    for (const [client, target] of pairs) {
      client.destroy()
      target.end(() => target.destroy()) // what was forwarded arrives
    }
    pairs.clear()
    held = []
  }
  const pass = (from: net.Socket, to: net.Socket, chunk: Uint8Array, counted: boolean): void => {
    if (stalled) {
      held.push(() => pass(from, to, chunk, counted))
      return
    }
    if (to.writableEnded || to.destroyed) return
    const last = counted && chunk.length >= budget
    const flowing = to.write(last ? chunk.subarray(0, budget) : chunk)
    if (counted) budget -= chunk.length
    if (last) {
      budget = Number.POSITIVE_INFINITY
      cutNow()
    } else if (!flowing) {
      from.pause()
      to.once('drain', () => stalled || from.resume())
    }
  }
  const accept = (client: net.Socket): void => {
    const target = net.connect({ port: targetPort, host: '127.0.0.1', noDelay: true })
    pairs.set(client, target)
    for (const [from, to] of [
      [client, target],
      [target, client],
    ] as const) {
      from.on('data', (chunk: Uint8Array) => pass(from, to, chunk, from === client))
      from.on('error', () => undefined)
      from.on('close', () => {
        pairs.delete(client)
        if (!to.destroyed) to.end()
      })
      if (stalled) from.pause()
    }
  }
  const listen = (at: number): Promise<void> =>
    new Promise((resolve, reject) => {
      const next = net.createServer({ noDelay: true }, accept)
      next.once('error', reject)
      next.listen(at, '127.0.0.1', () => {
        server = next
        port = (next.address() as net.AddressInfo).port
        resolve()
      })
    })
  await listen(0)

  return {
    get port() {
      return port
    },
    cutAfterBytes: (bytes) => {
      if (bytes <= 0) cutNow()
      else budget = bytes
    },
    cutNow,
    stall: () => {
      stalled = true
      for (const socket of [...pairs.keys(), ...pairs.values()]) socket.pause()
    },
    resume: () => {
      stalled = false
      for (const deliver of held.splice(0)) deliver()
      for (const socket of [...pairs.keys(), ...pairs.values()]) socket.resume()
    },
    refuse: async (refusing) => {
      if (!refusing && server === undefined) await listen(port)
      else if (refusing) {
        server?.close()
        server = undefined
      }
    },
    stop: async () => {
      const closed = new Promise<void>((resolve) => (server === undefined ? resolve() : server.close(() => resolve())))
      server = undefined
      for (const [client, target] of pairs) {
        client.destroy()
        target.destroy()
      }
      pairs.clear()
      await closed
    },
  }
}
