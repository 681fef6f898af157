import type { Server as HttpServer } from 'node:http'
import { createServer, type Server } from 'node:net'

/** The one address the demo and the tests listen on. */
export const loopback = '127.0.0.1'

/**
 * A TCP port on the loopback address that nobody listens on.
 * Between the answer and its use another process may take it: who can, listens on port 0 instead.
 * @param wanted this one; without it, any
 * @throws Error that says what to do when the wanted one is taken
 */
export async function freePort(wanted = 0): Promise<number> {
  const probe = createServer()
  const port = await listen(probe, wanted)
  await new Promise((resolve) => probe.close(resolve))
  return port
}

/**
 * Lets a server listen on the loopback address.
 * @param port 0 for any free one
 * @returns the port it got
 * @throws the listen error, such as EADDRINUSE, with what to do about it
 */
export async function listen(server: Server, port: number): Promise<number> {
  await new Promise<void>((resolve, reject) => {
    const refuse = (error: Error): void => {
      const hint = `cannot listen on ${loopback}:${port}: ${error.message}. Choose another port, or stop what has it.`
      reject(new Error(hint, { cause: error }))
    }
    server.once('error', refuse)
    server.listen(port, loopback, () => {
      server.off('error', refuse)
      resolve()
    })
  })
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('the server did not get a TCP port')
  return address.port
}

/** Closes an HTTP server together with the connections that clients keep open; settles when nothing listens any more. */
export async function close(server: HttpServer): Promise<void> {
  await new Promise<void>((resolve) => {
    server.close(() => resolve())
    server.closeAllConnections()
  })
}
