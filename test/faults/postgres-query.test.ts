import { after, before, beforeEach, describe, it } from 'node:test'
import { assert, assertEquals, assertStringIncludes } from '@std/assert'
import { assertAccounted, numbered } from '../support/accounted.ts'
import { configFile, runJob, type Servers, startServers } from '../support/warming.ts'

const TIMEOUT = { timeout: 60_000 }
const KEYS = numbered('k', 1000)
const task = (inside: string) =>
  `sql({ key: 'k:{id}', value: 'hash', timeoutMs: 500, retries: 1, batchSize: 100, ${inside} })`
const FILE = configFile(`maxOriginRps: 100000, backoffBaseMs: 10, tasks: {
  slow: ${task("query: 'select 1 as id, pg_sleep(60)::text as s'")},
  slowRange: ${task("orderBy: ['id'], query: 'select id, case when id = 350 then nap(60) end as s, id as n from t'")},
  slowPage: ${task("query: 'select id, case when id = 350 then nap(60) end as s, id as n from generate_series(1, 1000) id'")},
  poison: ${task("query: 'select id, 1 / (id - 500) as x from generate_series(1, 1000) id'")},
  poisonRange: ${task("orderBy: ['id'], query: 'select id, 1 / (id - 500) as x from t'")},
  nullKey: ${task("query: 'select nullif(id, 500) as id, id as n from t order by id'")},
  nullKeyRange: ${task("orderBy: ['n'], query: 'select nullif(id, 500) as id, id as n from t'")},
  nullOrder: ${task("orderBy: ['id'], query: 'select nullif(id, 500) as id, id as n from t'")},
  oddKeys: ${task(`query: "select 'a' || chr(id) || '*?[]{}:%' as id, id as n from t where id in (1, 7, 10, 27, 32, 127, 160, 955)"`)},
  syntax: ${task("query: 'selec 1 as id'")},
  missing: ${task("query: 'select id from nowhere'")},
  noKeyColumn: ${task("query: 'select id as other from t'")},
  noValueColumn: ${task("columns: ['nope'], query: 'select id from t'")},
  writes: ${task("query: 'insert into t values (5000) returning id'")},
  writesInside: ${task("query: 'with x as (insert into t values (5001) returning id) select id from x'")},
  writesByFunction: ${task("query: 'select add_row(id) as id from t'")},
  writesRange: ${task("orderBy: ['id'], query: 'select add_row(id) as id from t'")},
  async: ${task('query: async (sql) => sql`select id from t`')},
  noQuery: ${task("query: () => 'select id from t'")},
  throws: ${task("query: () => { throw new Error('thrown while building') }")},
  good: ${task("query: 'select id, id as n from t'")},
} `)
const holds = (key: string) => ({ id: key.slice(2), n: key.slice(2) })

describe('a query', () => {
  let servers: Servers
  before(async () => {
    servers = await startServers()
    await servers.sql`create table t (id int)`
    await servers.sql`insert into t select generate_series(1, 1000)`
    // Not `volatile`, so that only who asks for the column waits for it.
    await servers.sql.unsafe(
      'create function nap(s int) returns text as $$ begin perform pg_sleep(s); return s; end $$ language plpgsql stable',
    )
    await servers.sql.unsafe(
      'create function add_row(n int) returns int as $$ insert into t values (n + 10000) returning id $$ language sql volatile',
    )
  }, TIMEOUT)
  beforeEach(() => servers.redis.flushall(), TIMEOUT)
  after(() => servers.stop(), TIMEOUT)

  for (const workers of [1, 0]) {
    const run = (name: string) => runJob({ file: FILE, workers, ...servers.urls }, { tasks: [name] })
    const where = workers === 0 ? 'inline' : 'in a worker'

    for (const name of ['slow', 'slowRange', 'slowPage']) {
      it(`that is too slow ends at its timeout (${name}, ${where})`, TIMEOUT, async () => {
        const begunMs = Date.now()
        const result = await run(name)
        assert(Date.now() - begunMs < 20_000, `it took ${Date.now() - begunMs} ms`)
        assertEquals(result.tasks[0]?.firstError?.code, 'ORIGIN_TIMEOUT')
        await assertAccounted(result, servers.redis, name === 'slow' ? ['k:1'] : KEYS, {
          isCut: name !== 'slowRange',
          holds,
        })
        if (name === 'slowRange')
          assertEquals([result.status, result.keys.written, result.keys.failed], ['partial', 900, 100])
        else assertEquals(result.status, name === 'slow' ? 'failed' : 'partial')
      })
    }

    for (const name of [
      'poison',
      'poisonRange',
      'syntax',
      'missing',
      'noKeyColumn',
      'noValueColumn',
      'async',
      'noQuery',
      'throws',
    ]) {
      it(`that is wrong ends with Postgres' or our own reason (${name}, ${where})`, TIMEOUT, async () => {
        const result = await run(name)
        const error = result.tasks[0]?.firstError
        assertEquals(error?.code, 'ORIGIN_FAILED', JSON.stringify(error))
        const detail = { poison: '22012', poisonRange: '22012', syntax: '42601', missing: '42P01', throws: undefined }[
          name
        ]
        if (detail !== undefined) assertEquals(error?.detail, detail)
        await assertAccounted(result, servers.redis, KEYS, { isCut: true })
        if (name === 'poisonRange')
          assertEquals([result.status, result.keys.written, result.keys.failed], ['partial', 900, 100])
        if (name === 'poison') assertEquals([result.status, result.keys.written], ['partial', 400])
      })
    }

    for (const name of ['nullKey', 'nullKeyRange', 'nullOrder']) {
      it(`with a null key fails that row alone (${name}, ${where})`, TIMEOUT, async () => {
        const result = await run(name)
        await assertAccounted(result, servers.redis, KEYS, { holds })
        assertEquals([result.status, result.keys.written, result.keys.failed], ['partial', 999, 1])
        assertEquals(result.tasks[0]?.firstError?.code, 'KEY_INVALID')
        assertStringIncludes(result.tasks[0]?.firstError?.message ?? '', 'id')
      })
    }

    it(`with keys of globs and control characters escapes them (${where})`, TIMEOUT, async () => {
      const result = await run('oddKeys')
      assertEquals([result.status, result.keys.written], ['success', 8])
      const keys = await servers.redis.keys('*')
      assertEquals(
        keys.filter((key) => /[\u0000-\u001f\u007f*?[\]{}]|:.*:/.test(key)),
        [],
      )
      assertEquals(new Set(keys).size, 8)
    })

    for (const name of ['writes', 'writesInside', 'writesByFunction', 'writesRange']) {
      it(`that writes is refused (${name}, ${where})`, TIMEOUT, async () => {
        const result = await run(name)
        await assertAccounted(result, servers.redis, KEYS, { isCut: true })
        assertEquals([result.status, result.keys.written], ['failed', 0])
        assertEquals(result.tasks[0]?.firstError?.code, 'ORIGIN_FAILED')
        assertEquals((await servers.sql`select count(*)::int as n from t`)[0]?.n, 1000)
      })
    }

    it(`that is wrong does not keep the others from running (${where})`, TIMEOUT, async () => {
      const result = await runJob({ file: FILE, workers, ...servers.urls }, { tasks: ['syntax', 'async', 'good'] })
      await assertAccounted(result, servers.redis, KEYS, { isCut: true, holds })
      assertEquals(
        result.tasks.map((one) => one.status),
        ['failed', 'failed', 'success'],
      )
    })
  }
})
