import { CHANGES_LUA, STAMP_LUA } from '../store/changes.ts'

/** Who loads a key that is in no layer: one reader of all processes, for a bounded time. */
export const LEASE_PREFIX = 'prewarm:lease:'
/** Stands for "the origin has none": a value of its own would be in other programs' way. */
export const ABSENT_PREFIX = 'prewarm:absent:'
/** The version of a tag; what was written under another one is not served. */
export const TAG_PREFIX = 'prewarm:tag:'
/** Channel on which keys, and tags' keys, are named that were changed: for those that can't be told by the server. */
export const CHANGED_CHANNEL = 'prewarm:changed'
/**
 * The same for what a server's tracking does not tell. Before Redis 7.2 it knows only of KEYS that a script declares, thus neither
 * of the tags that a value bears nor of what lies beside a key; from then on only of what it has read.
 */
export const UNTRACKED_CHANNEL = 'prewarm:changed:untracked'
/** What a text begins with that bears tags: this, a JSON object `{"tag": "version"}`, a newline, then the value. */
export const TAGGED = '\u0001'

/** Lua that every script begins with. */
export const COMMON = `${CHANGES_LUA}${STAMP_LUA}
local LEASE, ABSENT, TAG, VERSION = '${LEASE_PREFIX}', '${ABSENT_PREFIX}', '${TAG_PREFIX}', 'prewarm:version:'
-- Who may not use the channels does not hear on them either; what was changed is changed all the same.
local function publish(message, is_tracked)
  if message == '' then return end
  redis.pcall('PUBLISH', '${CHANGED_CHANNEL}', message)
  if not is_tracked then redis.pcall('PUBLISH', '${UNTRACKED_CHANNEL}', message) end
end

-- A change's ticket tells what it was: odd for a delete, even for a value that the application gave.
local GIVEN, DELETED = 0, 1
local function tick_of(kind)
  local ticket = tick()
  return ticket % 2 == kind and ticket or tick()
end

-- A header that can't be read is another program's text.
local function tags_hold(value)
  local ok, tags = pcall(cjson.decode, string.match(value, '^\\1({[^\\n]*})\\n') or '')
  if not ok or type(tags) ~= 'table' then return true end
  for tag, version in pairs(tags) do
    if redis.call('GET', TAG .. tag) ~= version then return false end
  end
  return true
end
`

/** Lua: `put` writes one value and returns `w` and when it expires, or `f` and the error; `tidy` is for after all puts. */
export const PUT = `
local function put(key, kind, ttl, stamp, first, last)
  if kind == 'n' then
    local reply = redis.pcall('SET', ABSENT .. key, '', 'PX', ttl)
    if type(reply) == 'table' and reply.err then return 'f', reply.err end
    return 'w', now_ms + ttl
  end
  local expires, reply = stamped(ttl, stamp), nil
  if kind == 's' then reply = redis.pcall('SET', key, ARGV[first], 'PXAT', expires)
  else
    -- Built before the old one goes: a write that is refused for lack of memory leaves that whole.
    for from = first, last, 1000 do
      reply = redis.pcall('HSET', 'prewarm:scratch', unpack(ARGV, from, math.min(from + 999, last)))
      if type(reply) == 'table' and reply.err then break end
    end
    if type(reply) ~= 'table' or not reply.err then
      redis.call('PEXPIREAT', 'prewarm:scratch', expires)
      reply = redis.pcall('RENAME', 'prewarm:scratch', key)
    elseif redis.call('EXISTS', 'prewarm:scratch') == 1 then redis.call('DEL', 'prewarm:scratch') end
  end
  if type(reply) == 'table' and reply.err then return 'f', reply.err end
  return 'w', tonumber(expires)
end

local function tidy(key, kind, version, expires, was_loaded)
  if kind == 'n' then redis.call('DEL', key, VERSION .. key)
  else
    redis.call('DEL', ABSENT .. key)
    if version ~= '' then redis.call('SET', VERSION .. key, version, 'PXAT', text(expires))
    -- What was loaded without its version is no older than the one that is known.
    elseif not was_loaded then redis.call('DEL', VERSION .. key) end
  end
end

local function newer(a, b)
  if #a ~= #b then return #a > #b end
  return a > b
end
`
