/** A TCP proxy that loses a client just as it sends something, while what it sent still waits on its way to the server. */
import net from 'node:net'

export interface StrandProxy {
  readonly port: number
  /** The next chunk from a client that holds `text` is kept back, and its client cut off; the server's side stays open. */
  strandAt(text: string): void
  /** What is kept back now reaches the server, where that still listens; resolves when it has been taken, or refused. */
  deliver(): Promise<void>
  stop(): Promise<void>
}

/** @param targetPort on 127.0.0.1 */
export async function startStrandProxy(targetPort: number): Promise<StrandProxy> {
  const sockets = new Set<net.Socket>()
  let wanted: string | undefined
  let stranded: { target: net.Socket; bytes: Uint8Array } | undefined
  const server = net.createServer({ noDelay: true }, (client) => {
    const target = net.connect({ port: targetPort, host: '127.0.0.1', noDelay: true })
    let isStranded = false
    for (const socket of [client, target]) sockets.add(socket.on('error', () => undefined))
    client.on('data', (bytes: Uint8Array) => {
      if (wanted !== undefined && Buffer.from(bytes).includes(wanted)) {
        wanted = undefined
        isStranded = true
        stranded = { target, bytes }
        client.destroy()
      } else if (!isStranded) target.write(bytes)
    })
    target.on('data', (bytes: Uint8Array) => void (client.destroyed || client.write(bytes)))
    client.on('close', () => void (isStranded || target.destroy()))
    target.on('close', () => client.destroy())
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return {
    port: (server.address() as net.AddressInfo).port,
    strandAt: (text) => {
      wanted = text
    },
    async deliver() {
      if (stranded === undefined) throw new Error('nothing is stranded')
      const { target, bytes } = stranded
      // A QUIT behind it: the server closes when it has carried out what came before.
      if (!target.destroyed) {
        const closed = new Promise((resolve) => target.once('close', resolve))
        target.write(bytes)
        target.write('*1\r\n$4\r\nQUIT\r\n')
        await closed
      }
    },
    async stop() {
      for (const socket of sockets) socket.destroy()
      await new Promise<void>((resolve) => server.close(() => resolve()))
    },
  }
}
