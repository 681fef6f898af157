import type { Server } from 'node:http'
import type { Address } from '../config/config.ts'

/** Resolves when the server takes connections. */
export async function listen(server: Server, { host, port }: Address): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<undefined>()
  server.once('error', reject)
  server.listen({ host, port }, () => resolve(undefined))
  await promise
  server.off('error', reject)
}

/** Waits until every connection is closed; those still busy after `grace` milliseconds are cut. */
export async function close(server: Server, grace: number): Promise<void> {
  if (!server.listening) return
  const { promise, resolve } = Promise.withResolvers<undefined>()
  server.close(() => resolve(undefined))
  // A connection whose answer ends now would else be kept for the next request.
  const idle = setInterval(() => server.closeIdleConnections(), 50)
  const cut = setTimeout(() => server.closeAllConnections(), grace)
  await promise
  clearInterval(idle)
  clearTimeout(cut)
}

/** The address that the system gave it. */
export function urlOf(server: Server): string {
  const address = server.address()
  if (address === null || typeof address === 'string') return ''
  const host = address.family === 'IPv6' ? `[${address.address}]` : address.address
  return `http://${host}:${address.port}`
}
