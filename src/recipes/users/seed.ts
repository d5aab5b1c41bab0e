import type { Sql } from 'postgres'
import { accountId, seedAccounts } from '../accounts.ts'
import { noise, pick, tablesIn, wholeNumber } from '../table.ts'

export interface UserSeedOptions {
  /** 1 to 1_000_000. @default 500 */
  users?: number
  /** The same seed makes the same users, but for the moment that their times are relative to. @default 1 */
  seed?: number
  /** Where the tables are. @default 'platform' */
  schema?: string
}

const PERMISSIONS = ['{read}', '{read,write}', '{read,write,invite}', '{admin}']
const FORMS = ['address', 'billing', 'newsletter', 'profile']

/**
 * Fills the tables of `userSchema`, which are empty but for `users`. A few users are much more active than the rest, and some
 * have no settings, forms or activity at all.
 *
 * @throws {RangeError} on a size out of bounds
 */
export async function seedUsers(sql: Sql, options: UserSeedOptions = {}): Promise<void> {
  const { users = 500, seed = 1, schema = 'platform' } = options
  wholeNumber('users', users, 1, 1_000_000)
  const table = tablesIn(schema)
  const ofUser = (salt: string) => noise(seed, salt, 'u')
  const ofOne = (salt: string) => noise(seed, salt, 'u', 'n')
  await seedAccounts(sql, { users, seed, table })
  await sql.unsafe(`
    insert into ${table('user_settings')} (user_id, permissions, settings)
    select ${accountId(seed)}, ${pick(PERMISSIONS, ofUser('permissions'))}::text[],
      jsonb_build_object('theme', ${pick(['dark', 'light'], ofUser('theme'))}, 'pageSize', 10 + floor(${ofUser('page')} * 90)::int)
    from generate_series(1, ${users}) u where ${ofUser('settings')} < 0.9`)
  await sql.unsafe(`
    insert into ${table('user_activity')} (user_id, item, title, at)
    select ${accountId(seed)}, 'item-' || floor(${ofOne('item')} * 50)::int, 'Item ' || floor(${ofOne('item')} * 50)::int,
      now() - interval '1 minute' - ${ofOne('at')} * interval '3 days'
    from generate_series(1, ${users}) u
    cross join lateral generate_series(1, floor(60 * power(${ofUser('active')}, 6))::int) n`)
  await sql.unsafe(`
    insert into ${table('user_forms')} (id, user_id, name, fields, updated_at)
    select md5('form:${Math.trunc(seed)}:' || u || ':' || n)::uuid, ${accountId(seed)}, ${pick(FORMS, ofOne('name'))},
      jsonb_build_object('city', ${pick(['Amsterdam', 'Lisbon', 'Paris'], ofOne('city'))}, 'done', ${ofOne('done')} < 0.5),
      now() - ${ofOne('updated')} * interval '30 days'
    from generate_series(1, ${users}) u cross join lateral generate_series(1, floor(${ofUser('forms')} * 4)::int) n`)
  for (const name of ['users', 'user_settings', 'user_activity', 'user_forms'])
    await sql.unsafe(`analyze ${table(name)}`)
}
