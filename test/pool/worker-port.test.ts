import { describe, it } from 'node:test'
import { assertEquals } from '@std/assert'
import { portPair } from '../../src/pool/inline.ts'
import { currentRuntime } from '../../src/runtime/index.ts'
import { answers, workerPortContract } from '../contract/worker-port.contract.ts'

const runtime = currentRuntime()
const echo = () => runtime.startWorker(new URL('../support/echo-worker.ts', import.meta.url), 'echo')

workerPortContract('portPair', () => {
  const [ours, theirs] = portPair()
  theirs.onMessage((message) => theirs.post(message))
  return ours
})

workerPortContract(`web worker of ${runtime.name}`, echo)

describe('portPair', () => {
  it('portPair tells the other end when one end is terminated, so that it can clean up', () => {
    const [ours, theirs] = portPair()
    const exits: string[] = []
    theirs.onExit((reason) => exits.push(reason))
    ours.terminate()
    ours.terminate()
    assertEquals(exits.length, 1)
  })
})

describe('workerPort', () => {
  it('workerPort tells once that a worker has thrown', async () => {
    const port = echo()
    await answers(port, ['up'])
    let calls = 0
    const exited = new Promise<string>((resolve) => {
      port.onExit((reason) => {
        calls++
        resolve(reason)
      })
    })
    port.post('throw')
    assertEquals((await exited).includes('thrown on purpose'), true)
    port.terminate()
    assertEquals(calls, 1)
  })
})
