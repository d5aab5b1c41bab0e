/** What tests of whole runs share: a Redis and a Postgres, configuration files outside the repository, one job. */
import { spawnSync } from 'node:child_process'
import { copyFileSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import process from 'node:process'
import { Redis } from 'ioredis'
import postgres, { type Sql } from 'postgres'
import { createWarmer, type JobRequest, type JobResult, type Warmer, type WarmerOptions } from '../../src/index.ts'
import { findPostgresBin, type RedisServer, startPostgresServer, startRedisServer, type TestServer } from './servers.ts'

export interface Servers {
  redisServer: RedisServer
  postgresServer: TestServer
  redis: Redis
  sql: Sql
  /** Where a warmer finds them. */
  urls: { redisUrl: string; databaseUrl: string }
  stop(): Promise<void>
}

/** Starts a Redis and a Postgres, with a client of the test's own for each. */
export async function startServers(redisArgs: string[] = []): Promise<Servers> {
  const [redisServer, postgresServer] = await Promise.all([
    startRedisServer({ args: redisArgs }),
    startPostgresServer(),
  ])
  const redis = connect(redisServer.url)
  const sql = postgres(postgresServer.url, { max: 4, onnotice: () => {} })
  return {
    redisServer,
    postgresServer,
    redis,
    sql,
    urls: { redisUrl: redisServer.url, databaseUrl: postgresServer.url },
    async stop() {
      redis.disconnect()
      await sql.end({ timeout: 1 }).catch(() => {})
      await Promise.all([redisServer.stop(), postgresServer.stop()])
    },
  }
}

/** A client for looking; its errors are told by the commands that fail. */
export function connect(url: string): Redis {
  const redis = new Redis(url)
  redis.on('error', () => {})
  return redis
}

const folders: string[] = []

/** A new folder below the system's temporary one; removed when this process ends. */
export function tempFolder(): string {
  if (folders.length === 0) {
    process.on('exit', () => {
      for (const folder of folders) rmSync(folder, { recursive: true, force: true })
    })
  }
  const folder = mkdtempSync(join(tmpdir(), 'prewarm-test-config-'))
  folders.push(folder)
  return folder
}

/** A configuration file outside the repository, with this list of tasks (and settings), as a user would have it. */
export function configFile(inside: string, above = ''): string {
  const file = join(tempFolder(), 'prewarm.config.ts')
  writeFileSync(
    file,
    `import { defineConfig, http, load, sql } from 'prewarm'\n${above}\nexport default defineConfig({ ${inside} })\n`,
  )
  return file
}

/** A copy of `file` outside the repository. */
export function copiedConfig(file: string): string {
  const copy = join(tempFolder(), 'prewarm.config.ts')
  copyFileSync(file, copy)
  return copy
}

/** Gives `work` a warmer, and stops it. */
export async function withWarmer<T>(options: WarmerOptions, work: (warmer: Warmer) => Promise<T>): Promise<T> {
  const warmer = await createWarmer({ env: {}, ...options })
  try {
    return await work(warmer)
  } finally {
    await warmer.stop()
  }
}

/** One job from beginning to end. */
export function runJob(options: WarmerOptions, request: JobRequest = {}): Promise<JobResult> {
  return withWarmer(options, (warmer) => warmer.submit(request).result)
}

/** Resolves when `check` holds; throws after `deadlineMs`. */
export async function until(check: () => boolean | Promise<boolean>, deadlineMs = 20_000): Promise<void> {
  const end = Date.now() + deadlineMs
  while (!(await check())) {
    if (Date.now() > end) throw new Error(`waited ${deadlineMs} ms for ${check}`)
    await new Promise((resolve) => setTimeout(resolve, 5))
  }
}

const [NULL, FIELD, ROW] = ['\u001d', '\u001f', '\u001e']

/** The rows of `query` as psql prints them: an object of texts for each row, without its null columns. */
export function psqlRows(url: string, query: string): Record<string, string>[] {
  const args = [url, '-X', '-q', '-A', '-F', FIELD, '-R', ROW, '-P', `null=${NULL}`, '-P', 'footer=off', '-c', query]
  const [header = '', ...lines] = psql(args).replace(/\n$/, '').split(ROW)
  const columns = header.split(FIELD)
  return lines.map((line) => {
    const values = line.split(FIELD)
    return Object.fromEntries(
      columns.flatMap((name, at) => (values[at] === NULL ? [] : [[name, values[at] as string]])),
    )
  })
}

/** Runs a file of SQL. */
export function psqlFile(url: string, file: string): void {
  psql([url, '-X', '-q', '-v', 'ON_ERROR_STOP=1', '-f', file])
}

function psql(args: string[]): string {
  const program = join(findPostgresBin() ?? '', 'psql')
  const { status, stdout, stderr } = spawnSync(program, args, { encoding: 'utf8', maxBuffer: 1 << 28 })
  if (status !== 0) throw new Error(`psql failed: ${stderr}`)
  return stdout
}
