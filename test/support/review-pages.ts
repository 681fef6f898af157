import { randomUUID } from 'node:crypto'
import { readFileSync } from 'node:fs'
import type { AuditEntry } from '../../src/audit/record.ts'
import type { CheckKey } from '../../src/audit/keys.ts'
import type { Session } from '../../src/identity/session.ts'
import type { SessionState } from '../../src/identity/sessions.ts'
import { openSealer } from '../../src/identity/seal.ts'
import type { Answer, PageAnswer, PageParts, PageRequest } from '../../src/pages/answer.ts'
import { createPages } from '../../src/pages/pages.ts'
import { loadPolicy } from '../../src/policy/policy.ts'
import type { FoundRecord } from '../../src/review/review.ts'
import { fail, ok } from '../../src/result.ts'
import { createLog } from '../../src/telemetry/log.ts'
import { fakeReview } from './fake-review.ts'
import type { FakeReview } from './fake-review.ts'
import { navigation } from './visitor.ts'

/** The moment at which these pages are asked. */
export const now = Date.parse('2026-11-20T12:00:00.000Z')

/** The pages about the record alone: with a session that is given, and a review over records in memory. */
export interface ReviewPages {
  readonly review: FakeReview
  readonly records: FoundRecord[]
  /** What was put on stable storage by the pages themselves. */
  readonly appended: AuditEntry[]
  readonly parts: PageParts
  /** Puts a record into the log. */
  add(line: Readonly<Record<string, unknown>>): void
  /** As the gateway does with a record that goes with an answer. */
  get(path: string, headers?: Readonly<Record<string, string>>): Promise<PageAnswer>
  post(
    path: string,
    form: Readonly<Record<string, string>>,
    headers?: Readonly<Record<string, string>>,
  ): Promise<PageAnswer>
  /** The code that a form of ours carries. */
  readonly code: string
}

interface Options {
  /** Lines of the policy. */
  readonly rules?: string
  readonly clusters?: readonly string[]
  readonly state?: SessionState
  readonly session?: Partial<Session>
  readonly without?: boolean
  readonly bestEffort?: boolean
  readonly dir?: string
  readonly keys?: readonly CheckKey[]
  /** Does the pages' own record fail? */
  readonly recordFails?: () => boolean
}

export const allRules = 'p, group:auditors, *, audit:read|audit:export, *, allow\n'

const model = readFileSync(new URL('../../policies/model.conf', import.meta.url), 'utf8')

export const sessionOf = (others: Partial<Session> = {}): Session => ({
  id: 'session-1',
  issuer: 'https://id.test',
  subject: 'dana',
  name: 'Dana Diaz',
  groups: ['auditors'],
  sid: null,
  issuedAt: 1,
  begun: now - 60_000,
  lastSeen: now,
  vouchedAt: now - 60_000,
  vouchedUntil: now + 600_000,
  refreshToken: null,
  idToken: null,
  ...others,
})

