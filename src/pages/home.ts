import { isNavigation, isOwn } from '../identity/fetch-metadata.ts'
import { identityOf } from '../identity/session.ts'
import type { Session } from '../identity/session.ts'
import { identifiedBy } from '../identity/sources/session.ts'
import type { Basis, Decision } from '../policy/policy.ts'
import { actions } from '../policy/rules.ts'
import { describeScope } from '../policy/scope.ts'
import { refuse } from './answer.ts'
import type { PageAnswer, PageParts, PageRequest } from './answer.ts'
import { html } from './html.ts'
import type { Html } from './html.ts'
import { moment } from './layout.ts'
import { loginPath, paths } from './paths.ts'
import { problem } from './problems.ts'
import { redirect, show } from './reply.ts'

/** Who am I, what may I see, and why. */
export async function home(parts: PageParts, request: PageRequest): Promise<PageAnswer> {
  const { credentials, method } = request
  const state = await parts.sessions.read(credentials)
  const navigation = isNavigation(credentials, method)
  if (state.is === 'live' && (navigation || isOwn(credentials))) return showAccess(parts, request, state)
  if (!navigation) {
    const identified = identifiedBy(state, parts.sessions, credentials, parts.origin + paths.login)
    return refuse(
      identified.is === 'refused' ? { is: 'bad_credentials', refusal: identified.refusal } : { is: 'no_credentials' },
    )
  }
  switch (state.is) {
    case 'unavailable':
      return problem(parts, request, 'session_unavailable', { record: { is: 'refusal', reason: 'issuer_unavailable' } })
    case 'duplicate':
      return problem(parts, request, 'duplicate_cookie', { record: { is: 'refusal', reason: 'bad_credentials' } })
    case 'absent':
    case 'ended':
    case 'live': {
      const reason = state.is === 'ended' ? 'bad_credentials' : 'no_credentials'
      return redirect(parts, parts.origin + loginPath(paths.home), { record: { is: 'refusal', reason } })
    }
  }
}

/** What a cluster grants, actions of the same scope for the same reasons together. */
interface Row {
  readonly actions: readonly string[]
  readonly decision: Decision
}

function showAccess(
  parts: PageParts,
  request: PageRequest,
  { session, cookies }: { readonly session: Session; readonly cookies: readonly string[] },
): PageAnswer {
  const identity = identityOf(session, parts.sessions.limits)
  const policy = parts.policy()
  const clusters = parts.clusters.map((name) => {
    const decisions = actions.map((action) => [action, policy.decide(identity, name, action)] as const)
    return { name, rows: together(decisions) }
  })
  const decisions = clusters.flatMap(({ rows }) => rows.map((row) => row.decision))
  const decision: Basis = {
    scope: { kind: 'nothing' },
    because: [...new Set(decisions.flatMap(({ because }) => because))],
    reasons: [...new Set(decisions.flatMap(({ reasons }) => reasons))],
    policy: policy.digest,
  }
  const mine = clusters.find(({ rows }) => rows.some((row) => row.actions.includes('query') && isGranted(row)))
  const body = html`${whoAmI(parts, session)}
    <h2>What you may see</h2>
    ${clusters.map(clusterTable)}
    <p class="quiet">
      Policy <code>${policy.digest}</code>, ${policy.rules} rules. A rule is named by its file and line.
    </p>
    <h2>Ask from the command line</h2>
    ${recipe(parts, mine?.name ?? parts.clusters[0] ?? '')}`
  const record = { is: 'look', identity, decision } as const
  return show(parts, request, { title: 'My access', name: session.name, body }, { cookies, record })
}

const isGranted = ({ decision }: Row): boolean => decision.scope.kind !== 'nothing'

function together(decisions: readonly (readonly [action: string, decision: Decision])[]): readonly Row[] {
  const rows = new Map<string, { actions: string[]; decision: Decision }>()
  for (const [action, decision] of decisions) {
    const key = JSON.stringify([describeScope(decision.scope), decision.because])
    const row = rows.get(key)
    if (row === undefined) rows.set(key, { actions: [action], decision })
    else row.actions.push(action)
  }
  return [...rows.values()]
}

function whyOf({ because, reasons }: Decision): string {
  if (because.length === 0) return 'no rule names you or your groups'
  return because.join(', ') + (reasons.length === 0 ? '' : ` (for a time: ${reasons.join('; ')})`)
}

const clusterTable = ({ name, rows }: { readonly name: string; readonly rows: readonly Row[] }): Html =>
  html` <div class="scroll" tabindex="0" role="region" aria-label="Cluster ${name}">
    <table>
      <caption>
        Cluster ${name}
      </caption>
      <thead>
        <tr>
          <th scope="col">Action</th>
          <th scope="col">Series</th>
          <th scope="col">Because of</th>
        </tr>
      </thead>
      <tbody>
        ${rows.map(
          (row) =>
            html` <tr>
              <th scope="row">${row.actions.join(', ')}</th>
              <td>${describeScope(row.decision.scope)}</td>
              <td>${whyOf(row.decision)}</td>
            </tr>`,
        )}
      </tbody>
    </table>
  </div>`

function whoAmI({ sessions }: PageParts, session: Session): Html {
  const { begun, lastSeen, vouchedUntil, refreshToken, groups } = session
  const { idle, absolute } = sessions.limits
  const renewal = refreshToken === null ? 'then you are sent to sign in again' : 'then asked again, without you'
  return html`<h2>Who you are</h2>
    <dl>
      <dt>Name</dt>
      <dd>${session.name}</dd>
      <dt>Subject</dt>
      <dd><code>${session.subject}</code></dd>
      <dt>Provider</dt>
      <dd><code>${session.issuer}</code></dd>
      <dt>Groups</dt>
      <dd>${groups.length === 0 ? 'none: rules for groups do not reach you' : groups.join(', ')}</dd>
      <dt>Signed in</dt>
      <dd>${moment(begun)}</dd>
      <dt>Session ends</dt>
      <dd>${moment(begun + absolute)} at the latest, ${moment(lastSeen + idle)} if you do nothing</dd>
      <dt>Provider vouches until</dt>
      <dd>${moment(vouchedUntil)}, ${renewal}</dd>
    </dl>`
}

/** A line that holds no token: whoever looks over a shoulder learns nothing. */
function recipe({ origin, cli }: PageParts, cluster: string): Html {
  const token = cli ? '$(bailiwick token)' : '$TOKEN'
  const line = `curl -H "Authorization: Bearer ${token}" '${origin}/clusters/${cluster}/api/v1/query?query=up'`
  return html`<p>
      ${
        cli
          ? html`After <code>bailiwick login --gateway ${origin}</code>:`
          : 'With an access token of your provider for this gateway in the variable TOKEN:'
      }
    </p>
    <pre tabindex="0" aria-label="A line to copy"><code>${line}</code></pre>
    <p class="quiet">
      One click selects the line. For Grafana, the datasource URL is <code>${origin}/clusters/${cluster}</code>.
    </p>`
}
