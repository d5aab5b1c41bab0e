import { after, before, beforeEach, describe, it } from 'node:test'
import { assert, assertEquals } from '@std/assert'
import { carSchema, carTasks, seedCars } from '../../src/recipes/cars/index.ts'
import { type Ground, isFresh, openGround } from './support.ts'

const TIMEOUT = { timeout: 60_000 }

describe('recipe cars', () => {
  let ground: Ground

  before(async () => {
    ground = await openGround('recipes/cars/prewarm.config.ts')
    await ground.sql.unsafe(carSchema())
    await seedCars(ground.sql)
  })
  beforeEach(() => ground.redis.flushall())
  after(() => ground.stop())

  /** The most booked cars, counted here and not in SQL. */
  async function popular(limit: number): Promise<{ car_id: number; bookings: number; [column: string]: unknown }[]> {
    const cars = await ground.sql`select * from cars where retired_at is null`
    const bookings = await ground.sql`select car_id from bookings where status = 'confirmed'`
    const counts = new Map<number, number>()
    for (const { car_id } of bookings) counts.set(car_id, (counts.get(car_id) ?? 0) + 1)
    return cars
      .map((car) => ({ ...car, car_id: car.car_id as number, bookings: counts.get(car.car_id) ?? 0 }))
      .sort((a, b) => b.bookings - a.bookings || a.car_id - b.car_id)
      .slice(0, limit)
  }

  it('warms details, listing and availability, each key as the tables say', TIMEOUT, async () => {
    const result = await ground.run()
    assertEquals(result.status, 'success')
    assertEquals(
      result.tasks.map(({ task }) => task),
      ['cars', 'fleet', 'availability'],
    )
    const cars = await popular(20)
    const expected = [...(await expectedDetails(cars)), ...(await expectedFleet()), ...(await expectedDays(cars, 14))]
    assertEquals(await ground.keys(), expected.map(({ key }) => key).sort())
    assertEquals(result.keys.written, expected.length)
    for (const { key, value, ttlMs } of expected) {
      assertEquals(await stored(key), value, key)
      const leftMs = await ground.redis.pttl(key)
      assert(isFresh(leftMs, ttlMs), `${key} lives ${leftMs} ms`)
    }
  })

  it('warms one task alone, as large as asked', TIMEOUT, async () => {
    assertEquals((await ground.run({ tasks: ['cars'], params: { limit: 3 } })).keys.written, 3)
    assertEquals(await ground.keys(), (await popular(3)).map(({ car_id }) => `car:${car_id}`).sort())
    await ground.redis.flushall()
    const result = await ground.run({ tasks: ['availability'], params: { limit: '2', days: '5' } })
    assertEquals([result.status, result.keys.written], ['success', 10])
    assertEquals(await ground.keys(), (await expectedDays(await popular(2), 5)).map(({ key }) => key).sort())
  })

  it('never warms a retired car, however popular', TIMEOUT, async () => {
    const [first] = await popular(1)
    const carId = first?.car_id as number
    await ground.sql`update cars set retired_at = now() where car_id = ${carId}`
    try {
      await ground.run()
      const keys = await ground.keys()
      assertEquals(
        keys.filter((key) => key === `car:${carId}` || key.startsWith(`availability:${carId}:`)),
        [],
      )
      const listing = JSON.parse((await ground.redis.get('fleet:all')) as string)
      assert(listing.cars.every((car: { car_id: number }) => car.car_id !== carId))
    } finally {
      await ground.sql`update cars set retired_at = null where car_id = ${carId}`
    }
  })

  it('finds days that are taken and days that are free', TIMEOUT, async () => {
    await ground.run({ tasks: ['availability'] })
    const days = await Promise.all(
      (await ground.keys()).map(async (key) => JSON.parse((await ground.redis.get(key)) ?? '')),
    )
    const free = days.filter((day) => day.available).length
    assert(free > 0 && free < days.length, `${free} of ${days.length} are free`)
  })

  it('refuses parameters out of bounds before it asks anything', TIMEOUT, async () => {
    for (const params of [{ limit: 0 }, { days: 367 }, { limit: 1.5 }, { limit: 'many' }]) {
      const error = await ground.run({ params }).then(
        () => undefined,
        (error) => error,
      )
      assertEquals(error?.code, 'PARAM_INVALID', JSON.stringify(params))
    }
  })

  it('reads another schema, under other keys, and seeds the same data again', TIMEOUT, async () => {
    await ground.sql.unsafe('create schema "other-one"')
    await ground.sql.unsafe(carSchema('other-one'))
    await seedCars(ground.sql, { schema: 'other-one' })
    for (const table of ['cars', 'bookings']) {
      const rows = await ground.sql.unsafe(`
        select count(*)::int as count from (
          select * from (select to_jsonb(a) - 'retired_at' - 'booked_at' as row from ${table} a) a
          except select * from (select to_jsonb(b) - 'retired_at' - 'booked_at' as row from "other-one".${table} b) b) d`)
      assertEquals(rows[0]?.count, 0, table)
    }
    const { cars } = carTasks({ schema: 'other-one', keyPrefix: 'x:' })
    assertEquals(cars.key, 'x:car:{car_id}')
    assert(cars.kind === 'sql' && String(cars.query).includes('"other-one"."cars"'))
  })

  it('counts bookings by its index alone', TIMEOUT, async () => {
    await ground.sql`vacuum analyze bookings`
    const plan = await ground.sql`
      explain select 1 from bookings b
      where b.car_id = 7 and b.status <> 'cancelled' and b.starts_on <= current_date and b.ends_on > current_date`
    assert(
      plan.some((line) => line['QUERY PLAN'].includes('bookings_taken')),
      JSON.stringify(plan),
    )
  })

  type Expected = { key: string; value: unknown; ttlMs: number }

  async function expectedDetails(cars: Awaited<ReturnType<typeof popular>>): Promise<Expected[]> {
    return cars.map(({ retired_at: _, ...car }) => ({
      key: `car:${car.car_id}`,
      value: Object.fromEntries(Object.entries(car).map(([name, value]) => [name, String(value)])),
      ttlMs: 3_600_000,
    }))
  }

  async function expectedFleet(): Promise<Expected[]> {
    const rows = await ground.sql`
      select car_id, make, model, location, daily_rate_cents, category from cars
      where retired_at is null order by daily_rate_cents, car_id`
    const categories = ['all', ...new Set(rows.map((row) => row.category as string))]
    return categories.map((category) => {
      const cars = rows
        .filter((row) => category === 'all' || row.category === category)
        .map(({ category: _, ...car }) => car)
      return { key: `fleet:${category}`, value: { category, count: cars.length, cars }, ttlMs: 900_000 }
    })
  }

  async function expectedDays(
    cars: { car_id: number; daily_rate_cents?: unknown }[],
    days: number,
  ): Promise<Expected[]> {
    const taken = new Set(
      (
        await ground.sql`
          select distinct car_id || ':' || to_char(day, 'YYYY-MM-DD') as day
          from bookings, generate_series(starts_on, ends_on - 1, interval '1 day') day where status = 'confirmed'`
      ).map((row) => row.day as string),
    )
    const [today] = await ground.sql`select to_char(current_date, 'YYYY-MM-DD') as day`
    return cars.flatMap(({ car_id, daily_rate_cents }) =>
      Array.from({ length: days }, (_, at) => {
        const day = new Date(Date.parse(today?.day) + at * 86_400_000).toISOString().slice(0, 10)
        const available = !taken.has(`${car_id}:${day}`)
        return {
          key: `availability:${car_id}:${day}`,
          value: { car_id, day, available, daily_rate_cents },
          ttlMs: 300_000,
        }
      }),
    )
  }

  async function stored(key: string): Promise<unknown> {
    return key.startsWith('car:') ? ground.redis.hgetall(key) : JSON.parse((await ground.redis.get(key)) ?? 'null')
  }
})
