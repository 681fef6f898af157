import type { TailRecord } from './sink.ts'

type AnyValue = { readonly stringValue: string } | { readonly intValue: string }

interface KeyValue {
  readonly key: string
  readonly value: AnyValue
}

/**
 * `ExportLogsServiceRequest` in OTLP's JSON: names in lowerCamelCase, 64-bit numbers as text, enums as numbers, the ids of
 * traces in hex. The same records give the same bytes each time.
 */
export function exportRequest(records: readonly TailRecord[]): object {
  const resource = {
    attributes: attributesOf([
      ['service.name', 'bailiwick'],
      ['service.instance.id', records[0]?.log],
    ]),
  }
  const scope = { name: 'bailiwick.audit', version: '1' }
  return { resourceLogs: [{ resource, scopeLogs: [{ scope, logRecords: records.map(logRecord) }] }] }
}

function logRecord(record: TailRecord): object {
  const time = `${Date.parse(record.ts)}000000`
  const [severityNumber, severityText] = isWarning(record) ? [13, 'WARN'] : [9, 'INFO']
  return {
    timeUnixNano: time,
    observedTimeUnixNano: time,
    severityNumber,
    severityText,
    eventName: `bailiwick.audit.${record.kind}`,
    body: { stringValue: record.line },
    attributes: attributesOf(namedFields(record)),
    ...traceOf(record),
  }
}

/** What people filter by, under the names of OpenTelemetry's conventions where there are some. The body has all of it. */
function namedFields({ log, seq, kind, fields }: TailRecord): readonly (readonly [string, unknown])[] {
  const who: Partial<Record<string, unknown>> = Object(fields['who'])
  const from: Partial<Record<string, unknown>> = Object(fields['from'])
  const claimed: Partial<Record<string, unknown>> = Object(fields['claimed'])
  return [
    // By which a store can tell a record that came twice.
    ['log.record.uid', `${log}/${seq}`],
    ['bailiwick.seq', seq],
    ['bailiwick.kind', kind],
    ['bailiwick.request', fields['request']],
    ['user.id', who['subject']],
    ['user.name', who['name']],
    ['bailiwick.issuer', who['issuer']],
    ['bailiwick.via', who['via']],
    ['client.address', from['client'] ?? from['peer']],
    ['http.request.method', fields['method']],
    ['url.path', fields['path']],
    ['http.response.status_code', fields['status']],
    ['bailiwick.cluster', fields['cluster']],
    ['bailiwick.endpoint', fields['endpoint']],
    ['bailiwick.decision', fields['decision']],
    ['bailiwick.reason', fields['reason']],
    ['bailiwick.scope', fields['scope']],
    ['bailiwick.policy', fields['policy']],
    ['bailiwick.ended', fields['ended']],
    ['bailiwick.claimed.dashboard', claimed['x-dashboard-uid']],
  ]
}

/** Many stores cut or refuse longer ones. */
const longestAttribute = 1_000

function attributesOf(fields: readonly (readonly [string, unknown])[]): readonly KeyValue[] {
  return fields.flatMap(([key, found]): readonly KeyValue[] => {
    if (typeof found === 'string')
      return [{ key, value: { stringValue: found.slice(0, longestAttribute).toWellFormed() } }]
    return Number.isSafeInteger(found) ? [{ key, value: { intValue: String(found) } }] : []
  })
}

const warnings: ReadonlySet<string> = new Set([
  'login.failed',
  'logout.failed',
  'policy.rejected',
  'disk.watermark',
  'sink.failed',
])

const isWarning = ({ kind, fields }: TailRecord): boolean => warnings.has(kind) || fields['decision'] === 'deny'

/** The trace that the client says the request belongs to (W3C Trace Context). */
function traceOf({ fields }: TailRecord): object {
  const traceparent: unknown = Object(fields['claimed']).traceparent
  if (typeof traceparent !== 'string') return {}
  const [, traceId = '', spanId = '', flags = ''] =
    /^[\da-f]{2}-([\da-f]{32})-([\da-f]{16})-([\da-f]{2})/.exec(traceparent) ?? []
  // Ids of zeros only are invalid, and a whole request could be refused for one.
  if (!/[1-9a-f]/.test(traceId) || !/[1-9a-f]/.test(spanId)) return {}
  return { traceId, spanId, flags: Number.parseInt(flags, 16) }
}
