import type { Identity } from '../identity/identity.ts'
import { identityOf } from '../identity/session.ts'
import type { Session } from '../identity/session.ts'
import { accessOf, isGranted } from '../policy/access.ts'
import { clusterTable, limitTable } from './access.ts'
import type { PageAnswer, PageParts, PageRequest } from './answer.ts'
import { html } from './html.ts'
import type { Html } from './html.ts'
import { moment } from './layout.ts'
import { paths } from './paths.ts'
import { show } from './reply.ts'
import { isAny, rightTo } from './review/right.ts'
import { visitorOf } from './visitor.ts'
import type { Visitor } from './visitor.ts'

/** Who am I, what may I see, and why. */
export async function home(parts: PageParts, request: PageRequest): Promise<PageAnswer> {
  const visitor = await visitorOf(parts, request, paths.home)
  return visitor.ok ? showAccess(parts, request, visitor.value) : visitor.error
}

function showAccess(parts: PageParts, request: PageRequest, { session, cookies }: Visitor): PageAnswer {
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
  const links = mayReview(parts, identity) ? [{ to: paths.review, text: 'Review the record' }] : []
  return show(parts, request, { title: 'My access', name: session.name, body, links }, { cookies, record })
}

const mayReview = ({ review, policy, clusters }: PageParts, identity: Identity): boolean =>
  review !== null && isAny(rightTo(policy(), identity, clusters, 'audit:read').within)

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
