import type { ChainableCommander } from 'ioredis'
import { isReply, mayPass, nothingDone, refused } from './redis-errors.ts'
import { fail, lockLost, record, versionPlace } from './replies.ts'
import type { WriteOptions, WriteResult } from './types.ts'
import { type Chunk, scriptArgs } from './write-script.ts'

/** One reply of a pipeline, as ioredis gives it: an error or a value. */
export type Reply = [Error | null, unknown]

/** Adds the write of a chunk to a pipeline: one command. `sha`: what the server knows the script by. */
export function addWrite(pipeline: ChainableCommander, chunk: Chunk, options: WriteOptions, sha: string): void {
  const { mode, versionField } = options
  pipeline.evalsha(sha, scriptArgs(chunk, mode, versionPlace(chunk, options), versionField ?? '', options) as never)
}

/** Notes each entry's outcome; `unsure` if no reply told it, `again` if the server asks for the script. */
export function readWrite(chunk: Chunk, [error, reply]: Reply, result: WriteResult): 'told' | 'unsure' | 'again' {
  if (error === null) record(chunk, reply, result)
  else if (isReply(error) && error.message.startsWith('FENCED')) lockLost(chunk, result)
  else if (!isReply(error) || !nothingDone(error.message)) return 'unsure'
  else if (error.message.startsWith('NOSCRIPT')) return 'again'
  else {
    for (const [at, { key }] of chunk.entries.entries()) {
      const retryable = mayPass(error.message)
      fail(result, chunk.first + at, 'failed', { failure: refused(error.message, key), retryable })
    }
  }
  return 'told'
}

export const NO_REPLY: Reply = [new Error('no reply'), null]
