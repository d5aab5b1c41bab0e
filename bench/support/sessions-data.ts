import { spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { resolve } from 'node:path'
import { check } from './check.ts'

/** Used where the shared data is absent: the same tables, counts and sizes. */
const OWN_SQL = `
create schema platform;
create table platform.users(id uuid primary key default gen_random_uuid(), email text not null, first_name text,
  last_name text, username text, deleted_at timestamptz, banned_until timestamptz);
create table platform.user_sessions(id uuid primary key default gen_random_uuid(),
  user_id uuid not null references platform.users(id), token text not null, expires_at timestamptz not null,
  last_activity_at timestamptz not null, ip_address inet, user_agent text, created_at timestamptz not null);
insert into platform.users(email, first_name, last_name, username)
  select 'user' || i || '@example.com', 'First' || i, 'Last' || i, 'user' || i from generate_series(1, 200000) i;
insert into platform.user_sessions(user_id, token, expires_at, last_activity_at, ip_address, user_agent, created_at)
  select u.id, encode(sha256((u.id::text || g)::bytea), 'hex'), now() + interval '30 days',
    now() - random() * interval '24 hours', ('10.0.' || (random() * 255)::int || '.' || (random() * 255)::int)::inet,
    'Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/130.0 Safari/537.36',
    now() - interval '2 days' from platform.users u, generate_series(1, 5) g;
create index on platform.user_sessions(last_activity_at desc);
vacuum analyze;
`

/** Loads 200,000 users and 1,000,000 sessions; says where they come from. */
export function loadSessions(databaseUrl: string): void {
  const folder = process.env.PREWARM_SHARED_DATA ?? resolve(import.meta.dir, '../../../shared/data')
  const file = resolve(folder, 'sessions.sql')
  const isThere = existsSync(file)
  console.log(isThere ? `sessions from ${file}` : `${file} is absent: the same sessions are generated here`)
  const args = [databaseUrl, '-q', '-v', 'ON_ERROR_STOP=1', '-f', isThere ? file : '-']
  const loaded = spawnSync('psql', args, { input: OWN_SQL, encoding: 'utf8' })
  check(loaded.status === 0, `loading the sessions failed: ${loaded.stderr}${loaded.error ?? ''}`)
}