export async function reviewPages(options: Options = {}): Promise<ReviewPages> {
  const { rules = allRules, clusters = ['east', 'west'], without = false, dir = '/nonexistent', keys = [] } = options
  const policy = await loadPolicy({ name: 'model.conf', text: model }, [{ name: 'policy.csv', text: rules }])
  if (!policy.ok) throw new Error(policy.error.join('\n'))
  const records: FoundRecord[] = []
  const appended: AuditEntry[] = []
  const review = fakeReview(async () => records)
  const session = sessionOf(options.session)
  const state: SessionState = options.state ?? { is: 'live', session, cookies: [] }
  const sealer = openSealer([new Uint8Array(32).fill(7)], () => now)
  const sessions = { limits: { idle: 3_600_000, absolute: 43_200_000 }, read: async () => state, drop: () => [] }
  const append = async (entry: AuditEntry) => {
    if (options.recordFails?.() === true) return fail('no')
    appended.push(entry)
    return ok(null)
  }
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- what the pages about the record ask for
  const parts = {
    origin: 'https://gateway.test',
    sessions,
    sealer,
    clusters,
    cli: false,
    bestEffort: options.bestEffort ?? false,
    review: without ? null : { review, dir, keys, append },
    policy: () => policy.value,
    log: createLog({ level: 'error' }),
    clock: () => now,
  } as unknown as PageParts
  const pages = createPages(parts)
  const add = (line: Readonly<Record<string, unknown>>): void => {
    const seq = records.length
    const head = { v: 1, seq, ts: new Date(now - 3_600_000 + seq * 1_000).toISOString(), log: 'log-1', boot: 'boot-1' }
    records.push({ log: 'log-1', seq, segment: 'audit-1', line: JSON.stringify({ ...head, ...line }) })
  }
  const ask = async (path: string, method: string, headers: Readonly<Record<string, string>>, body: string) => {
    const [place = '', query = ''] = path.split('?')
    const request: PageRequest = {
      id: randomUUID(),
      received: new Date(now),
      method,
      path: place,
      query,
      credentials: { localAddress: '', header: (name) => (headers[name] === undefined ? [] : [headers[name]]) },
      from: { peer: '127.0.0.1' },
      gone: new AbortController().signal,
      form: async () => ok(new URLSearchParams(body)),
    }
    const answer = await pages.answer(request)
    // What the gateway does with it.
    if (answer.is === 'answer' && answer.record.is === 'event') add({ ...answer.record.entry })
    return answer
  }
  return {
    review,
    records,
    appended,
    parts,
    add,
    code: sealer.code(session.id),
    get: (path, headers = {}) => ask(path, 'GET', { ...navigation('same-origin'), ...headers }, ''),
    post: (path, form, headers = {}) =>
      ask(
        path,
        'POST',
        { ...navigation('same-origin'), origin: 'null', ...headers },
        new URLSearchParams(form).toString(),
      ),
  }
}

/** The text of a page; a test that gets something else fails. */
export function textOf(answer: PageAnswer, status = 200): string {
  const page = pageOf(answer)
  if (page.status !== status) throw new Error(`${page.status} instead of ${status}: ${bodyOf(page)}`)
  return bodyOf(page)
}

/** The text of a body that is one. */
export const bodyOf = ({ body }: Answer): string => (typeof body === 'string' ? body : '')

export function pageOf(answer: PageAnswer): Answer {
  if (answer.is !== 'answer') throw new Error(`refused: ${JSON.stringify(answer.refusal)}`)
  return answer
}

/** A decision as the gateway records it. */
export const decision = (others: Readonly<Record<string, unknown>> = {}) => ({
  kind: 'decision',
  request: randomUUID(),
  received: '2026-11-20T11:00:00.000Z',
  who: { issuer: 'https://id.test', subject: 'alice', name: 'Alice Arden', groups: ['team-emojivoto'], via: 'bearer' },
  from: { peer: '10.0.0.7', userAgent: 'Grafana/13.0.1' },
  claimed: { 'x-dashboard-uid': 'abc', 'x-dashboard-title': 'Linkerd / Deployment' },
  cluster: 'east',
  method: 'POST',
  endpoint: 'query_range',
  path: '/api/v1/query_range',
  asked: [
    ['query', 'sum(rate(request_total[1m])) by (deployment)'],
    ['start', '1763600000'],
    ['step', '15'],
  ],
  sent: [
    {
      path: '/api/v1/query_range',
      params: [
        ['query', 'sum(rate(request_total{namespace="emojivoto"}[1m])) by (deployment)'],
        ['start', '1763600000'],
        ['step', '15'],
        ['timeout', '30s'],
      ],
    },
  ],
  selectors: [{ metric: 'request_total', matchers: [] }],
  decision: 'allow',
  because: ['policy.csv:12'],
  scope: 'namespace: emojivoto',
  policy: 'sha256:0123456789abcdef',
  ...others,
})

/** Its outcome. */
export const outcome = (request: unknown, others: Readonly<Record<string, unknown>> = {}) => ({
  kind: 'outcome',
  request,
  status: 200,
  ms: 31,
  bytes: 12_345,
  ended: 'complete',
  servedFrom: 'upstream',
  series: 4,
  ...others,
})
