import { ABSENT_PREFIX, COMMON, LEASE_PREFIX } from '../cache/script-parts.ts'
import type { Script } from '../coordination/types.ts'
import { CHANGES_LUA, FILLED_KEY } from '../store/changes.ts'

/**
 * One key of the source as it is now: what DUMP gives, when it expires (-1: never), its version where that lies beside it, how
 * hot it is (-1: not told). Nothing where it is not there, or bears a tag that was invalidated: the tag's version may have been
 * copied before that. The heat comes first: DUMP counts as a use.
 *
 * KEYS: the key, its version's key. ARGV: `FREQ` or `IDLETIME`.
 */
export const DUMP: Script = {
  text: `${COMMON}
local heat = redis.pcall('OBJECT', ARGV[1], KEYS[1])
if type(heat) ~= 'number' then heat = -1 end
local payload = redis.call('DUMP', KEYS[1])
if not payload then return nil end
-- Of another type it is an error, and bears none.
local value = redis.pcall('GET', KEYS[1])
if type(value) == 'string' and not tags_hold(value) then return nil end
local version = redis.pcall('GET', KEYS[2])
if type(version) ~= 'string' then version = '' end
-- Redis before 7.0 does not know PEXPIRETIME.
local expires = redis.pcall('PEXPIRETIME', KEYS[1])
if type(expires) == 'table' then
  local left = redis.call('PTTL', KEYS[1])
  expires = left < 0 and -1 or now_ms + left
end
return {payload, string.format('%.0f', expires), version, heat}`,
}

/**
 * Adds keys to the target. A letter for each comes out, and an error's text where it is `f`: `w` copied, `p` there already, `n` it
 * was changed there as far as is remembered, or filled after the ticket, is being loaded by a reader, is known to be nowhere, or
 * has another version,
 * `e` it has expired, `o` no memory: then none that follows was tried either, `f` refused.
 *
 * The version is written first: a value without it could be replaced by an older one.
 *
 * KEYS: the keys. ARGV: the ticket; then for each key when it expires in ms since 1970 ('' never), `FREQ`, `IDLETIME` or '', how
 * much of that, its version or '', its payload.
 */
export const RESTORE: Script = {
  text: `${CHANGES_LUA}
local ticket = tonumber(ARGV[1])
local time = redis.call('TIME')
local now_ms = time[1] * 1000 + math.floor(time[2] / 1000)
-- So many changes since the ticket that some were forgotten, or all of them.
local is_forgotten = refusals(ticket, KEYS, 1, #KEYS) == true

local function newer(a, b)
  if #a ~= #b then return #a > #b end
  return a > b
end

local function stays_away(i, key, version)
  if is_forgotten or score(CHANGES, member(key)) then return true end
  if (tonumber(redis.call('ZSCORE', '${FILLED_KEY}', member(key)) or nil) or -1) > ticket then return true end
  if redis.call('EXISTS', '${ABSENT_PREFIX}' .. key, '${LEASE_PREFIX}' .. key) > 0 then return true end
  local theirs = redis.call('GET', 'prewarm:version:' .. key)
  return theirs and (version == '' or newer(theirs, version))
end

local function fault(...)
  local reply = redis.pcall(...)
  return type(reply) == 'table' and reply.err or nil
end

local function restore(key, expires, heat, amount, version, payload)
  local version_key = 'prewarm:version:' .. key
  local err = nil
  if version ~= '' then
    if expires == '' then err = fault('SET', version_key, version) else err = fault('SET', version_key, version, 'PXAT', expires) end
    if err then return err end
  end
  local args = {key, expires == '' and '0' or expires, payload}
  if expires ~= '' then args[#args + 1] = 'ABSTTL' end
  if heat ~= '' then
    args[#args + 1] = heat
    args[#args + 1] = amount
  end
  err = fault('RESTORE', unpack(args))
  if err and version ~= '' then redis.call('DEL', version_key) end
  return err
end

local out = {}
local is_full = false
for i, key in ipairs(KEYS) do
  local expires, heat, amount, version, payload = unpack(ARGV, 5 * i - 3, 5 * i + 1)
  local letter, note = 'w', ''
  if is_full then letter = 'o'
  elseif redis.call('EXISTS', key) == 1 then letter = 'p'
  elseif stays_away(i, key, version) then letter = 'n'
  elseif expires ~= '' and tonumber(expires) <= now_ms then letter = 'e'
  else
    local err = restore(key, expires, heat, amount, version, payload)
    if err and string.find(err, 'OOM', 1, true) then
      letter, is_full = 'o', true
    elseif err then letter, note = 'f', err end
  end
  out[2 * i - 1], out[2 * i] = letter, note
end
return out`,
}
