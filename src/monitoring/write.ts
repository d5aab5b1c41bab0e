import { mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { PrewarmError } from '../errors.ts'

/** What became of a file: `kept`, because it held the same already. */
export type Written = 'written' | 'replaced' | 'kept'

/**
 * Writes all of `files` (name -> text) into `folder`, which is made if need be. Each is put beside its place first and then
 * moved there, so that none is ever half-written.
 *
 * @param force also replaces files that differ
 * @throws {PrewarmError} `USAGE` if there are such files and `force` is false: then nothing was changed; or if a file can't be written
 */
export async function writeFiles(
  folder: string,
  files: ReadonlyMap<string, string>,
  { force }: { force: boolean },
): Promise<Map<string, Written>> {
  const result = new Map<string, Written>()
  for (const [name, text] of files) {
    const present = await textOf(join(folder, name))
    result.set(name, present === null ? 'written' : present === text ? 'kept' : 'replaced')
  }
  const differing = [...files.keys()].filter((name) => result.get(name) === 'replaced')
  if (differing.length > 0 && !force) {
    const are = differing.length === 1 ? 'is there already and differs' : 'are there already and differ'
    throw new PrewarmError(
      'USAGE',
      `${differing.join(', ')} ${are} in ${folder}: replace with --force, or name another folder`,
    )
  }
  const todo = [...files].filter(([name]) => result.get(name) !== 'kept')
  const suffix = `.${crypto.randomUUID()}.tmp`
  const asideOf = (name: string) => join(folder, `.${name}${suffix}`)
  try {
    await mkdir(folder, { recursive: true })
    for (const [name, text] of todo) await writeFile(asideOf(name), text, { flag: 'wx' })
    for (const [name] of todo) await rename(asideOf(name), join(folder, name))
  } catch (error) {
    throw unwritable(folder, error)
  } finally {
    for (const [name] of todo) await rm(asideOf(name), { force: true }).catch(() => {})
  }
  return result
}

/** Null: there is no such file. */
async function textOf(path: string): Promise<string | null> {
  try {
    return await readFile(path, 'utf8')
  } catch (error) {
    if ((error as { code?: string }).code === 'ENOENT') return null
    throw unwritable(path, error)
  }
}

function unwritable(path: string, error: unknown): PrewarmError {
  return new PrewarmError('USAGE', `Cannot write ${path}: ${(error as Error).message}`, { cause: error })
}
