/** A receiver of OTLP logs over HTTP that refuses everything the protocol does not allow. */
import { once } from 'node:events'
import { createServer as createPlain, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import { createServer as createSecure } from 'node:https'
import type { AddressInfo } from 'node:net'
import { gunzipSync } from 'node:zlib'

/** A record as it arrived. */
export interface ArrivedRecord {
  readonly line: string
  readonly resource: Readonly<Record<string, string>>
  readonly attributes: Readonly<Record<string, string>>
  readonly record: Readonly<Record<string, unknown>>
}

/** What is answered in place of a yes; `null`: a yes. `hang`: nothing at all. */
export type Behave = (records: readonly ArrivedRecord[]) => Reply | 'hang' | null

interface Reply {
  readonly status: number
  readonly body?: object | string
  readonly headers?: Readonly<Record<string, string>>
}

export class OtlpStub {
  /** In order of arrival, only what was answered with a yes. */
  readonly arrived: ArrivedRecord[] = []
  readonly requests: IncomingMessage['headers'][] = []
  /** What was not as the protocol wants it. */
  readonly violations: string[] = []
  behave: Behave = () => null
  readonly #secrets: { readonly cert: string; readonly key: string } | null
  #server: Server | null = null
  #port = 0

  constructor(secrets: { readonly cert: string; readonly key: string } | null = null) {
    this.#secrets = secrets
  }

  get url(): string {
    return `${this.#secrets === null ? 'http' : 'https'}://127.0.0.1:${this.#port}/v1/logs`
  }

  get lines(): readonly string[] {
    return this.arrived.map(({ line }) => line)
  }

  async up(): Promise<void> {
    const receive = (request: IncomingMessage, response: ServerResponse): void => {
      // A request that its sender gives up while it is read is nobody's mistake.
      this.#receive(request, response).catch(() => response.destroy())
    }
    const server = this.#secrets === null ? createPlain(receive) : createSecure(this.#secrets, receive)
    this.#server = server.listen(this.#port, '127.0.0.1')
    await once(server, 'listening')
    // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- a TCP server's address is one
    this.#port = (server.address() as AddressInfo).port
  }

  async down(): Promise<void> {
    const server = this.#server
    this.#server = null
    if (server === null) return
    server.close()
    server.closeAllConnections()
    await once(server, 'close')
  }

  async #receive(request: IncomingMessage, response: ServerResponse): Promise<void> {
    this.requests.push(request.headers)
    const chunks: Buffer[] = []
    for await (const chunk of request) chunks.push(Buffer.from(chunk))
    const { problems, records } = readExport(request, Buffer.concat(chunks))
    this.violations.push(...problems)
    const said = problems.length > 0 ? { status: 400, body: { message: problems.join(', ') } } : this.behave(records)
    if (said === 'hang') return
    const { status, body = {}, headers = {} }: Reply = said ?? { status: 200 }
    if (status === 200) this.arrived.push(...records)
    response.writeHead(status, { 'content-type': 'application/json', ...headers })
    response.end(typeof body === 'string' ? body : JSON.stringify(body))
  }
}

type Json = Readonly<Record<string, unknown>>

