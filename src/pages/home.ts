import { isNavigation, isOwn } from '../identity/fetch-metadata.ts'
import { identityOf } from '../identity/session.ts'
import type { Session } from '../identity/session.ts'
import { identifiedBy } from '../identity/sources/session.ts'
import { accessOf, isGranted } from '../policy/access.ts'
import { clusterTable, limitTable } from './access.ts'
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

function showAccess(
  parts: PageParts,
  request: PageRequest,
  { session, cookies }: { readonly session: Session; readonly cookies: readonly string[] },
): PageAnswer {
  const identity = identityOf(session, parts.sessions.limits)
  const policy = parts.policy()
  const access = accessOf(policy, identity, parts.clusters, parts.clock())
  const { clusters } = access
  const queried = clusters.find(({ rights }) =>
    rights.some((right) => right.actions.includes('query') && isGranted(right)),
  )
  const shown = queried ?? clusters[0]
  const body = html`${whoAmI(parts, session)}
    <h2>What you may see</h2>
    ${shown === undefined ? html`<p>Nothing: no rule of the policy gives you or your groups anything. Ask for one.</p>` : clusters.map(clusterTable)}
    <h2>How much you may ask for</h2>
    ${limitTable(access.limits)}
    <p class="quiet">
      Policy <code>${policy.digest}</code>, ${policy.rules} rules. A rule is named by its file and line. For programs:
      <a href="/api/bailiwick/v1/access">the same as JSON</a>.
    </p>
    ${shown === undefined ? null : recipe(parts, shown.name)}`
  const record = { is: 'look', identity, decision: access.basis } as const
  return show(parts, request, { title: 'My access', name: session.name, body }, { cookies, record })
}

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
  return html`<h2>Ask from the command line</h2>
    <p>
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
