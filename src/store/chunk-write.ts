import type { ChainableCommander } from 'ioredis'
import { isReply, mayPass, nothingDone, refused } from './redis-errors.ts'
import { fail, lockLost, record, versionPlace } from './replies.ts'
import type { WriteOptions, WriteResult } from './types.ts'
import { type Chunk, fencedArgs, scriptArgs } from './write-script.ts'

/** One reply of a pipeline, as ioredis gives it: an error or a value. */
export type Reply = [Error | null, unknown]

/** What the server knows the write scripts by. */
export interface ScriptShas {
  plain: string
  fenced: string
}

/** How a chunk is written: the commands it adds to the pipeline, and what their replies say. */
export interface ChunkWrite {
  /** Commands, and so replies, of a chunk. */
  size(chunk: Chunk): number
  add(pipeline: ChainableCommander, chunk: Chunk, options: WriteOptions, shas: ScriptShas): void
  /** Notes each entry's outcome; returns what no reply told of, or `again` if the server asks for the script. */
  read(chunk: Chunk, replies: readonly (Reply | undefined)[], result: WriteResult): Chunk | 'again' | null
}

/**
 * Text without a version is a plain SET for each key: it costs Redis, which others wait for as well, 2.0 us a key where
 * the script costs it 3.2 (the client 3.2 where the script costs it 1.0). Hashes, versions and fences need the script.
 */
export function chunkWriteFor(chunk: Chunk | undefined, { mode, fence }: WriteOptions): ChunkWrite {
  return fence === undefined && mode !== 'newer' && chunk?.entries[0]?.encoded.type === 'string' ? plainSets : scripted
}

const plainSets: ChunkWrite = {
  size: (chunk) => chunk.entries.length,
  add(pipeline, { entries }, { mode }) {
    for (const { key, ttlMs, encoded } of entries) {
      const { value } = encoded as { value: string }
      if (mode === 'add') pipeline.set(key, value, 'PX', ttlMs, 'NX')
      else pipeline.set(key, value, 'PX', ttlMs)
    }
  },
  read({ first, entries }, replies, result) {
    for (const [at, entry] of entries.entries()) {
      const [error, reply] = replies[at] ?? NO_REPLY
      if (error === null) result.outcomes[first + at] = reply === null ? 'skipped_present' : 'written'
      else if (isReply(error)) {
        const retryable = mayPass(error.message)
        fail(result, first + at, 'failed', { failure: refused(error.message, entry.key), retryable })
      } else return { first: first + at, entries: entries.slice(at) } // replies come in order: none after the first lost one
    }
    return null
  },
}

const scripted: ChunkWrite = {
  size: () => 1,
  add(pipeline, chunk, options, { plain, fenced }) {
    const { mode, versionField, fence } = options
    const args = scriptArgs(chunk, mode, versionPlace(chunk, options), versionField ?? '')
    if (fence === undefined) pipeline.evalsha(plain, args as never)
    else pipeline.evalsha(fenced, fencedArgs(args, fence) as never)
  },
  read(chunk, replies, result) {
    const [error, reply] = replies[0] ?? NO_REPLY
    if (error === null) record(chunk, reply, result)
    else if (isReply(error) && error.message.startsWith('FENCED')) lockLost(chunk, result)
    else if (!isReply(error) || !nothingDone(error.message)) return chunk
    else if (error.message.startsWith('NOSCRIPT')) return 'again'
    else {
      for (const [at, { key }] of chunk.entries.entries()) {
        const retryable = mayPass(error.message)
        fail(result, chunk.first + at, 'failed', { failure: refused(error.message, key), retryable })
      }
    }
    return null
  },
}

const NO_REPLY: Reply = [new Error('no reply'), null]
