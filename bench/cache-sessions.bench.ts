/** Sessions, the recipe at its defaults: what share of the first five minutes' requests needs no database, cold and warm? */
import postgres from 'postgres'
import { createCache } from '../src/compose-cache.ts'
import { createWarmer, defineConfig } from '../src/index.ts'
import {
  createSessionCache,
  DEFAULT_SESSION_COUNT,
  seedSessions,
  sessionSchema,
  sessionTasks,
} from '../src/recipes/sessions/index.ts'
import { startPostgresServer } from '../test/support/servers.ts'
import { check, target } from './support/check.ts'
import { openRedis } from './support/redis.ts'
import { loadSessions } from './support/sessions-data.ts'
import { GAP_SECONDS, visits } from './support/visits.ts'

const SECONDS = 300
const PER_VISIT = [3, 10, 30]
/** Users with two sessions each, in a schema of their own. */
const SEEDED = [20_000, 100_000]

const [redis, server] = await Promise.all([openRedis(), startPostgresServer()])
const sql = postgres(server.url, { max: 10, onnotice: () => {} })

async function seeded(users: number): Promise<string> {
  const schema = `users_${users}`
  await sql.unsafe(`create schema ${schema}`)
  await sql.unsafe(sessionSchema(schema))
  await seedSessions(sql, { users, sessionsPerUser: 2, schema })
  return schema
}

/** What `sessionTasks` would warm if it were not limited, newest first. */
async function activeTokens(schema: string): Promise<string[]> {
  const rows = await sql.unsafe<{ token: string }[]>(`
    select s.token from ${schema}.user_sessions s join ${schema}.users u on u.id = s.user_id
    where s.last_activity_at > now() - interval '24 hours' and s.expires_at > now()
      and u.deleted_at is null and (u.banned_until is null or u.banned_until <= now())
    order by s.last_activity_at desc, s.id`)
  return rows.map(({ token }) => token)
}

interface Run {
  minute: number
  all: number
  misses: number
}

async function run(schema: string, isWarm: boolean, { tokens, atSeconds }: ReturnType<typeof visits>): Promise<Run> {
  await redis.empty()
  const config = defineConfig({ redis: redis.url, database: server.url, tasks: sessionTasks({ schema }) })
  if (isWarm) {
    await using warmer = await createWarmer({ env: {}, config })
    const { status, keys } = await warmer.submit().result
    check(status === 'success' && keys.written === DEFAULT_SESSION_COUNT, `warming is ${status}: ${keys.written} keys`)
  }
  const cache = await createCache({ env: {}, config, redisTimeout: '5s' })
  let hits = 0
  const log = {
    info: (_message: string, { cache_hit }: Record<string, unknown>) => {
      if (cache_hit === true) hits++
    },
    warn: (message: string) => check(false, message),
  }
  const sessions = createSessionCache({ cache, sql, schema, log })
  let minute = 0
  for (const [at, token] of tokens.entries()) {
    const session = await sessions.validateSession(token)
    check(session?.token === token, `a token's session is ${JSON.stringify(session)}`)
    if ((atSeconds[at] as number) <= 60) minute = hits / (at + 1)
  }
  await cache.close()
  return { minute, all: hits / tokens.length, misses: tokens.length - hits }
}

const schemas = []
for (const users of SEEDED) schemas.push(await seeded(users))
loadSessions(server.url)
// What a reader by token needs; the shared data has none.
await sql`create index on platform.user_sessions (token)`
await sql`analyze platform.user_sessions`
schemas.push('platform')

const percent = (share: number) => `${(100 * share).toFixed(1)} %`
console.log(`
${DEFAULT_SESSION_COUNT} sessions warmed; then ${SECONDS} simulated seconds of visits, a request every ${GAP_SECONDS} s, one read after the other.
No value expires meanwhile.

| sessions active in 24 h | of these warmed | requests a visit | requests | visitors at the start | come later | | first minute | 5 minutes | misses |
|---|---|---|---|---|---|---|---|---|---|`)
const reached: [string, number][] = []
for (const schema of schemas) {
  const newestFirst = await activeTokens(schema)
  for (const perVisit of PER_VISIT) {
    const traffic = visits({ newestFirst, perVisit, seconds: SECONDS })
    const share = percent(DEFAULT_SESSION_COUNT / newestFirst.length)
    let head = `${newestFirst.length} | ${share} | ${perVisit} | ${traffic.tokens.length} | ${traffic.underWay} | ${traffic.begun}`
    const [cold, warm] = [await run(schema, false, traffic), await run(schema, true, traffic)]
    for (const [name, { minute, all, misses }] of Object.entries({ cold, warm })) {
      console.log(`| ${head} | ${name} | ${percent(minute)} | ${percent(all)} | ${misses} |`)
      head = ' | | | | | '
    }
    check(warm.all >= cold.all, `${schema}: warm ${percent(warm.all)} is less than cold ${percent(cold.all)}`)
    reached.push([`${newestFirst.length} sessions, ${perVisit} requests a visit: hit rate, 5 minutes, warm`, warm.all])
  }
}
console.log()
for (const [what, share] of reached) target(what, 100 * share, '>=', 90, ' %')

await sql.end()
await Promise.all([redis.stop(), server.stop()])
