import type { IncomingMessage } from 'node:http'
import { BlockList, isIP } from 'node:net'

/** The proxies before the gateway whose word on the client's address counts: addresses and CIDR ranges. */
export function trustedProxies(ranges: readonly string[]): BlockList {
  const list = new BlockList()
  for (const range of ranges) {
    const [address = '', prefix] = range.split('/')
    const family = isIP(address) === 6 ? 'ipv6' : 'ipv4'
    list.addSubnet(address, Number(prefix ?? (family === 'ipv6' ? 128 : 32)), family)
  }
  return list
}

const holds = (trusted: BlockList, address: string): boolean => {
  // A socket that listens on IPv6 shows IPv4 clients in this form.
  const plain = address.replace(/^::ffff:(?=\d+\.)/, '')
  return isIP(plain) !== 0 && trusted.check(plain, isIP(plain) === 6 ? 'ipv6' : 'ipv4')
}

/**
 * The client's address as the nearest trusted proxy saw it: of `X-Forwarded-For` the right-most entry that is no trusted
 * proxy itself. What stands to the left of it was written by the client. Null where no trusted proxy says anything.
 */
export function clientAddress(request: IncomingMessage, trusted: BlockList): string | null {
  if (!holds(trusted, request.socket.remoteAddress ?? '')) return null
  const hops = (request.headersDistinct['x-forwarded-for'] ?? []).join(',').split(',')
  const client = hops
    .map((hop) => hop.trim())
    .toReversed()
    .find((hop) => !holds(trusted, hop))
  return client === undefined || isIP(client) === 0 ? null : client
}
