import { z } from 'zod'
import { sql, type TaskDefinition } from '../../define.ts'
import { tablesIn } from '../table.ts'

export interface CarTaskOptions {
  /** Where `cars` and `bookings` are. @default the search path */
  schema?: string
  /** Put before every key. @default '' */
  keyPrefix?: string
  /** Popular cars to warm; the parameter `limit`. 1 to 100_000. @default 20 */
  limit?: number
  /** Days of availability, today included; the parameter `days`. 1 to 366. @default 14 */
  days?: number
}

/**
 * What a rental site's visitors look at first:
 * - `cars`: `car:{car_id}`, a hash of the details of the cars with the most bookings;
 * - `fleet`: `fleet:{category}`, the listing of one category, and of `all`, as JSON;
 * - `availability`: `availability:{car_id}:{day}`, JSON: are those popular cars free on that day (as `2026-05-31`, in the
 *   database's time zone).
 */
export function carTasks(options: CarTaskOptions = {}): Record<'cars' | 'fleet' | 'availability', TaskDefinition> {
  const { schema, keyPrefix = '', limit = 20, days = 14 } = options
  const table = tablesIn(schema)
  const limitParam = z.number().int().min(1).max(100_000).default(limit)
  const daysParam = z.number().int().min(1).max(366).default(days)
  // A car that nobody has booked yet is the least popular one, not missing.
  const popular = `
    select c.*, count(b.booking_id) as bookings
    from ${table('cars')} c
    left join ${table('bookings')} b on b.car_id = c.car_id and b.status <> 'cancelled'
    where c.retired_at is null
    group by c.car_id
    order by bookings desc, c.car_id
    limit :limit`
  return {
    cars: sql({
      key: `${keyPrefix}car:{car_id}`,
      value: 'hash',
      columns: ['car_id', 'make', 'model', 'year', 'category', 'location', 'seats', 'daily_rate_cents', 'bookings'],
      ttl: '1h',
      priority: 100,
      critical: true,
      tags: ['cars', 'popular'],
      params: z.object({ limit: limitParam }),
      query: popular,
    }),
    fleet: sql({
      key: `${keyPrefix}fleet:{category}`,
      value: 'json',
      ttl: '15m',
      priority: 80,
      tags: ['cars'],
      query: `
        select coalesce(category, 'all') as category, count(*)::int as count,
          json_agg(json_build_object('car_id', car_id, 'make', make, 'model', model, 'location', location,
            'daily_rate_cents', daily_rate_cents) order by daily_rate_cents, car_id) as cars
        from ${table('cars')}
        where retired_at is null
        group by grouping sets ((category), ())
        order by count desc, category`,
    }),
    availability: sql({
      key: `${keyPrefix}availability:{car_id}:{day}`,
      value: 'json',
      columns: ['car_id', 'day', 'available', 'daily_rate_cents'],
      ttl: '5m',
      priority: 60,
      tags: ['cars', 'popular'],
      params: z.object({ limit: limitParam, days: daysParam }),
      query: `
        with popular as (${popular})
        select p.car_id, to_char(d.day, 'YYYY-MM-DD') as day, p.daily_rate_cents,
          not exists (
            select from ${table('bookings')} b
            where b.car_id = p.car_id and b.status <> 'cancelled' and b.starts_on <= d.day and b.ends_on > d.day
          ) as available
        from popular p
        cross join generate_series(0, :days::int - 1) n
        cross join lateral (select current_date + n as day) d
        order by p.bookings desc, p.car_id, d.day`,
    }),
  }
}
