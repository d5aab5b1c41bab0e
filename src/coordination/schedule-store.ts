import type { Commands, ScheduleRecord, ScheduleStore, Script } from './types.ts'

/** A hash: the schedule's JSON by its name, and its last run's JSON by `<name>:run`. */
const KEY = 'prewarm:schedules'

/** Whether the run in ARGV, that began at `at`, is no older than the one that is noted. */
const IS_LATEST = `
local function is_latest(field, at)
  local text = redis.call('HGET', KEYS[1], field)
  local ok, noted = pcall(cjson.decode, text or '')
  return not ok or type(noted) ~= 'table' or type(noted.at) ~= 'string' or noted.at <= at
end`

/** ARGV: name, record, [at, run]. A run that was noted in the meantime stays. */
const SAVE: Script = {
  text: `${IS_LATEST}
redis.call('HSET', KEYS[1], ARGV[1], ARGV[2])
local field = ARGV[1] .. ':run'
if ARGV[3] and is_latest(field, ARGV[3]) then redis.call('HSET', KEYS[1], field, ARGV[4]) end
return 1`,
}

/** ARGV: name, at, run. Replies 0, and does nothing, if there is no such schedule, or a later run is noted. */
const NOTE: Script = {
  text: `${IS_LATEST}
local field = ARGV[1] .. ':run'
if redis.call('HEXISTS', KEYS[1], ARGV[1]) == 0 or not is_latest(field, ARGV[2]) then return 0 end
redis.call('HSET', KEYS[1], field, ARGV[3])
return 1`,
}

/** ARGV: name. Replies whether it was there. */
const REMOVE: Script = {
  text: `
redis.call('HDEL', KEYS[1], ARGV[1] .. ':run')
return redis.call('HDEL', KEYS[1], ARGV[1])`,
}

const ALL: Script = { text: `return redis.call('HGETALL', KEYS[1])` }

type Run = Pick<ScheduleRecord, 'lastRunAt' | 'lastStatus' | 'lastJobId'>

/** A {@linkcode ScheduleStore} in Redis. Runs are kept beside the schedules, so that saving one rolls no run back. */
export class RedisScheduleStore implements ScheduleStore {
  readonly #commands: Commands

  constructor({ commands }: { commands: Commands }) {
    this.#commands = commands
  }

  async load(): Promise<ScheduleRecord[]> {
    const flat = (await this.#commands.script(ALL, [KEY], [])) as string[]
    const texts = new Map<string, string>()
    for (let at = 0; at < flat.length; at += 2) texts.set(flat[at] as string, flat[at + 1] as string)
    const records: ScheduleRecord[] = []
    for (const [field, text] of texts) {
      if (field.endsWith(':run')) continue
      const record = parsed<ScheduleRecord>(text)
      const run = parsed<{ at: string; status: string; jobId: string | null }>(texts.get(`${field}:run`))
      const last: Run = {
        lastRunAt: run?.at ?? null,
        lastStatus: run?.status ?? null,
        lastJobId: run?.jobId ?? null,
      }
      if (record !== null) records.push({ ...record, ...last })
    }
    return records
  }

  async save(record: ScheduleRecord): Promise<void> {
    const { lastRunAt, lastStatus, lastJobId, ...rest } = record
    const run = JSON.stringify({ at: lastRunAt, status: lastStatus, jobId: lastJobId })
    const args = [record.name, JSON.stringify(rest), ...(lastRunAt === null ? [] : [lastRunAt, run])]
    await this.#commands.script(SAVE, [KEY], args)
  }

  async remove(name: string): Promise<boolean> {
    return (await this.#commands.script(REMOVE, [KEY], [name])) === 1
  }

  async noteRun(name: string, run: { at: string; status: string; jobId: string | null }): Promise<void> {
    const { at, status, jobId } = run
    await this.#commands.script(NOTE, [KEY], [name, at, JSON.stringify({ at, status, jobId })])
  }
}

/** What can't be read is left out. */
function parsed<T>(text: string | undefined): T | null {
  try {
    return text === undefined ? null : (JSON.parse(text) as T)
  } catch {
    return null
  }
}
