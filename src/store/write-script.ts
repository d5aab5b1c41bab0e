import { LEASE_PREFIX } from '../cache/script-parts.ts'
import type { Fence } from '../coordination/types.ts'
import type { WriteMode } from '../types.ts'
import { STAMP_LUA, STAMPS } from './changes.ts'
import type { Entry } from './types.ts'
import { GUARD_LUA, guardArgs } from './write-guard.ts'

/**
 * Writes a chunk of entries: a letter for each comes out (w written, p present, n newer, f failed).
 * In a script because a reader then never sees half a hash, what is newer is compared and written in one step, and one
 * command a chunk costs the client a fifth of the CPU of three commands a hash (`bench/write.bench.ts`).
 *
 * KEYS: the keys; with a version kept beside the value, as many version keys; then one scratch key, [a fence's key].
 * ARGV: mode, type, where the version is kept ('none', 'field', 'json', 'beside'), its field, what GUARD_LUA takes; then for
 *       each entry TTL in ms, [version], and the value; for type 'hash' the number of fields-and-values and these; for type
 *       'rows', hashes that all have the same fields, only their values: the number of fields and their names stand once,
 *       before the first entry.
 *
 * A present value that a reader filled after the ticket stays, unless its version says that it is not the newer one.
 * A hash that replaces something is built under the scratch key and renamed, so that a write refused for lack of
 * memory leaves the old value whole. (DEL first would also switch Redis' own memory check off for the script's rest.)
 * Versions are read as `versionText` writes them; doubles hold microseconds exactly up to the year 2255.
 */
export const WRITE_SCRIPT = `${GUARD_LUA}${STAMP_LUA}
local mode, kind, where, field = ARGV[1], ARGV[2], ARGV[3], ARGV[4]
local scratch = KEYS[#KEYS]
local is_hash = kind ~= 'string'
local out, errors, at = {}, {}, 7
local _

local fields, row = 0, nil
if kind == 'rows' then
  fields, row = tonumber(ARGV[at]), {}
  for n = 1, fields do row[2 * n - 1] = ARGV[at + n] end
  at = at + 1 + fields
end

local function days(y, m, d)
  if m <= 2 then y = y - 1 end
  local era = math.floor(y / 400)
  local yoe = y - era * 400
  local doy = math.floor((153 * (m + (m > 2 and -3 or 9)) + 2) / 5) + d - 1
  return era * 146097 + yoe * 365 + math.floor(yoe / 4) - math.floor(yoe / 100) + doy - 719468
end

local function version(text)
  if type(text) == 'number' then text = string.format('%.0f', text) end
  if type(text) ~= 'string' then return nil end
  if string.match(text, '^%d+$') then return (string.gsub(text, '^0+(%d)', '%1')) end
  local y, mo, d, h, mi, s, rest = string.match(text, '^(%d%d%d%d)%-(%d%d)%-(%d%d)[T ](%d%d):(%d%d):(%d%d)(.*)$')
  if not y then return nil end
  local fraction, zone = string.match(rest, '^%.(%d+)(.*)$')
  if not fraction then fraction, zone = '0', rest end
  local micros = tonumber(string.sub(fraction .. '000000', 1, 6))
  local offset = 0
  local sign, zh, zm = string.match(zone, '^([+-])(%d%d):?(%d*)')
  if sign then offset = (tonumber(zh) * 3600 + (tonumber(zm) or 0) * 60) * (sign == '-' and -1 or 1) end
  local seconds = days(tonumber(y), tonumber(mo), tonumber(d)) * 86400 + tonumber(h) * 3600 + tonumber(mi) * 60 + tonumber(s) - offset
  return string.format('%.0f', seconds * 1000000 + micros)
end

local function newer(a, b)
  if #a ~= #b then return #a > #b end
  return a > b
end

local pcall_redis = redis.pcall
local function call(...)
  local reply = pcall_redis(...)
  if type(reply) == 'table' and reply.err then return nil, reply.err end
  return reply
end
local function fault(reply)
  return type(reply) == 'table' and reply.err or nil
end

local function stored(key, beside_key)
  if beside then return version(call('GET', beside_key)) end
  if where == 'field' then return version(call('HGET', key, field)) end
  local text = call('GET', key)
  if not text then return nil end
  local ok, value = pcall(cjson.decode, text)
  return ok and type(value) == 'table' and version(value[field]) or nil
end

local function write_hash(target, expires, first, last)
  if row then
    for n = 1, fields do row[2 * n] = ARGV[first + n - 1] end
    local err = fault(pcall_redis('HSET', target, unpack(row)))
    if err then return err end
  else
    for from = first, last, 1000 do
      local err = fault(pcall_redis('HSET', target, unpack(ARGV, from, math.min(from + 999, last))))
      if err then return err end
    end
  end
  return fault(pcall_redis('PEXPIREAT', target, expires))
end

-- One look at all keys: a cold store, the usual case, then needs none at each.
local any = (mode ~= 'overwrite' or is_hash or filled_later) and (call('EXISTS', unpack(KEYS, 1, count)) or 1) > 0

for i = 1, count do
  local key, ttl, mine, err = KEYS[i], tonumber(ARGV[at]), nil, nil
  at = at + 1
  if where ~= 'none' then mine = ARGV[at]; at = at + 1 end
  local first, last = at, at
  if row then last = at + fields - 1 elseif is_hash then first = at + 1; last = at + tonumber(ARGV[at]) end
  at = last + 1

  local letter = 'w'
  local there = any and call('EXISTS', key) == 1
  if is_refused(i) then
    letter = 'n'
  elseif there and mode == 'add' then
    letter = 'p'
  elseif there then
    local theirs = mode == 'newer' and stored(key, KEYS[count + i])
    if theirs then
      if newer(theirs, mine) then letter = 'n' end
    elseif filled_later and filled_later[i] then letter = 'n' end
  end

  if letter == 'w' then
    local expires = stamped(ttl, ${STAMPS.warm})
    if not is_hash then
      err = fault(pcall_redis('SET', key, ARGV[first], 'PXAT', expires))
    elseif there then
      err = write_hash(scratch, expires, first, last)
      if not err then _, err = call('RENAME', scratch, key)
      -- A DEL, even of nothing, would switch the memory check off for the keys that follow.
      elseif call('EXISTS', scratch) == 1 then call('DEL', scratch) end
    else
      err = write_hash(key, expires, first, last)
    end
    if not err and beside then _, err = call('SET', KEYS[count + i], mine, 'PXAT', expires) end
    if err then
      letter = 'f'
      errors[#errors + 1] = i - 1
      errors[#errors + 1] = err
    end
  end
  out[i] = letter
end

-- A reader that refreshes one of them has begun before: without its lease it replaces nothing.
if ticket and ticket > 0 then
  local leases = {}
  for i = 1, count do
    if out[i] == 'w' then leases[#leases + 1] = '${LEASE_PREFIX}' .. KEYS[i] end
  end
  if #leases > 0 then call('UNLINK', unpack(leases)) end
end
return { table.concat(out), unpack(errors) }
`

