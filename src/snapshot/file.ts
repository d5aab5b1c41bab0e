import { randomBytes } from 'node:crypto'
import { mkdir, open, readdir, readFile, rename, rm, stat } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { promisify } from 'node:util'
import { gunzip, gzip } from 'node:zlib'
import { PrewarmError } from '../errors.ts'
import { MAX_KEYS } from './format.ts'
import { assertGoesOn } from './target.ts'
import type { SnapshotTarget } from './types.ts'

const unpack = promisify(gunzip)
const pack = promisify(gzip)

/** What a file may hold: packed, and unpacked. */
const MAX_PACKED_BYTES = 64 * 1024 * 1024
const MAX_BYTES = 256 * 1024 * 1024
/** What a program that was killed left behind is removed after this, ms. */
const DRAFT_MS = 600_000

/**
 * A snapshot in a file, packed where its name ends in `.gz`. Written beside it, synced and renamed: a crash leaves the old one.
 * Only its owner may read it.
 *
 * @param name what errors call it
 * @param path absolute
 */
export function fileTarget(name: string, path: string): SnapshotTarget {
  const read = async () => {
    const bytes = await bytesOf(name, path)
    return bytes === null ? null : textOf(name, bytes)
  }
  return {
    name,
    maxKeys: MAX_KEYS,
    read,
    readHead: async () => (await read())?.split('\n', 1)[0] ?? null,
    async write(text, signal) {
      try {
        await writeWhole(name, path, text, signal)
      } catch (error) {
        throw error instanceof PrewarmError ? error : invalid(name, 'can not be written', error)
      }
    },
  }
}

async function bytesOf(name: string, path: string): Promise<Uint8Array | null> {
  try {
    const { size } = await stat(path)
    if (size > MAX_BYTES) throw tooLarge(name, size, MAX_BYTES)
    return await readFile(path)
  } catch (error) {
    if ((error as { code?: string }).code === 'ENOENT') return null
    throw error instanceof PrewarmError ? error : invalid(name, 'can not be read', error)
  }
}

async function textOf(name: string, bytes: Uint8Array): Promise<string> {
  const isPacked = bytes[0] === 0x1f && bytes[1] === 0x8b
  if (isPacked && bytes.length > MAX_PACKED_BYTES) throw tooLarge(name, bytes.length, MAX_PACKED_BYTES)
  try {
    const plain = isPacked ? await unpack(bytes, { maxOutputLength: MAX_BYTES }) : bytes
    return new TextDecoder('utf-8', { fatal: true }).decode(plain)
  } catch (error) {
    if ((error as { code?: string }).code === 'ERR_BUFFER_TOO_LARGE') throw tooLarge(name, MAX_BYTES + 1, MAX_BYTES)
    throw isPacked ? invalid(name, 'is packed, and cut or damaged', error) : invalid(name, 'is no text', error, 'other')
  }
}

async function writeWhole(name: string, path: string, text: string, signal: AbortSignal): Promise<void> {
  if (text.length > MAX_BYTES) throw tooLarge(name, text.length, MAX_BYTES, 'would have')
  const folder = dirname(path)
  await mkdir(folder, { recursive: true })
  await removeDrafts(folder, basename(path))
  const bytes = path.endsWith('.gz') ? await pack(text) : new TextEncoder().encode(text)
  const max = path.endsWith('.gz') ? MAX_PACKED_BYTES : MAX_BYTES
  if (bytes.length > max) throw tooLarge(name, bytes.length, max, 'would have')
  const draft = `${path}.${randomBytes(6).toString('hex')}.draft`
  try {
    const file = await open(draft, 'wx', 0o600)
    try {
      await file.writeFile(bytes)
      await file.sync()
    } finally {
      await file.close()
    }
    assertGoesOn(name, signal)
    await rename(draft, path)
  } catch (error) {
    await rm(draft, { force: true })
    throw error
  }
  await syncFolder(folder)
}

/** Not every file system can. */
async function syncFolder(folder: string): Promise<void> {
  const handle = await open(folder, 'r').catch(() => undefined)
  await handle?.sync().catch(() => {})
  await handle?.close()
}

async function removeDrafts(folder: string, name: string): Promise<void> {
  for (const one of await readdir(folder)) {
    if (!one.startsWith(`${name}.`) || !/\.[0-9a-f]{12}\.draft$/.test(one)) continue
    const path = join(folder, one)
    const { mtimeMs } = await stat(path).catch(() => ({ mtimeMs: Number.POSITIVE_INFINITY }))
    if (Date.now() - mtimeMs > DRAFT_MS) await rm(path, { force: true })
  }
}

function invalid(name: string, what: string, error: unknown, detail?: string): PrewarmError {
  const reason = error instanceof Error ? error.message : String(error)
  return new PrewarmError('SNAPSHOT_INVALID', `${name} ${what}: ${reason}`, { cause: error, detail })
}

function tooLarge(name: string, bytes: number, max: number, has = 'has'): PrewarmError {
  const fix = has === 'has' ? 'it is no snapshot' : 'save fewer keys'
  const message = `${name} ${has} ${bytes} bytes, expected at most ${max}: ${fix}`
  return new PrewarmError('SNAPSHOT_INVALID', message, { detail: 'other' })
}
