/**
 * Makes sure that what the tests run for real is on this machine: `redis-server`, PostgreSQL, Prometheus with `promtool`,
 * Alertmanager's `amtool`, Chromium. Never skips: it installs them or says what to type.
 */
import { spawnSync } from 'node:child_process'
import process from 'node:process'
import { findPostgresBin, findProgram } from './servers.ts'

const INSTALL_DEADLINE_MS = 10 * 60_000
const BY_HAND = 'sudo apt-get update && sudo apt-get install -y --no-install-recommends'

/** Debian's package -> the programs of it that the tests need, each under any one of its names. */
const PROGRAMS: Record<string, string[][]> = {
  'redis-server': [['redis-server']],
  prometheus: [['prometheus'], ['promtool']],
  'prometheus-alertmanager': [['amtool']],
  chromium: [['chromium', 'chromium-browser', 'google-chrome']],
}

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

/** Returns when all of them can be started. @throws {Error} with the line to type, where they can't be installed from here */
export function provision(): void {
  const missing = missingPackages()
  if (missing.length === 0) return
  const asRoot = rootCommand()
  if (findProgram('apt-get') === undefined || asRoot === undefined) throw new Error(advice(missing))
  console.log(`provision: installing ${missing.join(', ')} with apt-get`)
  const [program = 'sh', ...rest] = [...asRoot, 'sh', '-c', INSTALL, 'provision', ...missing]
  spawnSync(program, rest, { stdio: ['ignore', 'inherit', 'inherit'], timeout: INSTALL_DEADLINE_MS })
  const still = missingPackages()
  if (still.length > 0) throw new Error(advice(still))
}

function missingPackages(): string[] {
  const missing = Object.entries(PROGRAMS)
    .filter(([, programs]) => programs.some((names) => names.every((name) => findProgram(name) === undefined)))
    .map(([name]) => name)
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
  const brew =
    'brew install redis postgresql@17 prometheus alertmanager && brew link postgresql@17 && brew install --cask chromium'
  const line = process.platform === 'darwin' ? brew : `${BY_HAND} ${missing.join(' ')}`
  return (
    `the tests need real programs, and this machine lacks ${missing.join(', ')} ` +
    `(redis-server; initdb, postgres and psql in one folder; prometheus and promtool; amtool; chromium). Type:\n\n  ${line}\n`
  )
}

if (import.meta.main) provision()
