import { REMEMBERED } from './job-record.ts'
import type { Script } from './types.ts'

/** KEYS of each script: ids, numbered as they began; records by id; who runs them, by id: an instance, and the mark of its process. */
export const JOB_KEYS = ['prewarm:jobs', 'prewarm:jobs:records', 'prewarm:jobs:running'] as const

/** An instance is alive as long as it keeps its key. */
export const heartbeatKey = (instance: string) => `prewarm:instance:${instance}`

/** Forgets the oldest above the bound; those that run are the last to go. */
const KEEP = `
local function keep(id, record)
  redis.call('HSET', KEYS[2], id, record)
  local newest = redis.call('ZREVRANGE', KEYS[1], 0, 0, 'WITHSCORES')
  redis.call('ZADD', KEYS[1], 'NX', string.format('%.0f', (tonumber(newest[2]) or 0) + 1), id)
  local over = redis.call('ZCARD', KEYS[1]) - ${REMEMBERED}
  if over <= 0 then return end
  local ids = redis.call('ZRANGE', KEYS[1], 0, -1)
  for round = 1, 2 do
    for _, old in ipairs(ids) do
      if over > 0 and old ~= id and (round == 2 or redis.call('HEXISTS', KEYS[3], old) == 0)
        and redis.call('ZREM', KEYS[1], old) == 1 then
        redis.call('HDEL', KEYS[2], old)
        redis.call('HDEL', KEYS[3], old)
        over = over - 1
      end
    end
  end
end`

/** ARGV: id, record, runner. */
export const BEGIN: Script = {
  text: `${KEEP}
redis.call('HSET', KEYS[3], ARGV[1], ARGV[3])
keep(ARGV[1], ARGV[2])
return 1`,
}

/** ARGV: id, record, runner. Replies 0, and does nothing, if another process has adopted the job. */
export const END: Script = {
  text: `${KEEP}
local runner = redis.call('HGET', KEYS[3], ARGV[1])
if runner and runner ~= ARGV[3] then return 0 end
redis.call('HDEL', KEYS[3], ARGV[1])
keep(ARGV[1], ARGV[2])
return 1`,
}

/** Replies the records, newest first. */
export const LIST: Script = {
  text: `
local ids = redis.call('ZREVRANGE', KEYS[1], 0, ${REMEMBERED - 1})
if #ids == 0 then return {} end
return redis.call('HMGET', KEYS[2], unpack(ids))`,
}

/** Who runs a job. */
export const runnerOf = (instance: string, mark: string) => `${instance} ${mark}`

/**
 * ARGV: instance, its runner. Replies the records of jobs that nobody runs, oldest first: those of an instance that is
 * gone, or of this one's former process. From then on they are this runner's, so that no other gets them.
 */
export const ADOPT: Script = {
  text: `
local found = {}
for _, id in ipairs(redis.call('ZRANGE', KEYS[1], 0, -1)) do
  local runner = redis.call('HGET', KEYS[3], id)
  local instance = runner and runner ~= ARGV[2] and string.match(runner, '^(.*) ')
  if instance and (instance == ARGV[1] or redis.call('EXISTS', '${heartbeatKey('')}' .. instance) == 0) then
    redis.call('HSET', KEYS[3], id, ARGV[2])
    found[#found + 1] = redis.call('HGET', KEYS[2], id)
  end
end
return found`,
}

/** KEYS: the heartbeat. ARGV: this process' mark. Removes it, unless another process of the same name has its own there. */
export const STILL: Script = {
  text: `
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
return redis.call('DEL', KEYS[1])`,
}
