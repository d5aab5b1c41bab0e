import type { Sql } from 'postgres'
import { PrewarmError } from '../define.ts'
import { DEMO_SCHEMA } from './names.ts'

/** By this we know our own schema again, should a demo have been killed before it dropped it. */
const NOTE = 'Made by `prewarm demo`, which drops it at its end'

/**
 * Makes the demo's schema, empty.
 *
 * @throws {PrewarmError} `USAGE` if the database has a schema of that name that is not the demo's
 */
export async function createDemoSchema(sql: Sql): Promise<void> {
  const [found] = await sql<{ note: string | null }[]>`
    select obj_description(oid, 'pg_namespace') as note from pg_namespace where nspname = ${DEMO_SCHEMA}`
  if (found !== undefined && found.note !== NOTE) {
    throw new PrewarmError(
      'USAGE',
      `The database has a schema ${DEMO_SCHEMA} that the demo did not make: name another database with --database, or none`,
    )
  }
  await sql.begin(async (transaction) => {
    await transaction.unsafe(`set local lock_timeout = '5s'; drop schema if exists ${DEMO_SCHEMA} cascade`)
    await transaction.unsafe(`create schema ${DEMO_SCHEMA}; comment on schema ${DEMO_SCHEMA} is '${NOTE}'`)
  })
}

export async function dropDemoSchema(sql: Sql): Promise<void> {
  await sql.begin((transaction) =>
    transaction.unsafe(`set local lock_timeout = '5s'; drop schema if exists ${DEMO_SCHEMA} cascade`),
  )
}
