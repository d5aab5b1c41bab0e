import type { Sql } from 'postgres'
import { noise } from './table.ts'

/** SQL for the table that the recipes `sessions` and `users` share. */
export function accountsTable(table: (name: string) => string): string {
  return `
create table if not exists ${table('users')} (
  id uuid primary key default gen_random_uuid(),
  email text not null,
  first_name text,
  last_name text,
  username text,
  deleted_at timestamptz,
  banned_until timestamptz
);
`
}

/** SQL for the id of the user whose number is `u`. */
export function accountId(seed: number): string {
  return `md5('user:${Math.trunc(seed)}:' || u)::uuid`
}

/** Adds users 1 to `users`; those that are there stay. Some are deleted, banned, or were banned once. */
export async function seedAccounts(
  sql: Sql,
  { users, seed, table }: { users: number; seed: number; table: (name: string) => string },
): Promise<void> {
  const of = (salt: string) => noise(seed, salt, 'u')
  await sql.unsafe(`
    insert into ${table('users')} (id, email, first_name, last_name, username, deleted_at, banned_until)
    select ${accountId(seed)}, 'user' || u || '@example.com',
      case when ${of('first')} < 0.95 then 'First' || u end, case when ${of('last')} < 0.95 then 'Last' || u end,
      case when ${of('name')} < 0.9 then 'user' || u end,
      case when ${of('deleted')} < 0.04 then now() - interval '3 days' end,
      case when ${of('banned')} < 0.04 then now() + interval '7 days'
        when ${of('banned')} < 0.08 then now() - interval '7 days' end
    from generate_series(1, ${users}) u
    on conflict (id) do nothing`)
}
