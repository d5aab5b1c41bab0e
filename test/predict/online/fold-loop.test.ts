import { describe, it } from 'node:test'
import { assertEquals } from '@std/assert'
import { BUCKET_MS } from '../../../src/predict/buckets.ts'
import { FoldLoop } from '../../../src/predict/online/fold-loop.ts'
import { FakeClock } from '../../fakes/clock.ts'
import { START, WINDOW } from './support.ts'

/** A loop whose catch-ups give these answers, then `done`. */
function loop(answers: ('done' | 'busy' | Error)[], { startMs = START, random = 0, windowMs = WINDOW } = {}) {
  const clock = new FakeClock(startMs)
  const times: number[] = []
  const catchUp = async () => {
    times.push(clock.nowMs() - START)
    const answer = answers.shift() ?? 'done'
    if (answer instanceof Error) throw answer
    return { isBusy: answer === 'busy', head: null }
  }
  const status = { predictor: 'learned' as const, windowMs, foldedToMs: null, windows: 0, scores: [] }
  return { clock, times, status, loop: new FoldLoop({ predictor: { catchUp, status }, clock, random: () => random }) }
}

describe('FoldLoop', () => {
  it('looks at once, then soon after each window has ended', async () => {
    const { clock, times, loop: loops } = loop([], { startMs: START + 60_000 })
    loops.start()
    loops.start()
    await clock.advance(3 * WINDOW)
    const ends = times.filter((ms) => ms >= WINDOW && ms % WINDOW < BUCKET_MS)
    assertEquals([times[0], ...ends], [60_000, WINDOW + 15_000, 2 * WINDOW + 15_000, 3 * WINDOW + 15_000])
    // In between it only sees to it that no clock has jumped.
    assertEquals(times.slice(0, 4), [60_000, 360_000, 660_000, WINDOW + 15_000])
    await loops.stop()
    assertEquals(clock.pending, 0)
  })

  it('does not look in the same moment as the others', async () => {
    const { clock, times, loop: loops } = loop([], { random: 0.5 })
    loops.start()
    await clock.advance(WINDOW + 60_000)
    await loops.stop()
    assertEquals([times[0], times[1], times.at(-1)], [0, 15_000 + 2500, WINDOW + 15_000 + 2500])
  })

  it('looks again soon while another instance folds, and later after a failure', async () => {
    const { clock, times, loop: loops } = loop(['busy', 'busy', new Error('away'), 'done'], { startMs: START + 60_000 })
    loops.start()
    await clock.advance(WINDOW / 3)
    await loops.stop()
    assertEquals(times, [60_000, 70_000, 80_000, 140_000])
  })

  it('goes by windows of another length soon after they are configured', async () => {
    const { clock, times, status, loop: loops } = loop([], { windowMs: 96 * WINDOW })
    loops.start()
    await clock.advance(WINDOW)
    status.windowMs = WINDOW
    await clock.advance(2 * WINDOW)
    await loops.stop()
    assertEquals(times.includes(2 * WINDOW + 15_000), true)
  })

  it('ends, also before it began, and begins nothing more', async () => {
    const { clock, times, loop: loops } = loop([])
    await loops.stop()
    loops.start()
    await loops.stop()
    await clock.advance(3 * WINDOW)
    assertEquals(times, [])
  })
})
