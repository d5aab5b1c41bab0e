import process from 'node:process'
import { after, before, describe, it } from 'node:test'
import { assertEquals, assertRejects } from '@std/assert'
import postgres, { type Sql } from 'postgres'
import { type Row, runQuery } from '../../src/recipes/query.ts'
import { type CutProxy, startCutProxy, startPostgresServer, type TestServer } from '../support/servers.ts'

const NEVER = new AbortController().signal
const SLEEP = { text: 'select pg_sleep(1.5)', parameters: [], what: 'Sleeping' }

describe('a recipe’s query', () => {
  let server: TestServer
  let proxy: CutProxy
  let sql: Sql

  before(async () => {
    server = await startPostgresServer()
    const url = new URL(server.url)
    proxy = await startCutProxy(Number(url.port))
    url.port = String(proxy.port)
    sql = postgres(url.href, { max: 1, onnotice: () => {} })
  })
  after(async () => {
    await sql.end({ timeout: 1 })
    await proxy.stop()
    await server.stop()
  })

  it('runs over postgres.js, and over any other driver', async () => {
    const query = { text: 'select $1::text as one', parameters: ['1'], what: 'Asking' }
    assertEquals([...(await runQuery(sql, query, { signal: NEVER }))], [{ one: '1' }])
    const other = async (text: string, parameters: readonly unknown[]): Promise<Row[]> => [{ text, parameters }]
    assertEquals(await runQuery(other, query, { signal: NEVER }), [{ text: query.text, parameters: ['1'] }])
  })

  it('is cancelled at the server when its signal aborts', async () => {
    const abort = new AbortController()
    const running = runQuery(sql, { ...SLEEP, text: 'select pg_sleep(600)' }, { signal: abort.signal })
    await new Promise((resolve) => setTimeout(resolve, 100))
    abort.abort()
    assertEquals(((await assertRejects(() => running)) as { code?: string }).code, 'JOB_CANCELLED')
    assertEquals((await sql`select 2 as two`)[0]?.two, 2, 'the only connection is free again')
  })

  it('does no harm where the server takes no connection to cancel it by', async () => {
    const unhandled: unknown[] = []
    const note = (error: unknown) => void unhandled.push(error)
    process.on('unhandledRejection', note)
    try {
      const running = runQuery(sql, SLEEP, { timeoutMs: 500, signal: NEVER })
      running.catch(() => {})
      await new Promise((resolve) => setTimeout(resolve, 100))
      await proxy.refuse(true)
      assertEquals(((await assertRejects(() => running)) as { code?: string }).code, 'ORIGIN_TIMEOUT')
      // Waits until the query has ended by itself: the attempt to cancel it has failed long before.
      assertEquals((await sql`select 2 as two`)[0]?.two, 2)
      assertEquals(unhandled, [])
    } finally {
      process.off('unhandledRejection', note)
      await proxy.refuse(false)
    }
  })
})
