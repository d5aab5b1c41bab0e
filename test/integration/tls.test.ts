import { chmodSync, chownSync, copyFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, beforeEach, describe, it } from 'node:test'
import { assert, assertEquals, assertMatch } from '@std/assert'
import { assertAccounted, numbered } from '../support/accounted.ts'
import { type Certificates, makeCertificates } from '../support/certificates.ts'
import { freePort } from '../support/servers.ts'
import { configFile, runJob, type Servers, startServers } from '../support/warming.ts'

const TIMEOUT = { timeout: 60_000 }
const KEYS = numbered('k', 300)
/** Whether the connection that reads a row is encrypted, and that row. */
const QUERY = `"select n as id, s.ssl from generate_series(1, 300) n, pg_stat_ssl s where s.pid = pg_backend_pid()"`
const file = (settings: string) =>
  configFile(
    `${settings} maxOriginRps: 100000, retryAttempts: 0, tasks: {
      rows: sql({ key: 'k:{id}', value: 'hash', batchSize: 50, orderBy: ['id'], query: ${QUERY} }),
      loaded: load({ key: 'k:{id}', value: 'string', select: () => Array.from({ length: 300 }, (_, at) => at + 1), load: (keys) => keys.map(() => 'x') }),
      asked: load({ key: 'k:{id}', value: 'json', batchSize: 300, select: ({ sql }) => sql\`select generate_series(1, 300) as id\`,
        load: async (keys, { sql }) => { const [row] = await sql\`select ssl from pg_stat_ssl where pid = pg_backend_pid()\`; return keys.map(() => row.ssl) } }) }`,
  )
const tls = (name: string, options: object) => `${name}: ${JSON.stringify(options)},`

describe('TLS', () => {
  let servers: Servers
  let certificates: Certificates
  let tlsPort: number

  before(async () => {
    certificates = makeCertificates()
    tlsPort = await freePort()
    const { server, caFile } = certificates
    servers = await startServers([
      ...['--tls-port', `${tlsPort}`, '--tls-ca-cert-file', caFile, '--tls-auth-clients', 'optional'],
      ...['--tls-cert-file', server.certFile, '--tls-key-file', server.keyFile],
    ])
    await encryptPostgres()
  }, TIMEOUT)
  beforeEach(() => servers.redis.flushall(), TIMEOUT)
  after(() => servers.stop(), TIMEOUT)

  /** Plain connections are refused from here on, but for the test's own. */
  const encryptPostgres = async () => {
    const { sql } = servers
    const [{ folder }] = (await sql`select current_setting('data_directory') as folder`) as unknown as [
      { folder: string },
    ]
    const { uid, gid } = statSync(folder)
    for (const [from, name] of [
      [certificates.server.certFile, 'server.crt'],
      [certificates.server.keyFile, 'server.key'],
      [certificates.caFile, 'root.crt'],
    ] as const) {
      const to = join(folder, name)
      copyFileSync(from, to)
      chmodSync(to, 0o600)
      chownSync(to, uid, gid)
    }
    await sql`alter system set ssl = on`
    await sql`alter system set ssl_ca_file = 'root.crt'`
    await sql`select pg_reload_conf()`
    for (;;) {
      const [row] = await sql`select current_setting('ssl') as ssl`
      if (row?.ssl === 'on') return
    }
  }
  const redisUrl = () => `rediss://127.0.0.1:${tlsPort}`

  for (const workers of [1, 0]) {
    const where = workers === 0 ? 'inline' : 'in a worker'
    const warm = (settings: string, task: string, urls: object = {}) =>
      runJob({ file: file(settings), workers, ...servers.urls, ...urls }, { tasks: [task] })

    it(`reaches Redis by rediss:// and its authority (${where})`, TIMEOUT, async () => {
      const result = await warm(tls('redisTls', { caFile: certificates.caFile }), 'loaded', { redisUrl: redisUrl() })
      await assertAccounted(result, servers.redis, KEYS, { holds: () => 'x' })
      assertEquals(result.status, 'success')
    })

    it(`shows Redis the client's certificate, and takes any of Redis' where it may (${where})`, TIMEOUT, async () => {
      await servers.redis.config('SET', 'tls-auth-clients', 'yes')
      try {
        const settings = tls('redisTls', { rejectUnauthorized: false, ...certificates.client })
        const result = await warm(settings, 'loaded', { redisUrl: redisUrl() })
        assertEquals([result.status, result.keys.written], ['success', 300], JSON.stringify(result.tasks))
      } finally {
        await servers.redis.config('SET', 'tls-auth-clients', 'optional')
      }
    })

    it(`reads from Postgres encrypted by sslmode=require (${where})`, TIMEOUT, async () => {
      const databaseUrl = `${servers.urls.databaseUrl}?sslmode=require`
      for (const [task, ssl] of [
        ['rows', undefined],
        ['asked', 'true'],
      ] as const) {
        await servers.redis.flushall()
        const result = await warm('', task, { databaseUrl })
        await assertAccounted(result, servers.redis, KEYS, { holds: (key) => ssl ?? { id: key.slice(2), ssl: 't' } })
        assertEquals(result.status, 'success')
      }
    })

    it(`reads from Postgres by its authority, and no other (${where})`, TIMEOUT, async () => {
      const { caFile, strangerCaFile } = certificates
      const result = await warm(tls('databaseTls', { caFile }), 'rows')
      await assertAccounted(result, servers.redis, KEYS, { holds: (key) => ({ id: key.slice(2), ssl: 't' }) })
      assertEquals(result.status, 'success')
      await servers.redis.flushall()
      for (const task of ['rows', 'asked']) {
        const refused = await warm(tls('databaseTls', { caFile: strangerCaFile }), task)
        assertEquals([refused.status, await servers.redis.dbsize()], ['failed', 0])
        assert(refused.tasks[0]?.firstError?.code.startsWith('ORIGIN_'), JSON.stringify(refused.tasks[0]))
      }
    })
  }

  it(
    'is refused by a Redis whose authority is not known, or that wants a certificate, with the reason',
    TIMEOUT,
    async () => {
      const { caFile, strangerCaFile, client } = certificates
      await servers.redis.config('SET', 'tls-auth-clients', 'yes')
      const refused: [settings: string, reason: RegExp][] = [
        [tls('redisTls', { ...client }), /certificate/],
        [tls('redisTls', { caFile: strangerCaFile, ...client }), /certificate/],
        [tls('redisTls', { caFile }), /certificate|alert|closed/i],
      ]
      const results = await Promise.all(
        refused.map(([settings]) =>
          runJob({ file: file(settings), workers: 0, ...servers.urls, redisUrl: redisUrl() }, { tasks: ['loaded'] }),
        ),
      )
      for (const [at, result] of results.entries()) {
        const told = JSON.stringify(result.tasks)
        assertEquals([result.status, result.keys.written], ['failed', 0], told)
        assertEquals(result.tasks[0]?.firstError?.code, 'STORE_UNREACHABLE', told)
        assertMatch(result.tasks[0]?.firstError?.message ?? '', refused[at]?.[1] as RegExp)
      }
      assertEquals(await servers.redis.dbsize(), 0)
    },
  )
})
