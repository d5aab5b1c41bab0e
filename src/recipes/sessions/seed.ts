import type { Sql } from 'postgres'
import { accountId, seedAccounts } from '../accounts.ts'
import { noise, pick, tablesIn, wholeNumber } from '../table.ts'

export interface SessionSeedOptions {
  /** 1 to 1_000_000. @default 2000 */
  users?: number
  /** 1 to 100. @default 2 */
  sessionsPerUser?: number
  /** The same seed makes the same users and sessions, but for the moment that their times are relative to. @default 1 */
  seed?: number
  /** Where the tables are. @default 'platform' */
  schema?: string
}

const AGENTS = [
  'Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/130.0 Safari/537.36',
  'Mozilla/5.0 (iPhone; CPU iPhone OS 18_1 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.1',
  'Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:132.0) Gecko/20100101 Firefox/132.0',
]

/**
 * Fills the empty tables of `sessionSchema`. Some users are deleted, banned, or were banned once; some sessions have
 * expired or were idle for more than a day. Anyone can work the tokens out: never seed a database that a service trusts.
 *
 * @throws {RangeError} on a size out of bounds
 */
export async function seedSessions(sql: Sql, options: SessionSeedOptions = {}): Promise<void> {
  const { users = 2000, sessionsPerUser = 2, seed = 1, schema = 'platform' } = options
  wholeNumber('users', users, 1, 1_000_000)
  wholeNumber('sessionsPerUser', sessionsPerUser, 1, 100)
  const table = tablesIn(schema)
  const ofSession = (salt: string) => noise(seed, salt, 'u', 's')
  await seedAccounts(sql, { users, seed, table })
  // No time lies so near to a limit (a day idle, expired) that a slow test would see it pass.
  await sql.unsafe(`
    insert into ${table('user_sessions')}
      (id, user_id, token, expires_at, last_activity_at, ip_address, user_agent, created_at)
    select md5('session:${Math.trunc(seed)}:' || u || ':' || s)::uuid, ${accountId(seed)},
      encode(sha256(convert_to('token:${Math.trunc(seed)}:' || u || ':' || s, 'UTF8')), 'hex'),
      case when ${ofSession('expired')} < 0.1 then now() - ${ofSession('until')} * interval '10 hours' - interval '1 minute'
        else now() + interval '1 day' + ${ofSession('until')} * interval '30 days' end,
      case when ${ofSession('idle')} < 0.3 then now() - interval '25 hours' - ${ofSession('seen')} * interval '48 hours'
        else now() - ${ofSession('seen')} * interval '23 hours' end,
      case when ${ofSession('ip')} < 0.95
        then '10.0.0.0'::inet + floor(${ofSession('address')} * 16777216)::bigint end,
      case when ${ofSession('agent')} < 0.97 then ${pick(AGENTS, ofSession('browser'))} end,
      now() - interval '4 days' - ${ofSession('created')} * interval '20 days'
    from generate_series(1, ${users}) u cross join generate_series(1, ${sessionsPerUser}) s`)
  await sql.unsafe(`analyze ${table('users')}, ${table('user_sessions')}`)
}