/** Reads an `ExportLogsServiceRequest` strictly: no field but the protocol's, each in the form of OTLP's JSON. */
function readExport(request: IncomingMessage, body: Buffer): { problems: string[]; records: ArrivedRecord[] } {
  const problems: string[] = []
  const records: ArrivedRecord[] = []
  const check = (right: boolean, what: string): void => void (right || problems.push(what))
  const members = (found: unknown, at: string, allowed: readonly string[]): Json => {
    check(typeof found === 'object' && found !== null && !Array.isArray(found), `${at} is no object`)
    const json: Json = Object(found)
    for (const key of Object.keys(json)) check(allowed.includes(key), `${at} has a field ${key}`)
    return json
  }
  const list = (found: unknown, at: string): readonly unknown[] => {
    check(Array.isArray(found), `${at} is no list`)
    return Array.isArray(found) ? found : []
  }
  const attributes = (found: unknown, at: string): Record<string, string> => {
    const all: Record<string, string> = {}
    for (const one of list(found, at)) {
      const { key, value } = members(one, at, ['key', 'value'])
      check(typeof key === 'string' && key !== '' && !Object.hasOwn(all, key), `${at} has the key ${String(key)}`)
      const any = members(value, at, ['stringValue', 'intValue'])
      const [[kind, said] = ['', null], ...more] = Object.entries(any)
      check(more.length === 0 && typeof said === 'string', `${at} has a value that is not one text`)
      check(kind !== 'intValue' || isInt64(said), `${at} has an intValue ${String(said)}`)
      all[String(key)] = String(said)
    }
    return all
  }
  const record = (found: unknown, resource: Record<string, string>): void => {
    const json = members(found, 'logRecord', recordFields)
    for (const name of ['timeUnixNano', 'observedTimeUnixNano']) {
      check(typeof json[name] === 'string' && /^[1-9]\d{0,19}$/.test(json[name]), `${name} is no fixed64`)
    }
    const { severityNumber, severityText, eventName, traceId, spanId, flags } = json
    check(
      Number.isInteger(severityNumber) && Number(severityNumber) > 0 && Number(severityNumber) < 25,
      'severityNumber',
    )
    check(typeof severityText === 'string' && typeof eventName === 'string', 'severityText or eventName')
    check(traceId === undefined || isId(traceId, 32), 'traceId is not 16 bytes in hex')
    check(spanId === undefined || isId(spanId, 16), 'spanId is not 8 bytes in hex')
    check(flags === undefined || (Number.isInteger(flags) && Number(flags) >= 0 && Number(flags) < 256), 'flags')
    const { stringValue: line } = members(json['body'], 'body', ['stringValue'])
    check(typeof line === 'string' && line.isWellFormed(), 'the body is no text')
    records.push({
      line: String(line),
      resource,
      attributes: attributes(json['attributes'], 'attributes'),
      record: json,
    })
  }
  check(request.method === 'POST' && request.url === '/v1/logs', `asked ${request.method} ${request.url}`)
  check(request.headers['content-type'] === 'application/json', 'content-type')
  check(request.headers['content-encoding'] === 'gzip', 'content-encoding')
  const { resourceLogs } = members(JSON.parse(gunzipSync(body).toString()), 'request', ['resourceLogs'])
  for (const one of list(resourceLogs, 'resourceLogs')) {
    const { resource, scopeLogs } = members(one, 'resourceLogs', ['resource', 'scopeLogs', 'schemaUrl'])
    const { attributes: said } = members(resource, 'resource', ['attributes', 'droppedAttributesCount'])
    for (const inner of list(scopeLogs, 'scopeLogs')) {
      const { scope, logRecords } = members(inner, 'scopeLogs', ['scope', 'logRecords', 'schemaUrl'])
      members(scope, 'scope', ['name', 'version', 'attributes', 'droppedAttributesCount'])
      for (const entry of list(logRecords, 'logRecords')) record(entry, attributes(said, 'resource'))
    }
  }
  return { problems, records }
}

const recordFields = [
  'timeUnixNano',
  'observedTimeUnixNano',
  'severityNumber',
  'severityText',
  'body',
  'attributes',
  'droppedAttributesCount',
  'flags',
  'traceId',
  'spanId',
  'eventName',
]

const isId = (said: unknown, digits: number): boolean =>
  typeof said === 'string' && said.length === digits && /^(?!0+$)[\da-f]+$/i.test(said)

const isInt64 = (said: unknown): boolean =>
  typeof said === 'string' && /^-?\d{1,19}$/.test(said) && BigInt(said) === BigInt.asIntN(64, BigInt(said))
