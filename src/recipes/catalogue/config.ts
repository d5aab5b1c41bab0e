import { z } from 'zod'
import { sql, type TaskDefinition } from '../../define.ts'
import { tablesIn } from '../table.ts'

export interface CatalogueTaskOptions {
  /** Where `track`, `album`, `artist`, `genre` and `invoice_line` are. @default the search path */
  schema?: string
  /** Put before every key. @default '' */
  keyPrefix?: string
  /** Tracks to warm; the parameter `limit`. 1 to 1_000_000. @default 500 */
  limit?: number
  /** Tracks in the list of a genre; the parameter `top`. 1 to 1000. @default 10 */
  top?: number
}

/**
 * What visitors of a music shop look at first, from the tables of Chinook:
 * - `tracks`: `track:{track_id}`, a hash of the details of the tracks that sell best;
 * - `genres`: `genre:{genre_id}:top`, JSON: a genre and the tracks of it that sell best.
 */
export function catalogueTasks(options: CatalogueTaskOptions = {}): Record<'tracks' | 'genres', TaskDefinition> {
  const { schema, keyPrefix = '', limit = 500, top = 10 } = options
  const table = tablesIn(schema)
  // A track that nobody has bought yet is the least wanted one, not missing.
  const sold = `
    select t.track_id, t.name, t.genre_id, t.milliseconds, t.unit_price, al.title as album, ar.name as artist,
      coalesce(s.sold, 0) as sold
    from ${table('track')} t
    left join ${table('album')} al on al.album_id = t.album_id
    left join ${table('artist')} ar on ar.artist_id = al.artist_id
    left join (select track_id, sum(quantity)::int as sold from ${table('invoice_line')} group by track_id) s
      on s.track_id = t.track_id`
  return {
    tracks: sql({
      key: `${keyPrefix}track:{track_id}`,
      value: 'hash',
      ttl: '1h',
      priority: 100,
      critical: true,
      tags: ['catalogue', 'tracks'],
      params: z.object({ limit: z.number().int().min(1).max(1_000_000).default(limit) }),
      query: `
        with sold as (${sold})
        select s.track_id, s.name, s.album, s.artist, g.name as genre, s.milliseconds, s.unit_price, s.sold
        from sold s
        left join ${table('genre')} g on g.genre_id = s.genre_id
        order by s.sold desc, s.track_id
        limit :limit`,
    }),
    genres: sql({
      key: `${keyPrefix}genre:{genre_id}:top`,
      value: 'json',
      ttl: '15m',
      priority: 80,
      tags: ['catalogue', 'genres'],
      params: z.object({ top: z.number().int().min(1).max(1000).default(top) }),
      query: `
        with ranked as (
          select s.*, row_number() over (partition by genre_id order by sold desc, track_id) as place from (${sold}) s
        )
        select g.genre_id, g.name as genre,
          json_agg(json_build_object('track_id', r.track_id, 'name', r.name, 'artist', r.artist, 'sold', r.sold)
            order by r.place) as tracks
        from ${table('genre')} g
        join ranked r on r.genre_id = g.genre_id and r.place <= :top::int
        group by g.genre_id, g.name
        order by sum(r.sold) desc, g.genre_id`,
    }),
  }
}
