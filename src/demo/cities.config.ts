import { z } from 'zod'
import { defineConfig, sql } from '../define.ts'
import { CITY_KEY, CITY_TTL_MS, cityQuery } from './city.ts'

/** What `prewarm demo` warms: the cities where most people live. Workers import this file. */
export default defineConfig({
  tasks: {
    cities: sql({
      key: CITY_KEY,
      value: 'json',
      ttl: CITY_TTL_MS,
      critical: true,
      params: z.object({ limit: z.number().int().min(1).default(20_000) }),
      query: cityQuery('order by population desc, city_id desc limit :limit'),
      orderBy: ['population desc', 'city_id desc'],
    }),
  },
})
