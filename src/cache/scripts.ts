import type { Script } from '../coordination/types.ts'
import { COMMON, LEASE_PREFIX, PUT } from './script-parts.ts'

export { ABSENT_PREFIX, CHANGED_CHANNEL, TAG_PREFIX, TAGGED, UNTRACKED_CHANNEL } from './script-parts.ts'

/**
 * Reads keys; takes a lease, and a ticket, for those that are not there and are wanted.
 *
 * KEYS: the keys, or none, and then they follow in ARGV: before Redis 7.2 a connection whose reads are tracked pays at each
 * command of a script for all its KEYS. ARGV: a lease's length in ms, its token; a letter for each key: `s` text, `h` hash, `S`, `H`
 * the same with a lease. Out: the server's time in ms, a ticket ('' where no lease was taken), then for each key the value (text, a list of
 * fields and values) and its expiry time in ms (-1: never), or a letter and a number: `a` the origin has none, and for how many
 * ms that is remembered; `l` not there, and the lease is taken; `w` another has it, and for how many ms; `m` not there.
 */
export const READ: Script = {
  text: `${COMMON}
local lease_ms, token, letters, ticket = ARGV[1], ARGV[2], ARGV[3], ''
local keys = #KEYS > 0 and KEYS or {unpack(ARGV, 4)}
local out = {now_ms, ''}
-- What is no text comes out as not there, and is looked for again below.
local texts = redis.call('MGET', unpack(keys))

-- A value of another type is looked for as that; a list or a set is nothing that a cache would have written.
local function hash_of(key)
  local fields = redis.pcall('HGETALL', key)
  if fields.err then return nil, true end
  return #fields > 0 and fields or nil
end
local function value_of(key, is_hash, text_there)
  if is_hash then
    local fields, is_other = hash_of(key)
    if not is_other then return fields end
  end
  if not text_there then return not is_hash and hash_of(key) or nil end
  return tags_hold(text_there) and text_there or nil
end

-- Redis before 7.0 does not know PEXPIRETIME.
local function expiry(key)
  local at = redis.pcall('PEXPIRETIME', key)
  if type(at) ~= 'table' then return at end
  local time, left = redis.call('TIME'), redis.call('PTTL', key)
  return left < 0 and left or time[1] * 1000 + math.floor(time[2] / 1000) + left
end

for i, key in ipairs(keys) do
  local letter = string.sub(letters, i, i)
  local kind = string.lower(letter)
  local value = value_of(key, kind == 'h', texts[i])
  local note = nil
  if value then note = expiry(key)
  else
    local left = redis.call('PTTL', ABSENT .. key)
    if left ~= -2 then value, note = 0, left
    elseif letter == kind then value, note = 1, 0
    else
      if ticket == '' then
        need_no_memory()
        ticket = text(tick())
      end
      if redis.call('SET', LEASE .. key, token, 'PX', lease_ms, 'NX') then value, note = 2, 0
      else value, note = 3, redis.call('PTTL', LEASE .. key) end
    end
  end
  out[#out + 1] = value
  out[#out + 1] = note
end
out[2] = ticket
return out`,
}

/** What stands in place of a value that is not there. */
export const MISSING = { absent: 0, missing: 1, leased: 2, waiting: 3 } as const

/** Takes the lease of one key whether it is there or not: '' if another has it, else a ticket. KEYS: the key. ARGV: as READ. */
export const LEASE: Script = {
  text: `${COMMON}
need_no_memory()
if not redis.call('SET', LEASE .. KEYS[1], ARGV[2], 'PX', ARGV[1], 'NX') then return '' end
return text(tick())`,
}

/** Gives leases back whose load came to nothing. KEYS: the keys. ARGV: the token. */
export const RELEASE: Script = {
  text: `
local released = 0
for _, key in ipairs(KEYS) do
  if redis.call('GET', '${LEASE_PREFIX}' .. key) == ARGV[1] then
    redis.call('DEL', '${LEASE_PREFIX}' .. key)
    released = released + 1
  end
end
return released`,
}

/** Takes a ticket. */
export const TICKET: Script = {
  text: `${COMMON}
need_no_memory()
return text(tick())`,
}

/**
 * Writes what was loaded, unless the key was changed since the load began, or its lease is another's.
 *
 * KEYS: the keys. ARGV: the ticket, the lease's token ('' without), how ('a': only where nothing is there, 'o': over what is
 * there), the stamp; then for each key its version ('' without), kind (`s`, `h`, `n`: the origin has none), TTL in ms, number of
 * parts, and these: the text, or fields and values. Out for each key a letter (`w` written, `n` newer, `p` there already, `f`
 * refused by Redis) and its expiry time in ms, or the error.
 */
