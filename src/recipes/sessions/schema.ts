import { accountsTable } from '../accounts.ts'
import { tablesIn } from '../table.ts'

/** What the recipe reads: users and their sessions. The schema must exist. @default 'platform' */
export function sessionSchema(schema = 'platform'): string {
  const table = tablesIn(schema)
  return `${accountsTable(table)}
create table ${table('user_sessions')} (
  id uuid primary key default gen_random_uuid(),
  user_id uuid not null references ${table('users')},
  token text not null unique,
  expires_at timestamptz not null,
  last_activity_at timestamptz not null,
  ip_address inet,
  user_agent text,
  created_at timestamptz not null
);

-- Serves "newest first, the first thousand" without a sort, and ends the scan after a day's sessions.
create index user_sessions_newest on ${table('user_sessions')} (last_activity_at desc, id);
`
}
