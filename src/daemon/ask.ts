import { request } from 'node:http'

const TIMEOUT_MS = 5000

/** Asks a daemon over its socket. Null: nobody answers there, or not within `timeoutMs`. */
export function ask<T>(
  socket: string,
  method: 'GET' | 'POST',
  path: string,
  timeoutMs = TIMEOUT_MS,
): Promise<T | null> {
  return new Promise((resolve) => {
    const call = request({ socketPath: socket, method, path, agent: false }, (response) => {
      let text = ''
      response.setEncoding('utf8')
      response.on('data', (chunk) => {
        text += chunk
      })
      response.on('error', () => end(null))
      response.on('end', () => end(response.statusCode === 200 ? parse<T>(text) : null))
    })
    const timer = setTimeout(() => end(null), timeoutMs)
    const end = (answer: T | null) => {
      clearTimeout(timer)
      resolve(answer)
      call.destroy()
    }
    call.on('error', () => end(null))
    call.end()
  })
}

function parse<T>(text: string): T | null {
  try {
    return JSON.parse(text) as T
  } catch {
    return null
  }
}
