import { describe, it } from 'node:test'
import { assertEquals } from '@std/assert'
import { addWrite } from '../../src/store/chunk-write.ts'
import type { WriteOptions } from '../../src/store/types.ts'
import { type Chunk, chunksOf } from '../../src/store/write-script.ts'
import { entry, text } from '../contract/store.contract.ts'

const [chunk] = chunksOf(['a', 'b'].map((key) => entry(key, text(`value of ${key}`), { ttlMs: 5000 }))) as [Chunk]
const options: WriteOptions = {
  ...{ mode: 'overwrite', versionField: null, timeoutMs: 5000, signal: new AbortController().signal },
}

/** The one command that a chunk adds to a pipeline. */
function commandOf(more: Partial<WriteOptions>): unknown[] {
  const calls: unknown[][] = []
  const pipeline = { evalsha: (...args: unknown[]) => void calls.push(args) }
  addWrite(pipeline as never, chunk, { ...options, ...more }, 'SHA')
  assertEquals([calls.length, calls[0]?.[0]], [1, 'SHA'])
  return calls[0]?.[1] as unknown[]
}

describe('a write', () => {
  const values = ['5000', 'value of a', '5000', 'value of b']
  const fence = { key: 'the-fence', token: 1_795_000_000_123_457 }

  it('names neither a fence nor a ticket where there is none', () => {
    const keys = ['3', 'a', 'b', 'prewarm:scratch']
    assertEquals(commandOf({}), [...keys, 'overwrite', 'string', 'none', '', '', '', ...values])
  })

  it('bears its ticket and its fence, whose key comes last', () => {
    const keys = ['4', 'a', 'b', 'prewarm:scratch', 'the-fence']
    for (const mode of ['overwrite', 'add'] as const) {
      const [ticket, token] = ['1795000000000001', '1795000000123457']
      assertEquals(commandOf({ mode, fence }), [...keys, mode, 'string', 'none', '', '', token, ...values])
      assertEquals(commandOf({ mode, fence, ticket }), [...keys, mode, 'string', 'none', '', ticket, token, ...values])
    }
  })
})
