import type { Commands, Script } from '../coordination/types.ts'
import { PrewarmError } from '../errors.ts'
import { assertGoesOn } from './target.ts'
import type { SnapshotTarget } from './types.ts'

/** A list of lines. What comes behind the name is being written. */
const SNAPSHOT_PREFIX = 'prewarm:snapshot:'
/** Longer lists belong in a file. */
const MAX_KEYS = 100_000
/** Lines of one call. */
const CHUNK = 1000
/** A list that nobody completes is gone after this, ms. */
const DRAFT_MS = 60_000
const TRIES = 3

/** KEYS: the draft. ARGV: how long it may stay, ms; lines. */
const ADD_LINES: Script = {
  text: `
redis.call('RPUSH', KEYS[1], unpack(ARGV, 2))
return redis.call('PEXPIRE', KEYS[1], ARGV[1])`,
}

/** KEYS: the draft, the list. ARGV: lines. Replies 0, and replaces nothing, where the draft is not whole. */
const PUT_LINES: Script = {
  text: `
if redis.call('LLEN', KEYS[1]) ~= tonumber(ARGV[1]) then
  redis.call('DEL', KEYS[1])
  return 0
end
redis.call('PERSIST', KEYS[1])
redis.call('RENAME', KEYS[1], KEYS[2])
return 1`,
}

/** A snapshot in Redis, at most 100,000 keys: a list of its lines, written aside and renamed. FLUSHALL takes it as well. */
export function redisTarget(name: string, commands: Commands): SnapshotTarget {
  const key = SNAPSHOT_PREFIX + name.slice('redis:'.length)
  const readHead = async () => ((await commands.call('LRANGE', key, 0, 0)) as string[])[0] ?? null
  return {
    name,
    maxKeys: MAX_KEYS,
    readHead,
    async read() {
      for (let tries = 0; tries < TRIES; tries++) {
        const head = await readHead()
        if (head === null) return null
        const lines: string[] = []
        for (let from = 0; ; from += CHUNK) {
          const page = (await commands.call('LRANGE', key, from, from + CHUNK - 1)) as string[]
          for (const line of page) lines.push(line)
          if (page.length < CHUNK) break
        }
        // Else another one took its place meanwhile.
        if (lines[0] === head && (await readHead()) === head) return `${lines.join('\n')}\n`
      }
      throw new PrewarmError('CONFLICT', `${name} was replaced while it was read: try again`)
    },
    async write(text, signal) {
      const draft = `${key}:new:${crypto.randomUUID()}`
      const lines = text.trimEnd().split('\n')
      try {
        for (let at = 0; at < lines.length; at += CHUNK) {
          assertGoesOn(name, signal)
          await commands.script(ADD_LINES, [draft], [DRAFT_MS, ...lines.slice(at, at + CHUNK)])
        }
        assertGoesOn(name, signal)
        if ((await commands.script(PUT_LINES, [draft, key], [lines.length])) === 1) return
      } catch (error) {
        await commands.call('DEL', draft).catch(() => {})
        throw error
      }
      throw new PrewarmError('STORE_REFUSED', `Redis did not keep ${name} while it was written: has it memory left?`)
    },
  }
}
