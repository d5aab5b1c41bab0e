import type { Script } from '../coordination/types.ts'

/**
 * What keeps a slow load from bringing an old value back. Everyone who deletes or sets a key marks it with a ticket: a number
 * that only grows. Everyone who loads takes a ticket first; its write is refused where the key was marked after that.
 *
 * One sorted set holds it all, so that a server that evicts loses all of it or nothing: key -> ticket of its last change, and
 * three members that can be no key: now (the last ticket), created (the first one), trimmed (the largest that was forgotten).
 * At most {@linkcode KEPT_CHANGES} changes are kept; a load that began before the oldest of them is refused as a whole.
 * A ticket is the server's time in us, or one more than the last, so that a clock that is set back does no harm.
 */
export const CHANGES_KEY = 'prewarm:changes'

/** Keys that readers filled, with the ticket of that: a warmer that began earlier does not replace them. Best effort. */
export const FILLED_KEY = 'prewarm:filled'

/** Keys whose last change is remembered; about 6 MB in Redis. */
export const KEPT_CHANGES = 50_000
const KEPT_FILLS = 20_000

/** Lua: `text(number)`, `need_no_memory()`, `tick()`, `mark(ticket, keys)`, `mark_filled(ticket, key)`, `refusals(ticket, keys)`. */
export const CHANGES_LUA = `
local CHANGES, FILLED = '${CHANGES_KEY}', '${FILLED_KEY}'
local function text(number) return string.format('%.0f', number) end
local function score(key, member) return tonumber(redis.call('ZSCORE', key, member) or nil) end
-- A long key by its digest: what is remembered stays small. So is one that could be taken for a member of ours.
local function member(key) return (#key > 64 or string.byte(key) == 1) and '\\1' .. redis.sha1hex(key) or key end

-- Redis does not ask for memory any more in a script that has deleted something, or nothing: what follows is a few bytes.
local function need_no_memory() redis.call('DEL', 'prewarm:nothing') end

-- A ticket larger than any before it. The first one lies a second ahead: where everything was lost, and begins anew, no
-- ticket of before may be as large, though the server's clock is coarse (the embedded one's: 1 ms) or was set back a little.
local function tick()
  local time = redis.call('TIME')
  local now = time[1] * 1000000 + time[2]
  local last = score(CHANGES, '\\1now')
  if last and last >= now then now = last + 1 end
  if not last then
    now = now + 1000000
    redis.call('ZADD', CHANGES, text(now), '\\1created')
  end
  redis.call('ZADD', CHANGES, text(now), '\\1now')
  return now
end

local function mark(ticket, keys)
  for _, key in ipairs(keys) do redis.call('ZADD', CHANGES, text(ticket), member(key)) end
  if redis.call('ZCARD', CHANGES) > ${KEPT_CHANGES} then
    local created = score(CHANGES, '\\1created')
    local gone = redis.call('ZPOPMIN', CHANGES, ${KEPT_CHANGES / 10})
    redis.call('ZADD', CHANGES, gone[#gone], '\\1trimmed', text(created), '\\1created')
    if not score(CHANGES, '\\1now') then redis.call('ZADD', CHANGES, text(ticket), '\\1now') end
  end
end

local function mark_filled(ticket, key)
  redis.call('ZADD', FILLED, text(ticket), member(key))
  if redis.call('ZCARD', FILLED) > ${KEPT_FILLS} then redis.call('ZPOPMIN', FILLED, ${KEPT_FILLS / 10}) end
end

-- Which of keys (from first to last) a load that began at ticket may not write: true for all, or a table by index, or nil.
-- A ticket of 0 was taken when nobody had ever changed anything.
local function refusals(ticket, keys, first, last)
  local now = score(CHANGES, '\\1now')
  if not now then return ticket > 0 or nil end
  if ticket > 0 and ticket < score(CHANGES, '\\1created') then return true end
  if ticket < (score(CHANGES, '\\1trimmed') or 0) then return true end
  local members = {}
  for at = first, last do members[#members + 1] = member(keys[at]) end
  local found = nil
  for at, changed in ipairs(redis.call('ZMSCORE', CHANGES, unpack(members))) do
    if changed and tonumber(changed) > ticket then
      found = found or {}
      found[first + at - 1] = true
    end
  end
  return found
end
`

/** A warmer's ticket: 0, and nothing is written, where nobody has ever changed anything through a cache. */
export const BEGIN_WARMING: Script = {
  text: `${CHANGES_LUA}
if not score(CHANGES, '\\1now') then return '0' end
need_no_memory()
return text(tick())`,
}

/**
 * Lua: `stamped(ttl)`: when a value expires that lives for `ttl` ms, as ms since 1970. Who filled it is told by the last two
 * digits of that time, so that it costs no memory, and is lost with a value that somebody else replaces. Up to 0.1 s early,
 * never late; not where a value lives for less than a second.
 */
export const STAMP_LUA = `
local server_time = redis.call('TIME')
local now_ms = server_time[1] * 1000 + math.floor(server_time[2] / 1000)
local function stamped(ttl, stamp)
  local at = now_ms + ttl
  if ttl < 1000 then return string.format('%.0f', at) end
  local early = at - at % 100 + stamp
  if early > at then early = early - 100 end
  return string.format('%.0f', early)
end
`

/** Last two digits of the expiry time of what was filled by warming, by a reader's miss, by the application itself. */
export const STAMPS = { warm: 37, read: 73, unknown: 0 } as const

/** What had filled an entry that expires at `expiresAtMs`. One in a hundred values of other programs looks like ours. */
export function filledByOf(expiresAtMs: number): keyof typeof STAMPS {
  const stamp = expiresAtMs % 100
  return stamp === STAMPS.warm ? 'warm' : stamp === STAMPS.read ? 'read' : 'unknown'
}
