/** Field of the hash and the expression it comes from. */
const COLUMNS = {
  id: 's.id',
  userId: 's.user_id',
  token: 's.token',
  expiresAt: 's.expires_at',
  lastActivityAt: 's.last_activity_at',
  ipAddress: 'host(s.ip_address)',
  userAgent: 's.user_agent',
  createdAt: 's.created_at',
  email: 'u.email',
  firstName: 'u.first_name',
  lastName: 'u.last_name',
  username: 'u.username',
}

export const FIELDS = Object.keys(COLUMNS)
export const TTL_MS = 300_000
export const PREFIX = 'left(s.token, 16)'

const FROM = `from platform.user_sessions s join platform.users u on s.user_id = u.id
  where s.expires_at > now() and u.deleted_at is null and u.banned_until is null
    and s.last_activity_at > now() - interval '24 hours'
  order by s.last_activity_at desc`

/** Newest first: `prefix` for the key, then the hash's fields. */
export const SELECT = `select ${PREFIX} as prefix, ${Object.entries(COLUMNS)
  .map(([name, expression]) => `${expression} as "${name}"`)
  .join(', ')} ${FROM}`

/** Some of the `limit` newest, every value as text: one JSON list of objects with `prefix` and the fields. */
export function sampleSelect(limit: number, count: number): string {
  const fields = FIELDS.map((name) => `q."${name}"::text as "${name}"`).join(', ')
  const some = `select q.prefix, ${fields} from (${SELECT} limit ${limit}) q order by random() limit ${count}`
  return `select json_agg(r) from (${some}) r`
}

/**
 * The baseline's query: each row is HSET and EXPIRE in RESP, all but the last line feed, which ends the row anyway.
 * The sessions hold no null, which would have to be left out.
 */
export function respSelect(limit: number): string {
  const bulk = (expression: string) => `octet_length(${expression}) || e'\\r\\n' || ${expression} || e'\\r\\n`
  const fields = Object.entries(COLUMNS)
    .map(([name, expression]) => `$${name.length}\\r\\n${name}\\r\\n$' || ${bulk(`(${expression})::text`)}`)
    .join('')
  const key = bulk(`('session:' || ${PREFIX})`)
  const seconds = String(TTL_MS / 1000)
  const hset = `e'*${2 + 2 * FIELDS.length}\\r\\n$4\\r\\nHSET\\r\\n$' || ${key}${fields}`
  const expire = `*3\\r\\n$6\\r\\nEXPIRE\\r\\n$' || ${key}$${seconds.length}\\r\\n${seconds}\\r'`
  return `select ${hset}${expire} ${FROM} limit ${limit}`
}