/** Where a version is kept: nowhere, in a hash's field, in a JSON value's property, or under a key of its own. */
export type VersionPlace = 'none' | 'field' | 'json' | 'beside'

export interface Chunk {
  /** Index of its first entry in the batch. */
  first: number
  entries: readonly Entry[]
}

/** Bounds on one script call: it blocks the server while it runs. */
const MAX_CHUNK_KEYS = 250
const MAX_CHUNK_CHARS = 128 * 1024

/** Cuts a batch into what one script call may write. */
export function chunksOf(entries: readonly Entry[]): Chunk[] {
  const chunks: Chunk[] = []
  let first = 0
  let chars = 0
  for (const [index, entry] of entries.entries()) {
    const size = sizeOf(entry)
    if (index > first && (index - first >= MAX_CHUNK_KEYS || chars + size > MAX_CHUNK_CHARS)) {
      chunks.push({ first, entries: entries.slice(first, index) })
      first = index
      chars = 0
    }
    chars += size
  }
  if (first < entries.length) chunks.push({ first, entries: entries.slice(first) })
  return chunks
}

function sizeOf({ encoded }: Entry): number {
  if (encoded.type === 'string') return encoded.value.length
  let size = 0
  for (const part of encoded.fields) size += part.length
  return size
}

/** What a write is refused by. */
export interface Guard {
  ticket?: string | undefined
  fence?: Fence | undefined
}

/** KEYS and ARGV of a chunk, with the number of keys first, as EVALSHA takes them. */
export function scriptArgs(
  { entries }: Chunk,
  mode: WriteMode,
  place: VersionPlace,
  field: string,
  { ticket, fence }: Guard = {},
): string[] {
  const type = entries[0]?.encoded.type ?? 'string'
  const names = type === 'hash' ? commonFields(entries) : null
  const keys = entries.map((entry) => entry.key)
  if (place === 'beside') for (const { key } of entries) keys.push(versionKey(key))
  keys.push(SCRATCH_KEY)
  if (fence !== undefined) keys.push(fence.key)
  const args = [String(keys.length), ...keys, mode, names === null ? type : 'rows', place, field]
  args.push(...guardArgs(ticket, fence?.token))
  if (names !== null) args.push(String(names.length), ...names)
  for (const { ttlMs, version, encoded } of entries) {
    args.push(String(ttlMs))
    if (place !== 'none') args.push(version ?? '0')
    if (encoded.type === 'string') args.push(encoded.value)
    else if (names !== null)
      for (let at = 1; at < encoded.fields.length; at += 2) args.push(encoded.fields[at] as string)
    else {
      args.push(String(encoded.fields.length))
      for (const part of encoded.fields) args.push(part)
    }
  }
  return args
}

/** What Lua can unpack at once is bounded. */
const MAX_COMMON_FIELDS = 500

/** The fields' names, if every hash has the same ones in the same order: rows of one query without a null do. */
function commonFields(entries: readonly Entry[]): string[] | null {
  const first = entries[0]?.encoded
  if (first?.type !== 'hash' || first.fields.length > 2 * MAX_COMMON_FIELDS) return null
  const names = first.fields.filter((_, index) => index % 2 === 0)
  for (const { encoded } of entries) {
    if (encoded.type !== 'hash' || encoded.fields.length !== 2 * names.length) return null
    for (let at = 0; at < names.length; at++) if (encoded.fields[2 * at] !== names[at]) return null
  }
  return names
}

const SCRATCH_KEY = 'prewarm:scratch'

/** Where the version of `key` is kept when its value can't hold it. */
export function versionKey(key: string): string {
  return `prewarm:version:${key}`
}
