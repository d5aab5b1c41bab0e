import { BUILT_IN } from '../../../src/job/strategy/register.ts'
import type { Strategy } from '../../../src/job/strategy/types.ts'
import { strategyContract } from '../../contract/strategy.contract.ts'

/** As a user would write it: what was read at all, in the order listed. */
const readOnly: Strategy = {
  async rank(keys, { readsPerHour, importance }) {
    const read = keys.filter((key) => readsPerHour(key) > 0)
    return { keys: read, priorities: read.map((_, at) => importance - at) }
  },
}

for (const [name, strategy] of Object.entries(BUILT_IN)) strategyContract(name, strategy)
strategyContract('of a user', readOnly)
