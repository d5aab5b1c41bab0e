import type { Sql } from 'postgres'
import { noise, pick, tablesIn, wholeNumber } from '../table.ts'

export interface CarSeedOptions {
  /** Cars in the fleet; about one in twenty is retired. 1 to 100_000. @default 200 */
  cars?: number
  /** Weeks of bookings behind us. 0 to 520. @default 52 */
  weeksBack?: number
  /** Weeks of bookings ahead of us. 0 to 52. @default 8 */
  weeksAhead?: number
  /** The same seed makes the same cars, and on the same day the same bookings. @default 1 */
  seed?: number
  /** Where the tables are. @default the search path */
  schema?: string
}

const MODELS = ['Toyota Corolla', 'Volkswagen Golf', 'Renault Clio', 'Tesla Model 3', 'Ford Transit', 'Volvo XC60']
const CATEGORIES = ['compact', 'estate', 'suv', 'van']
const PLACES = ['Amsterdam', 'Berlin', 'Lisbon', 'Paris', 'Stockholm']

/**
 * Fills the empty tables of `carSchema`: each car is booked at most once a week, the popular ones nearly every week.
 *
 * @throws {RangeError} on a size out of bounds
 */
export async function seedCars(sql: Sql, options: CarSeedOptions = {}): Promise<void> {
  const { cars = 200, weeksBack = 52, weeksAhead = 8, seed = 1, schema } = options
  wholeNumber('cars', cars, 1, 100_000)
  wholeNumber('weeksBack', weeksBack, 0, 520)
  wholeNumber('weeksAhead', weeksAhead, 0, 52)
  const table = tablesIn(schema)
  const ofCar = (salt: string) => noise(seed, salt, 'car')
  const ofWeek = (salt: string) => noise(seed, salt, 'car', 'week')
  const model = pick(MODELS, ofCar('model'))
  await sql.unsafe(`
    insert into ${table('cars')}
    select car, split_part(${model}, ' ', 1), substr(${model}, strpos(${model}, ' ') + 1),
      2015 + floor(${ofCar('year')} * 11)::int, ${pick(CATEGORIES, ofCar('category'))}, ${pick(PLACES, ofCar('place'))},
      2 + floor(${ofCar('seats')} * 6)::int, 2500 + 100 * floor(${ofCar('rate')} * 100)::int,
      case when ${ofCar('retired')} < 0.05 then now() - interval '30 days' end
    from generate_series(1, ${cars}) car`)
  await sql.unsafe(`
    insert into ${table('bookings')} (car_id, starts_on, ends_on, status, booked_at)
    select car, start, start + 1 + floor(${ofWeek('length')} * 4)::int,
      case when ${ofWeek('cancelled')} < 0.1 then 'cancelled' else 'confirmed' end,
      least(now(), start::timestamptz) - ${ofWeek('booked')} * interval '20 days'
    from generate_series(1, ${cars}) car
    cross join generate_series(${-weeksBack}, ${weeksAhead - 1}) week
    cross join lateral (select current_date + 7 * week + floor(${ofWeek('start')} * 3)::int as start) s
    where ${ofWeek('is booked')} < 0.05 + 0.9 * power(${ofCar('popularity')}, 3)`)
  await sql.unsafe(`analyze ${table('cars')}, ${table('bookings')}`)
}
