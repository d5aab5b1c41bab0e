import { DEMO_PREFIX, DEMO_SCHEMA } from './names.ts'

/** What warming and the reader must agree on, as the reader fills the cache with the same keys and values on a miss. */
export const CITY_KEY = `${DEMO_PREFIX}city:{city_id}`
export const CITY_TTL_MS = 600_000

export function cityQuery(rest: string): string {
  return `select city_id, name, country, admin, population, longitude, latitude from ${DEMO_SCHEMA}.cities ${rest}`
}
