import { gunzipSync } from 'node:zlib'
import { describeScope } from '../policy/scope.ts'
import type { QueryLimits } from '../policy/query-limits.ts'
import { overLimit } from '../prometheus/budget.ts'
import { readError } from '../prometheus/error.ts'
import { filterAnswer } from '../prometheus/filter.ts'
import { maxError, maxFiltered } from '../prometheus/limits.ts'
import type { ScopedRequest } from '../prometheus/rewrite.ts'
import type { Upstream, UpstreamAnswer, UpstreamFailure } from '../prometheus/upstream.ts'
import { takesGzip } from './accepts.ts'
import { timeoutGrace } from './limits.ts'
import { contextOf, labels, timed, writeUnrecorded } from './parts.ts'
import type { Cluster, GatewayParts } from './parts.ts'
import { refusalToWire } from './refusal.ts'
import { isExpected, isJson, writeAnswer, writeError, writeWhole } from './reply.ts'
import type { Extras } from './reply.ts'
import { decisionEntry } from './visit.ts'
import type { Visit } from './visit.ts'

type Failure = UpstreamFailure | { readonly is: 'unexpected' | 'rejected'; readonly detail: string }

/** What is asked of Prometheus, and how much may come of it. */
export interface Asking {
  readonly scoped: ScopedRequest
  readonly limits: Pick<QueryLimits, 'bytes' | 'timeout'>
}

/** Node takes a longer time for none. */
const longestTimer = 2 ** 31 - 1

/**
 * Asks Prometheus while the record is made durable (a query only reads, so asking early shows nothing), and lets no
 * byte out before it is.
 */
export async function show(
  parts: GatewayParts,
  visit: Visit,
  cluster: Cluster,
  { scoped, limits }: Asking,
): Promise<void> {
  const { gone } = visit
  const late = new AbortController()
  const deadline = setTimeout(() => late.abort(), Math.min(limits.timeout * 1000 + timeoutGrace, longestTimer))
  const signal = AbortSignal.any([gone.signal, late.signal])
  const extras = extrasFor(visit, cluster, scoped)
  // What is changed on its way must come as it is; the gateway then compresses it itself.
  const gzip = extras.gzip && extras.infos.length === 0 && scoped.filter === undefined
  const tell = (detail: string): void =>
    parts.log.warn({ request: visit.id, detail, ...labels(visit) }, "the gateway's own credentials for this cluster")
  const ask = (request: ScopedRequest): ReturnType<Upstream['send']> =>
    timed(parts, 'upstream', () => cluster.upstream.send(request, { gzip, signal, tell }))
  const asked = Promise.all([ask(scoped), scoped.names === undefined ? null : ask(scoped.names)])
  const answering = asked.finally(() => clearTimeout(deadline))
  const recorded = await timed(parts, 'audit', () => parts.audit.append(decisionEntry(visit, { allowed: scoped })))
  if (!recorded.ok) {
    gone.abort()
    return writeUnrecorded(parts, visit, recorded.error)
  }
  parts.metrics.request({ ...labels(visit), decision: 'allow', reason: '' })
  const [answered, names] = await answering
  if (answered.ok) visit.upstream = answered.value.status
  for (const one of [answered, names]) {
    const failure = one === null ? null : failureOf(visit, one, gzip)
    if (failure === null) continue
    const timedOut = failure.is === 'aborted' && !gone.signal.aborted
    gone.abort()
    return failUpstream(parts, visit, timedOut ? { is: 'timeout', detail: 'longer than the limit' } : failure)
  }
  if (!answered.ok) return undefined
  const { value: answer } = answered
  if (answer.status >= 300 && isJson(answer)) return showError(parts, visit, answer, extras)
  if (scoped.filter === undefined) return showWhole(parts, visit, limits, answer, extras)
  const answers = [answer, ...(names?.ok === true ? [names.value] : [])]
  return showFiltered(parts, visit, { scoped, limits }, answers, extras)
}

async function showWhole(
  parts: GatewayParts,
  visit: Visit,
  limits: Asking['limits'],
  answer: UpstreamAnswer,
  extras: Extras,
): Promise<void> {
  const announced = Number(answer.body.headers['content-length'] ?? 0)
  if (announced > limits.bytes) {
    answer.abort()
    return failTooLarge(parts, visit, limits, announced)
  }
  const outcome = await writeAnswer(visit, answer, extras, limits.bytes)
  if (outcome === 'over_limit') return failTooLarge(parts, visit, limits, Number.POSITIVE_INFINITY)
  if (outcome !== 'broken') return parts.audit.note(outcome)
  const is = visit.gone.signal.aborted ? 'aborted' : 'unexpected'
  return failUpstream(parts, visit, { is, detail: 'the answer broke off before anything of it was passed on' })
}

/** What the caller is told beside the answer, and whether they take gzip. */
function extrasFor({ request, decision }: Visit, { notices }: Cluster, { notes, narrowed }: ScopedRequest): Extras {
  const gzip = takesGzip(request)
  if (!notices || decision === null) return { infos: [], gzip }
  const infos = narrowed ? [...notes, `bailiwick: narrowed to ${describeScope(decision.scope)}`] : notes
  return { infos, gzip }
}

/**
 * An error of Prometheus's says what the caller can mend. Only its words are passed on: whatever else comes under the
 * status of an error was neither scoped by our matchers nor seen by a filter.
 */
async function showError(parts: GatewayParts, visit: Visit, answer: UpstreamAnswer, { gzip }: Extras): Promise<void> {
  const error = readError(unpack(answer, await collect(answer, maxError)))
  if (error === null) {
    return failUpstream(parts, visit, { is: 'unexpected', detail: `status ${answer.status} without an error in it` })
  }
  return parts.audit.note(await writeWhole(visit, answer.status, error, { infos: [], gzip }))
}