export const FILL: Script = {
  text: `${COMMON}${PUT}
local ticket, token, how, stamp = tonumber(ARGV[1]), ARGV[2], ARGV[3], tonumber(ARGV[4])
local refused = refusals(ticket, KEYS, 1, #KEYS)
local out, kinds, versions, at = {}, {}, {}, 5

-- What bears a tag of another version is as good as not there.
local function holds(key)
  if redis.call('EXISTS', key) == 0 then return false end
  local value = how == 'a' and redis.pcall('GET', key)
  return type(value) ~= 'string' or tags_hold(value)
end

local function verdict(key, i, version)
  if refused == true or (refused and refused[i]) then return 'n' end
  local holder = redis.call('GET', LEASE .. key)
  local is_there = holds(key)
  if holder and holder ~= token and (token ~= '' or how == 'a') then return 'n' end
  -- A lease that ran out: somebody else may have loaded, and written, since.
  if not holder and token ~= '' and is_there then return 'n' end
  if how == 'a' then return is_there and 'p' or nil end
  if is_there and (score(FILLED, member(key)) or 0) > ticket then return 'n' end
  local theirs = version ~= '' and is_there and redis.call('GET', VERSION .. key)
  return theirs and newer(theirs, version) and 'n' or nil
end

for i, key in ipairs(KEYS) do
  local version, kind, ttl, parts = ARGV[at], ARGV[at + 1], tonumber(ARGV[at + 2]), tonumber(ARGV[at + 3])
  local first, last = at + 4, at + 3 + parts
  at = last + 1
  kinds[i], versions[i] = kind, version
  local letter, note = verdict(key, i, version), 0
  if not letter then letter, note = put(key, kind, ttl, stamp, first, last) end
  out[2 * i - 1], out[2 * i] = letter, note
end

-- Deleting comes last: after it Redis checks its memory no more.
local mine, replaced = nil, {}
for i, key in ipairs(KEYS) do
  local is_written = out[2 * i - 1] == 'w'
  if is_written then
    if how == 'o' then replaced[#replaced + 1] = key end
    tidy(key, kinds[i], versions[i], out[2 * i], true)
    mine = mine or tick()
    mark_filled(mine, key)
  end
  local holder = redis.call('GET', LEASE .. key)
  if holder and (holder == token or (is_written and token == '')) then redis.call('DEL', LEASE .. key) end
end
-- A read: the server then tells this connection of the next change.
redis.call('EXISTS', unpack(KEYS))
if #replaced > 0 then publish(cjson.encode(replaced), true) end
return out`,
}

/**
 * Deletes keys, marks them as changed, and takes the leases of loads that would be refused. Returns how many were there.
 *
 * KEYS: the keys. ARGV: what to publish, or ''.
 */
export const DELETE: Script = {
  text: `${COMMON}
local absent, beside = {}, {}
for i, key in ipairs(KEYS) do
  absent[i] = ABSENT .. key
  beside[2 * i - 1], beside[2 * i] = VERSION .. key, LEASE .. key
end
-- Deleting comes first: it must work in a server that is full, too.
local deleted = redis.call('UNLINK', unpack(KEYS))
local remembered = redis.call('UNLINK', unpack(absent))
redis.call('UNLINK', unpack(beside))
mark(tick_of(DELETED), KEYS)
publish(ARGV[1], remembered == 0)
return deleted`,
}

/**
 * Writes values that the application gives, and marks their keys as changed.
 *
 * KEYS: the keys. ARGV: the stamp, what to publish; then for each key its version ('' without), kind, TTL, number of parts, parts
 * (as FILL). Out: as FILL. A version lies beside the value, as the warmer's own does.
 */
export const SET: Script = {
  text: `${COMMON}${PUT}
local out, kinds, versions, at = {}, {}, {}, 3

for i, key in ipairs(KEYS) do
  local version, kind, ttl, parts = ARGV[at], ARGV[at + 1], tonumber(ARGV[at + 2]), tonumber(ARGV[at + 3])
  local first, last = at + 4, at + 3 + parts
  at = last + 1
  kinds[i], versions[i] = kind, version
  local theirs = version ~= '' and redis.call('EXISTS', key) == 1 and redis.call('GET', VERSION .. key)
  local letter, note = 'n', 0
  if not theirs or not newer(theirs, version) then letter, note = put(key, kind, ttl, tonumber(ARGV[1]), first, last) end
  out[2 * i - 1], out[2 * i] = letter, note
end

for i, key in ipairs(KEYS) do
  if out[2 * i - 1] == 'w' then
    tidy(key, kinds[i], versions[i], out[2 * i])
    redis.call('DEL', LEASE .. key)
  end
end
need_no_memory()
mark(tick_of(GIVEN), KEYS)
publish(ARGV[2], true)
redis.call('EXISTS', unpack(KEYS))
return out`,
}

/**
 * Keys that another program was heard to delete: see `SharedTier.heard`. KEYS: the keys.
 *
 * What is there now came after the delete. It stays where the application gave it, or where the delete was marked already: by
 * another who heard of it, or by whoever made it.
 */
export const HEARD: Script = {
  text: `${COMMON}
need_no_memory()
local ticket = tick_of(DELETED)
for _, key in ipairs(KEYS) do
  local changed = score(CHANGES, member(key)) or 0
  local is_known = changed % 2 == DELETED or (score(FILLED, member(key)) or 0) < changed
  if changed < ticket - 1000000 or not is_known then
    redis.call('UNLINK', key)
    redis.call('UNLINK', LEASE .. key, VERSION .. key)
  end
end
mark(ticket, KEYS)
return #KEYS`,
}

/** Refuses every load in flight: as if more had been changed meanwhile than is remembered. */
export const BARRIER: Script = {
  text: `${COMMON}
need_no_memory()
redis.call('ZADD', CHANGES, text(tick()), '\\1trimmed')
return 1`,
}

/** The versions of tags; one that has none gets one. ARGV: the tags. */
export const TAG_VERSIONS: Script = {
  text: `${COMMON}
need_no_memory()
local out = {}
for i, tag in ipairs(ARGV) do
  local version = redis.call('GET', TAG .. tag)
  if not version then
    redis.call('SET', TAG .. tag, text(tick()))
    version = redis.call('GET', TAG .. tag)
  end
  out[i] = version
end
return out`,
}

/** Gives each tag another version, so that nothing that bears it is served any more. ARGV: what to publish, the tags. */
export const INVALIDATE_TAGS: Script = {
  text: `${COMMON}
need_no_memory()
for i = 2, #ARGV do redis.call('SET', TAG .. ARGV[i], text(tick())) end
publish(ARGV[1], false)
return #ARGV - 1`,
}
