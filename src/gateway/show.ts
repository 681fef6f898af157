import { gunzipSync } from 'node:zlib'
import { describeScope } from '../policy/scope.ts'
import { readError } from '../prometheus/error.ts'
import { filterAnswer } from '../prometheus/filter.ts'
import { maxError, maxFiltered } from '../prometheus/limits.ts'
import type { ScopedRequest } from '../prometheus/rewrite.ts'
import type { Upstream, UpstreamAnswer, UpstreamFailure } from '../prometheus/upstream.ts'
import { takesGzip } from './accepts.ts'
import { contextOf, labels, timed, writeUnrecorded } from './parts.ts'
import type { Cluster, GatewayParts } from './parts.ts'
import { refusalToWire } from './refusal.ts'
import { isExpected, isJson, writeAnswer, writeError, writeWhole } from './reply.ts'
import type { Extras } from './reply.ts'
import { decisionEntry } from './visit.ts'
import type { Visit } from './visit.ts'

type Failure = UpstreamFailure | { readonly is: 'unexpected' | 'rejected'; readonly detail: string }

/**
 * Asks Prometheus while the record is made durable (a query only reads, so asking early shows nothing), and lets no
 * byte out before it is.
 */
export async function show(parts: GatewayParts, visit: Visit, cluster: Cluster, scoped: ScopedRequest): Promise<void> {
  const { gone } = visit
  const extras = extrasFor(visit, cluster, scoped)
  // What is changed on its way must come as it is; the gateway then compresses it itself.
  const gzip = extras.gzip && extras.infos.length === 0 && scoped.filter === undefined
  const tell = (detail: string): void =>
    parts.log.warn({ request: visit.id, detail, ...labels(visit) }, "the gateway's own credentials for this cluster")
  const ask = (request: ScopedRequest): ReturnType<Upstream['send']> =>
    timed(parts, 'upstream', () => cluster.upstream.send(request, { gzip, signal: gone.signal, tell }))
  const answering = Promise.all([ask(scoped), scoped.names === undefined ? null : ask(scoped.names)])
  const recorded = await timed(parts, 'audit', () => parts.audit.append(decisionEntry(visit, { allowed: scoped })))
  if (!recorded.ok) {
    gone.abort()
    return writeUnrecorded(parts, visit, recorded.error)
  }
  parts.metrics.request({ ...labels(visit), decision: 'allow', reason: '' })
  const [answered, names] = await answering
  for (const one of [answered, names]) {
    const failure = one === null ? null : failureOf(visit, one, gzip)
    if (failure === null) continue
    gone.abort()
    return failUpstream(parts, visit, failure)
  }
  if (!answered.ok) return undefined
  const { value: answer } = answered
  if (answer.status >= 300 && isJson(answer)) return showError(parts, visit, answer, extras)
  if (scoped.filter === undefined) return showWhole(parts, visit, answer, extras)
  return showFiltered(parts, visit, scoped, [answer, ...(names?.ok === true ? [names.value] : [])], extras)
}

async function showWhole(parts: GatewayParts, visit: Visit, answer: UpstreamAnswer, extras: Extras): Promise<void> {
  const outcome = await writeAnswer(visit, answer, extras)
  if (outcome !== null) return parts.audit.note(outcome)
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
  scoped: ScopedRequest,
  answers: readonly UpstreamAnswer[],
  extras: Extras,
): Promise<void> {
  const [answer] = answers
  const { decision } = visit
  if (answer === undefined || decision === null) return undefined
  // Without the names, everything would be taken out, and an empty answer be read as "there is nothing".
  const failed = answers.find(({ status }) => status >= 300)
  if (failed !== undefined) {
    failed.abort()
    return failUpstream(parts, visit, { is: 'unexpected', detail: `status ${failed.status} to the question for names` })
  }
  const bodies: string[] = []
  for (const one of answers) {
    const body = await collect(one, maxFiltered)
    if (body === null) {
      const detail = `an answer to be filtered broke off or is larger than ${maxFiltered} bytes`
      return failUpstream(parts, visit, { is: 'unexpected', detail })
    }
    bodies.push(body.toString('utf8'))
  }
  const filtered = filterAnswer(scoped, bodies, decision.scope)
  if (!filtered.ok && filtered.error.is === 'page') {
    const refusal = { param: 'group_next_token', message: filtered.error.message }
    return parts.audit.note(writeError(visit, refusalToWire({ is: 'bad_parameter', refusal }, contextOf(parts, visit))))
  }
  if (!filtered.ok) return failUpstream(parts, visit, { is: 'unexpected', detail: filtered.error.message })
  return parts.audit.note(await writeWhole(visit, 200, filtered.value, extras))
}

/** The whole body; null where it broke off or is too large. */
async function collect(answer: UpstreamAnswer, most: number): Promise<Buffer | null> {
  const chunks: Buffer[] = []
  let size = 0
  try {
    for await (const chunk of answer.body) {
      const bytes = Buffer.from(chunk)
      size += bytes.length
      if (size > most) {
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
