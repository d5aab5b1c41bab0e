import { describe, it } from 'node:test'
import { assert, assertEquals } from '@std/assert'
import fc from 'fast-check'
import { Flights } from '../../src/cache/flights.ts'
import { MemoryLayer } from '../../src/cache/memory.ts'
import { checkAsync } from '../support/property.ts'
import { playSchedule, story, type Without } from './schedules.ts'

const RUNS = 1500

describe('any order in which loads, replies and changes arrive', () => {
  it(`leaves no wrong value, no call without an end, no lease, timer or question: ${RUNS} of them`, async () => {
    await checkAsync(
      fc.asyncProperty(story, async (one) => {
        assertEquals(await playSchedule(one), [])
      }),
      RUNS,
    )
  })

  it('is told from one without a guard: tickets, questions that are void, reads that are forgotten', async () => {
    await findsWrong('tickets', (state) => {
      state.changes.isRefused = () => false
    })
    const { keep } = MemoryLayer.prototype
    await findsWrong(
      'void questions',
      () => {
        MemoryLayer.prototype.keep = function (asked, kept, bytes) {
          keep.call(this, { ...asked, isVoid: false }, kept, bytes)
        }
      },
      () => {
        MemoryLayer.prototype.keep = keep
      },
    )
    const { forget } = Flights.prototype
    await findsWrong(
      'forgotten reads',
      () => {
        Flights.prototype.forget = () => {}
      },
      () => {
        Flights.prototype.forget = forget
      },
    )
  })
})

async function findsWrong(guard: string, without: Without, restore: () => void = () => {}): Promise<void> {
  try {
    for (const one of fc.sample(story, { numRuns: RUNS, seed: 1 }))
      if ((await playSchedule(one, without)).length > 0) return
  } finally {
    restore()
  }
  assert(false, `nothing was found wrong without ${guard}`)
}
