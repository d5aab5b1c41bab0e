import { check } from './check.ts'
import { respSelect } from './sessions-query.ts'

/** psql writes the rows as they are, in pages (without FETCH_COUNT it would hold them all before it writes one). */
export function psqlIntoRedis(databaseUrl: string, port: number, limit: number): Promise<void> {
  return pipeline(
    `psql "$DATABASE" -At -v ON_ERROR_STOP=1 -v FETCH_COUNT=2000 -c "$QUERY" | redis-cli -p ${port} --pipe`,
    databaseUrl,
    respSelect(limit),
  )
}

/**
 * COPY streams. Its text form would write a line break as the two characters `\n`; its CSV form keeps it and puts
 * quotes around, which are a byte here that no session holds and that `tr` takes out again.
 */
export function copyIntoRedis(databaseUrl: string, port: number, limit: number): Promise<void> {
  return pipeline(
    `psql "$DATABASE" -q -v ON_ERROR_STOP=1 -c "$QUERY" | tr -d '\\001' | redis-cli -p ${port} --pipe`,
    databaseUrl,
    `copy (${respSelect(limit)}) to stdout (format csv, quote e'\\x01', delimiter e'\\x02')`,
  )
}

async function pipeline(command: string, databaseUrl: string, query: string): Promise<void> {
  const child = Bun.spawn(['bash', '-c', `set -o pipefail; ${command}`], {
    env: { ...process.env, DATABASE: databaseUrl, QUERY: query },
    stdout: 'pipe',
    stderr: 'inherit',
  })
  const said = await new Response(child.stdout).text()
  check((await child.exited) === 0 && said.includes('errors: 0'), `${command} said: ${said}`)
}
