import { createReadStream } from 'node:fs'
import process from 'node:process'
import { pipeline, Readable } from 'node:stream'
import { createGunzip } from 'node:zlib'
import { isPrewarmError, PrewarmError } from '../errors.ts'
import type { LogSource } from '../learn/log.ts'
import type { Runtime } from '../runtime/types.ts'

/** Bytes read at once. */
const CHUNK = 262_144
/** What gzip begins with (RFC 1952). */
const MAGIC = [0x1f, 0x8b] as const

/** A file to learn from; `-` is stdin. What is packed is told by its first bytes, whatever its name. */
export function openLog(file: string, runtime: Pick<Runtime, 'resolvePath'>): LogSource {
  const name = file === '-' ? 'stdin' : file
  return { name, chunks: textOf(name, () => bytesOf(file, runtime)) }
}

function bytesOf(file: string, runtime: Pick<Runtime, 'resolvePath'>): AsyncIterable<Uint8Array> {
  return file === '-' ? process.stdin : createReadStream(runtime.resolvePath(file), { highWaterMark: CHUNK })
}

/** @throws {PrewarmError} `USAGE` for a file that can't be read, `LOG_INVALID` for one that can't be unpacked */
async function* textOf(name: string, open: () => AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  try {
    const chunks = open()[Symbol.asyncIterator]()
    const head = await headOf(chunks)
    const whole = joined(head, chunks)
    if (head[0] !== MAGIC[0] || head[1] !== MAGIC[1]) yield* whole
    // A failure of either ends both, and is told by the loop.
    else yield* pipeline(Readable.from(whole), createGunzip({ chunkSize: CHUNK }), () => {})
  } catch (error) {
    throw failure(name, error)
  }
}

/** As many of the first bytes as tell what it is. */
async function headOf(chunks: AsyncIterator<Uint8Array>): Promise<Uint8Array> {
  let head = new Uint8Array(0)
  while (head.length < MAGIC.length) {
    const { value, done } = await chunks.next()
    if (done === true) break
    const longer = new Uint8Array(head.length + value.length)
    longer.set(head)
    longer.set(value, head.length)
    head = longer
  }
  return head
}

async function* joined(head: Uint8Array, rest: AsyncIterator<Uint8Array>): AsyncGenerator<Uint8Array> {
  if (head.length > 0) yield head
  for (;;) {
    const { value, done } = await rest.next()
    if (done === true) return
    yield value
  }
}

function failure(name: string, error: unknown): unknown {
  if (isPrewarmError(error)) return error
  const { code = '', message } = error as { code?: string; message: string }
  if (code === 'Z_BUF_ERROR' || /unexpected end/i.test(message))
    return new PrewarmError(
      'LOG_INVALID',
      `${name}: the packed file ends too early, and nothing was learned: take the whole file`,
    )
  if (code.startsWith('Z_'))
    return new PrewarmError(
      'LOG_INVALID',
      `${name}: it can't be unpacked (${message}), and nothing was learned: pack it anew`,
    )
  return new PrewarmError('USAGE', `Cannot read ${name}: ${message}`, { cause: error })
}
