import { accountsTable } from '../accounts.ts'
import { tablesIn } from '../table.ts'

/** What the recipe reads: users (the table of the recipe `sessions`) and what is theirs. The schema must exist. @default 'platform' */
export function userSchema(schema = 'platform'): string {
  const table = tablesIn(schema)
  return `${accountsTable(table)}
create table ${table('user_settings')} (
  user_id uuid primary key references ${table('users')},
  permissions text[] not null default '{}',
  settings jsonb not null default '{}'
);

create table ${table('user_activity')} (
  id bigint primary key generated always as identity,
  user_id uuid not null references ${table('users')},
  item text not null,
  title text not null,
  at timestamptz not null
);

create table ${table('user_forms')} (
  id uuid primary key default gen_random_uuid(),
  user_id uuid not null references ${table('users')},
  name text not null,
  fields jsonb not null,
  updated_at timestamptz not null
);

-- Serves a user's latest items.
create index user_activity_latest on ${table('user_activity')} (user_id, at desc);
-- Serves the counting of a window's activity, without the table.
create index user_activity_window on ${table('user_activity')} (at, user_id);
create index user_forms_of_user on ${table('user_forms')} (user_id, updated_at desc);
-- Serve the search, which compares beginnings.
create index users_by_email on ${table('users')} (lower(email) text_pattern_ops);
create index users_by_username on ${table('users')} (lower(username) text_pattern_ops);
create index users_by_last_name on ${table('users')} (lower(last_name) text_pattern_ops);
create index users_by_full_name on ${table('users')} (lower(coalesce(first_name, '') || ' ' || coalesce(last_name, '')) text_pattern_ops);
`
}
