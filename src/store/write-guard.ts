import { CHANGES_LUA } from './changes.ts'

/**
 * Lua: what a write of the first `count` KEYS must not do, by ARGV[5], a ticket, and ARGV[6], a fence's token; '' without.
 *
 * Without leave the script ends here with FENCED: the fence's key, then the last of KEYS, holds a larger number. Both numbers
 * are exact as doubles (until the year 2255). A fence that is gone (the server was emptied) holds nobody up.
 * `is_refused(i)`: the key was changed after the ticket. `filled_later`: nil, or by index the keys that a reader filled after it.
 */
export const GUARD_LUA = `${CHANGES_LUA}
local function filled_after(ticket, count)
  if redis.call('EXISTS', FILLED) == 0 then return nil end
  local members, found = {}, nil
  for i = 1, count do members[i] = member(KEYS[i]) end
  for i, filled in ipairs(redis.call('ZMSCORE', FILLED, unpack(members))) do
    if filled and tonumber(filled) > ticket then
      found = found or {}
      found[i] = true
    end
  end
  return found
end

if ARGV[6] ~= '' then
  local newest = redis.call('GET', table.remove(KEYS))
  if newest and (tonumber(newest) or 0) > tonumber(ARGV[6]) then return redis.error_reply('FENCED by ' .. newest) end
end
local beside = ARGV[3] == 'beside'
local count = beside and (#KEYS - 1) / 2 or #KEYS - 1
local ticket, refused, filled_later = tonumber(ARGV[5]), nil, nil
if ticket then
  refused = refusals(ticket, KEYS, 1, count)
  filled_later = filled_after(ticket, count)
end
local function is_refused(i) return refused == true or (refused and refused[i]) end
`

/** ARGV[5] and ARGV[6]. */
export function guardArgs(ticket: string | undefined, token: number | undefined): [string, string] {
  return [ticket ?? '', token === undefined ? '' : String(token)]
}
