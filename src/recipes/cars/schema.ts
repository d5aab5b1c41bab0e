import { tablesIn } from '../table.ts'

/** What the recipe reads: a fleet of cars and their bookings. `schema` must exist; without one the search path decides. */
export function carSchema(schema?: string): string {
  const table = tablesIn(schema)
  return `
create table ${table('cars')} (
  car_id integer primary key,
  make text not null,
  model text not null,
  year integer not null,
  category text not null check (category <> 'all'), -- the key of the whole fleet
  location text not null,
  seats integer not null,
  daily_rate_cents integer not null,
  retired_at timestamptz
);

create table ${table('bookings')} (
  booking_id bigint primary key generated always as identity,
  car_id integer not null references ${table('cars')},
  starts_on date not null,
  ends_on date not null check (ends_on > starts_on), -- the day the car is back, and free again
  status text not null check (status in ('confirmed', 'cancelled')),
  booked_at timestamptz not null
);

-- Serves both the counting of bookings (index only) and "is this car taken on that day".
create index bookings_taken on ${table('bookings')} (car_id, starts_on, ends_on) where status <> 'cancelled';
-- Serves the fleet listing.
create index cars_listing on ${table('cars')} (category, daily_rate_cents, car_id) where retired_at is null;
`
}