/** The text of an error, which comes compressed where its answer would have. */
function unpack({ contentEncoding }: UpstreamAnswer, body: Buffer | null): string | null {
  if (body === null || contentEncoding !== 'gzip') return body?.toString('utf8') ?? null
  try {
    return gunzipSync(body, { maxOutputLength: maxError }).toString('utf8')
  } catch {
    return null
  }
}

/** A filter sees the whole answer, up to a size; what it does not know, it refuses. */
async function showFiltered(
  parts: GatewayParts,
  visit: Visit,
  asking: Asking,
  answers: readonly UpstreamAnswer[],
  extras: Extras,
): Promise<void> {
  // Without the names, everything would be taken out, and an empty answer be read as "there is nothing".
  const failed = answers.find(({ status }) => status >= 300)
  if (failed !== undefined) {
    failed.abort()
    return failUpstream(parts, visit, { is: 'unexpected', detail: `status ${failed.status} to the question for names` })
  }
  const held: Held = { bytes: 0 }
  try {
    const bodies: string[] = []
    for (const one of answers) {
      const body = await collect(one, maxFiltered, held)
      if (body === null) return failFilter(parts, visit, held)
      bodies.push(body.toString('utf8'))
    }
    return await showLeft(parts, visit, asking, bodies, extras)
  } finally {
    filtering -= held.bytes
  }
}

/** Bytes of answers that are being filtered, all together: what this process can hold is one for all. */
let filtering = 0

/** Of {@link filtering}, what one request holds. */
interface Held {
  bytes: number
}

function failFilter(parts: GatewayParts, visit: Visit, held: Held): void {
  if (filtering > maxFiltered && held.bytes <= maxFiltered) {
    return parts.audit.note(writeError(visit, refusalToWire({ is: 'filters_busy' }, contextOf(parts, visit))))
  }
  const detail = `an answer to be filtered broke off or is larger than ${maxFiltered} bytes`
  return failUpstream(parts, visit, { is: 'unexpected', detail })
}

async function showLeft(
  parts: GatewayParts,
  visit: Visit,
  { scoped, limits }: Asking,
  bodies: readonly string[],
  extras: Extras,
): Promise<void> {
  const { decision } = visit
  if (decision === null) return undefined
  const filtered = filterAnswer(scoped, bodies, decision.scope)
  if (!filtered.ok && filtered.error.is === 'page') {
    const refusal = { param: 'group_next_token', message: filtered.error.message }
    return parts.audit.note(writeError(visit, refusalToWire({ is: 'bad_parameter', refusal }, contextOf(parts, visit))))
  }
  if (!filtered.ok) return failUpstream(parts, visit, { is: 'unexpected', detail: filtered.error.message })
  // Measured is what is left: the size of the whole would tell of what was taken out.
  const size = Buffer.byteLength(filtered.value)
  if (size > limits.bytes) return failTooLarge(parts, visit, limits, size)
  return parts.audit.note(await writeWhole(visit, 200, filtered.value, extras))
}

/**
 * The whole body; null where it broke off or is too large.
 *
 * @param held where it is to be filtered: counted together with what others have filtered at the moment
 */
async function collect(answer: UpstreamAnswer, most: number, held?: Held): Promise<Buffer | null> {
  const chunks: Buffer[] = []
  let size = 0
  try {
    for await (const chunk of answer.body) {
      const bytes = Buffer.from(chunk)
      size += bytes.length
      if (held !== undefined) {
        held.bytes += bytes.length
        filtering += bytes.length
      }
      if (size > most || (held !== undefined && filtering > maxFiltered)) {
        answer.abort()
        return null
      }
      chunks.push(bytes)
    }
  } catch {
    return null
  }
  return answer.body.complete ? Buffer.concat(chunks) : null
}

function failureOf(visit: Visit, answered: Awaited<ReturnType<Upstream['send']>>, gzip: boolean): Failure | null {
  if (!answered.ok) return answered.error
  const { status, contentType, contentEncoding } = answered.value
  // Packed though nobody asked, it could not be read by the caller, nor be given a notice by us.
  const unasked = contentEncoding === 'gzip' && !gzip
  if (visit.found !== null && !unasked && isExpected(answered.value, visit.found)) return null
  const detail = `status ${status}, content type ${contentType}, content encoding ${contentEncoding}`
  // The caller was let in by the gateway: it is the gateway that Prometheus, or what stands before it, turns away.
  return { is: status === 401 || status === 403 ? 'rejected' : 'unexpected', detail }
}

/** The decision was to allow, and is on record as that; the outcome says that nothing came of it. */
function failUpstream(parts: GatewayParts, visit: Visit, failure: Failure): void {
  if (failure.is === 'aborted') {
    const ms = Math.round(performance.now() - visit.began)
    parts.audit.note({ kind: 'outcome', request: visit.id, status: 499, ms, bytes: 0, ended: 'cut' })
    return
  }
  parts.log.warn({ request: visit.id, failure: failure.is, detail: failure.detail, ...labels(visit) }, 'no answer')
  parts.audit.note(writeError(visit, refusalToWire({ is: `upstream_${failure.is}` }, contextOf(parts, visit))))
}

/** Of how large an answer would be is known only when it comes. The outcome says why nothing came of the decision. */
function failTooLarge(parts: GatewayParts, visit: Visit, { bytes }: Asking['limits'], size: number): void {
  const refusal = overLimit('bytes', size, bytes)
  parts.log.info({ request: visit.id, reason: refusal.is, limit: refusal.limit, ...labels(visit) }, 'too large')
  const outcome = writeError(visit, refusalToWire(refusal, contextOf(parts, visit)))
  parts.audit.note({ ...outcome, reason: refusal.is })
}
