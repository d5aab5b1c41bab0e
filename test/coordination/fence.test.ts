import { describe, it } from 'node:test'
import { assertEquals } from '@std/assert'
import { chunkWriteFor } from '../../src/store/chunk-write.ts'
import type { WriteOptions } from '../../src/store/types.ts'
import { chunksOf, fencedArgs, scriptArgs } from '../../src/store/write-script.ts'
import { entry, text } from '../contract/store.contract.ts'

const [chunk] = chunksOf(['a', 'b', 'c'].map((key) => entry(key, text(`value of ${key}`), { ttlMs: 5000 })))
const options: WriteOptions = {
  ...{ mode: 'overwrite', versionField: null, timeoutMs: 5000, signal: new AbortController().signal },
}

/** The commands that a chunk adds to a pipeline. */
function commandsOf(more: Partial<WriteOptions>): unknown[][] {
  const commands: unknown[][] = []
  const pipeline = new Proxy(
    {},
    {
      get:
        (_, name) =>
        (...args: unknown[]) =>
          void commands.push([name, ...args]),
    },
  )
  if (chunk === undefined) throw new Error('there is no chunk')
  const write = chunkWriteFor(chunk, { ...options, ...more })
  write.add(pipeline as never, chunk, { ...options, ...more }, { plain: 'PLAIN', fenced: 'FENCED' })
  assertEquals(commands.length, write.size(chunk))
  return commands
}

describe('a write', () => {
  it('without a fence is what it was: plain SETs for text, the plain script for versions', () => {
    assertEquals(
      commandsOf({}),
      ['a', 'b', 'c'].map((key) => ['set', key, `value of ${key}`, 'PX', 5000]),
    )
    const [[name, sha, args] = []] = commandsOf({ mode: 'newer' })
    assertEquals([name, sha, args], ['evalsha', 'PLAIN', chunk && scriptArgs(chunk, 'newer', 'beside', '')])
  })

  it('under a fence is one call of the script that looks at it', () => {
    const fence = { key: 'the-fence', token: 1_795_000_000_123_457 }
    for (const mode of ['overwrite', 'add'] as const) {
      const [[name, sha, args] = [], ...rest] = commandsOf({ mode, fence })
      const plain = chunk === undefined ? [] : scriptArgs(chunk, mode, 'none', '')
      assertEquals([name, sha, args, rest], ['evalsha', 'FENCED', fencedArgs(plain, fence), []])
      const [count, ...keys] = args as string[]
      assertEquals([count, keys[Number(count) - 1], keys.at(-1)], ['5', 'the-fence', '1795000000123457'])
    }
  })
})
