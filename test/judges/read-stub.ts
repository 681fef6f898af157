import { createServer } from 'node:http'
import { close, listen } from '../../demo/parts/loopback.ts'
import { readRequest } from './read-request.ts'
import type { Select } from './read-request.ts'
import { snappyLiteral, unsnappy } from './snappy.ts'

/** A storage without data that writes down what it is asked for. */
export interface ReadStub {
  readonly url: string
  /** What it was asked for since the last call. */
  take(): readonly Select[]
  stop(): Promise<void>
}

/** One result without series: field 1 of the answer, empty. */
const nothing = Buffer.from(snappyLiteral(Uint8Array.of(0x0a, 0x00)))

/** Starts one on loopback. A request that it cannot read is a select of a matcher nobody allows, so no judge misses it. */
export async function startReadStub(): Promise<ReadStub> {
  let selects: Select[] = []
  const server = createServer((request, response) => {
    const chunks: Buffer[] = []
    request.on('data', (chunk: Buffer) => chunks.push(chunk))
    request.on('end', () => {
      try {
        selects.push(...readRequest(unsnappy(Buffer.concat(chunks))))
      } catch (error) {
        selects.push({ matchers: [`unreadable request: ${String(error)}`], start: 0, end: 0 })
      }
      response.writeHead(200, { 'content-type': 'application/x-protobuf', 'content-encoding': 'snappy' }).end(nothing)
    })
  })
  server.keepAliveTimeout = 60_000
  const port = await listen(server, 0)
  return {
    url: `http://127.0.0.1:${port}`,
    take() {
      const taken = selects
      selects = []
      return taken
    },
    stop: () => close(server),
  }
}

/** The configuration of a Prometheus that has all its data from there. */
export const readingFrom = (url: string): string =>
  `global: { scrape_interval: 1h }\nremote_read: [{ url: "${url}/read", read_recent: true, remote_timeout: 30s }]\n`
