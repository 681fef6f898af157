import type { RawLine } from '../audit/read-segments.ts'
import type { OutcomeRow, RecordRow } from './columns.ts'
import { reviewLimits } from './limits.ts'
import { aboutDecision, pairsOf } from './namespaces.ts'

type Fields = Partial<Record<string, unknown>>

/** What a line of the log becomes. */
export type Read =
  | { readonly is: 'record'; readonly row: RecordRow; readonly ts: number }
  | { readonly is: 'outcome'; readonly row: OutcomeRow }

/** Reads a line; null for what is no record. Never throws: a log may hold anything. */
export function readLine(line: RawLine, segment: string): Read | null {
  const record = recordOf(line)
  if (record === null) return null
  const { seq, ts, kind, request } = record
  if (typeof seq !== 'number' || !Number.isSafeInteger(seq) || typeof kind !== 'string') return null
  const at = timeOf(ts)
  if (kind === 'outcome') {
    return typeof request === 'string' ? { is: 'outcome', row: outcomeRow(record, request, seq, at, segment) } : null
  }
  return { is: 'record', row: recordRow(record, seq, kind, at, segment), ts: at }
}

function recordOf({ bytes, form }: RawLine): Fields | null {
  if (form !== 'whole') return null
  try {
    const found: unknown = JSON.parse(bytes.toString('utf8'))
    return typeof found === 'object' && found !== null ? Object(found) : null
  } catch {
    return null
  }
}

/** Fields that have a column of their own; what else a record says stands in `details`. */
const known = new Set(
  `v seq ts log boot kind request received who from claimed cluster method endpoint path asked sent selectors decision
   reason because reasons scope policy fold truncated chain`.split(/\s+/),
)

function recordRow(record: Fields, seq: number, kind: string, ts: number, segment: string): RecordRow {
  const { received, asked } = record
  const selectors = json(record['selectors'])
  const about = kind === 'decision' ? aboutDecision(record, selectors ?? '') : null
  return {
    ts,
    log: text(record['log']),
    seq,
    boot: text(record['boot']),
    segment,
    kind: text(kind),
    request: text(record['request']),
    received: received === undefined ? undefined : timeOf(received),
    ...whoRow(record),
    cluster: text(record['cluster']),
    method: text(record['method']),
    endpoint: text(record['endpoint']),
    path: text(record['path']),
    query: askedText(kind, asked),
    decision: text(record['decision']),
    reason: text(record['reason']),
    rules: texts(record['because']),
    reasons: texts(record['reasons']),
    scope: text(record['scope']),
    policy: text(record['policy']),
    fold: text(record['fold']),
    namespaces: about?.namespaces,
    namespace_patterns: about?.patterns,
    mentions: about?.mentions,
    metrics: about?.metrics,
    asked: json(asked),
    sent: json(record['sent']),
    selectors,
    claimed: json(record['claimed']),
    details: detailsOf(record),
    truncated: texts(record['truncated']),
  }
}

/** Who asked, from where, and in which of their dashboards, as they say. */
function whoRow({ who, from, claimed }: Fields) {
  const { issuer, subject, name, groups, via, actor, credential }: Fields = Object(who)
  const { peer, client, userAgent }: Fields = Object(from)
  const claims: Fields = Object(claimed)
  return {
    issuer: text(issuer),
    subject: text(subject),
    name: text(name),
    groups: texts(groups),
    via: text(via),
    actor: text(actor),
    credential: text(credential),
    peer: text(peer),
    client: text(client),
    user_agent: text(userAgent),
    dashboard: text(claims['x-dashboard-uid']),
    dashboard_title: text(claims['x-dashboard-title']),
    panel: text(claims['x-panel-id']),
  }
}

function outcomeRow(record: Fields, request: string, seq: number, ts: number, segment: string): OutcomeRow {
  const { status, ms, bytes, series, ended, reason, servedFrom, upstream } = record
  return {
    request: text(request) ?? '',
    status: whole(status, maxInteger),
    ms: typeof ms === 'number' ? ms : undefined,
    bytes: whole(bytes),
    series: whole(series),
    ended: text(ended),
    outcome_reason: text(reason),
    served_from: text(servedFrom),
    upstream: whole(upstream, maxInteger),
    outcome_ts: ts,
    outcome_segment: segment,
    outcome_seq: seq,
  }
}

const maxInteger = 2 ** 31 - 1

/** What a person would call the question: queries and selectors; of other records, all that was asked. */
function askedText(kind: string, asked: unknown): string | undefined {
  const pairs = pairsOf(asked)
  const queries = pairs.filter(([name]) => name === 'query' || name === 'match[]').map(([, value]) => value)
  const said = kind === 'decision' && queries.length > 0 ? queries : pairs.map(([name, value]) => `${name}=${value}`)
  return text(said.join(' '))
}

function detailsOf(record: Fields): string | undefined {
  const rest: Record<string, unknown> = {}
  let some = false
  for (const name of Object.keys(record)) {
    if (known.has(name)) continue
    rest[name] = record[name]
    some = true
  }
  return some ? json(rest) : undefined
}

/** What Parquet takes as a text: well-formed, without NUL, and not longer than a column may be. */
function text(value: unknown): string | undefined {
  if (typeof value !== 'string') return undefined
  const short = value.length > reviewLimits.textUnits ? value.slice(0, reviewLimits.textUnits) : value
  const sound = short.isWellFormed() ? short : short.toWellFormed()
  return sound.includes('\0') ? sound.replaceAll('\0', '\u{fffd}') : sound
}

const texts = (value: unknown): readonly string[] | undefined =>
  Array.isArray(value) ? value.map((one) => text(one) ?? '') : undefined

/** Halves of pairs would come out as escapes that other readers of JSON refuse. */
function json(value: unknown): string | undefined {
  if (value === undefined || value === null) return undefined
  const plain = JSON.stringify(value)
  return text(plain.includes(String.raw`\ud`) ? JSON.stringify(value, (_, part) => wellFormed(part)) : plain)
}

const wellFormed = (part: unknown): unknown => (typeof part === 'string' ? part.toWellFormed() : part)

const whole = (value: unknown, most: number = Number.MAX_SAFE_INTEGER): number | undefined =>
  typeof value === 'number' && Number.isInteger(value) && Math.abs(value) <= most ? value : undefined

/** What no clock shows counts as the beginning of time, so that the record is not lost. */
function timeOf(value: unknown): number {
  const time = typeof value === 'string' ? Date.parse(value) : Number.NaN
  return time >= 0 && time < 253_402_300_800_000 ? time : 0
}
