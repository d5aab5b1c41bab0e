/** Makes sure that real `redis-server` and PostgreSQL are on this machine. Never skips: it installs them or says what to type. */
import { spawnSync } from 'node:child_process'
import process from 'node:process'
import { findPostgresBin, findProgram } from './servers.ts'

const INSTALL_DEADLINE_MS = 10 * 60_000
const BY_HAND = 'sudo apt-get update && sudo apt-get install -y --no-install-recommends redis-server postgresql'

/** Run as root. Debian starts what it installs, unless policy-rc.d forbids it; nor do we need the cluster it would make. */
const INSTALL = `
set -e
export DEBIAN_FRONTEND=noninteractive UCF_FORCE_CONFFOLD=1
if [ ! -e /usr/sbin/policy-rc.d ]; then
  trap 'rm -f /usr/sbin/policy-rc.d' EXIT
  printf '#!/bin/sh\\nexit 101\\n' > /usr/sbin/policy-rc.d
  chmod +x /usr/sbin/policy-rc.d
fi
mkdir -p /etc/postgresql-common
[ -e /etc/postgresql-common/createcluster.conf ] ||
  echo 'create_main_cluster = false' > /etc/postgresql-common/createcluster.conf
apt-get update
apt-get install -y --no-install-recommends "$@"
`

/** Returns when both servers can be started. @throws {Error} with the line to type, where they can't be installed from here */
export function provision(): void {
  const missing = missingPackages()
  if (missing.length === 0) return
  const asRoot = rootCommand()
  if (findProgram('apt-get') === undefined || asRoot === undefined) throw new Error(advice(missing))
  console.log(`provision: installing ${missing.join(' and ')} with apt-get`)
  const [program = 'sh', ...rest] = [...asRoot, 'sh', '-c', INSTALL, 'provision', ...missing]
  spawnSync(program, rest, { stdio: ['ignore', 'inherit', 'inherit'], timeout: INSTALL_DEADLINE_MS })
  const still = missingPackages()
  if (still.length > 0) throw new Error(advice(still))
}

function missingPackages(): string[] {
  const missing: string[] = []
  if (findProgram('redis-server') === undefined) missing.push('redis-server')
  if (findPostgresBin() === undefined) missing.push('postgresql')
  return missing
}

/** What to put before a command that needs root; undefined where we cannot have it without a password. */
function rootCommand(): string[] | undefined {
  if (process.getuid?.() === 0) return []
  if (findProgram('sudo') === undefined) return undefined
  return spawnSync('sudo', ['-n', 'true'], { stdio: 'ignore' }).status === 0 ? ['sudo', '-n'] : undefined
}

function advice(missing: string[]): string {
  const line = process.platform === 'darwin' ? 'brew install redis postgresql@17 && brew link postgresql@17' : BY_HAND
  return (
    `the tests need real servers, and this machine lacks ${missing.join(' and ')} ` +
    `(redis-server; initdb, postgres and psql in one folder). Type:\n\n  ${line}\n`
  )
}

if (import.meta.main) provision()
