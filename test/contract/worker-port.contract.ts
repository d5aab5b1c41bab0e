import { describe, it } from 'node:test'
import { assertEquals } from '@std/assert'
import type { WorkerPort } from '../../src/runtime/types.ts'
import { turn } from '../fakes/clock.ts'

/** What every {@linkcode WorkerPort} does. `create` gives one whose other end sends each message back. */
export function workerPortContract(name: string, create: () => WorkerPort): void {
  const test = (title: string, body: (port: WorkerPort) => Promise<void>) =>
    it(title, async () => {
      const port = create()
      try {
        await body(port)
      } finally {
        port.terminate()
      }
    })

  describe(`${name}: worker port`, () => {
    test('post carries what can be cloned there and back', async (port) => {
      const message = { text: 'é\u0000', list: [1, null, true], nested: { big: 12n, at: new Date(5) } }
      assertEquals(await answers(port, [message]), [message])
    })

    test('post keeps the order of messages', async (port) => {
      const messages = Array.from({ length: 100 }, (_, index) => ({ index }))
      assertEquals(await answers(port, messages), messages)
    })

    test('post does not deliver before it returns', async (port) => {
      const got: unknown[] = []
      const answered = answers(port, [1], (message) => got.push(message))
      assertEquals(got, [])
      await answered
      assertEquals(got, [1])
    })

    test('onMessage calls every listener', async (port) => {
      const got: unknown[] = []
      port.onMessage((message) => got.push(message))
      assertEquals(await answers(port, ['x']), ['x'])
      assertEquals(got, ['x'])
    })

    test('terminate is safe to call twice, and post after it is taken in silence', async (port) => {
      await answers(port, ['up'])
      const got: unknown[] = []
      const exits: string[] = []
      port.onMessage((message) => got.push(message))
      port.onExit((reason) => exits.push(reason))
      port.terminate()
      port.terminate()
      port.post('too late')
      // Another channel's whole way there and back is time enough for the message to come, if it came.
      const other = create()
      assertEquals(await answers(other, ['later']), ['later'])
      other.terminate()
      await turn()
      assertEquals({ got, exits }, { got: [], exits: [] })
    })
  })
}

/** Posts `messages` and waits for as many answers. */
export function answers(
  port: WorkerPort,
  messages: unknown[],
  onAnswer: (message: unknown) => void = () => {},
): Promise<unknown[]> {
  return new Promise((resolve) => {
    const got: unknown[] = []
    port.onMessage((message) => {
      onAnswer(message)
      if (got.push(message) === messages.length) resolve(got)
    })
    for (const message of messages) port.post(message)
  })
}
