/** `text` as Redis and a thread's mailbox carry it: gzip, then base64. */
export async function pack(text: string): Promise<string> {
  return (await through(new TextEncoder().encode(text), new CompressionStream('gzip'))).toBase64()
}

/** What {@linkcode pack} was given. @throws {Error} for anything else */
export async function unpack(packed: string): Promise<string> {
  const bytes = await through(Uint8Array.fromBase64(packed), new DecompressionStream('gzip'))
  return new TextDecoder('utf-8', { fatal: true }).decode(bytes)
}

async function through(bytes: Uint8Array<ArrayBuffer>, stream: CompressionStream | DecompressionStream) {
  const answer = new Response(new Blob([bytes]).stream().pipeThrough(stream))
  return new Uint8Array(await answer.arrayBuffer())
}
