import type { LoginFailureCode } from '../identity/login-failure.ts'
import type { PageParts, PageRequest, TextAnswer } from './answer.ts'
import { html } from './html.ts'
import { loginPath, paths } from './paths.ts'
import { show } from './reply.ts'
import type { ReplyOptions } from './reply.ts'

/** What went wrong, and what a person can do about it. */
interface Problem {
  readonly status: number
  readonly title: string
  readonly remedy: string
}

const again = 'Sign in again.'
const operator = 'Tell the operator of this gateway, with the request id below: its log says more.'

/** A sentence for each way in which a login fails. Nothing that a provider or a request said is in any of them. */
const loginProblems: Readonly<Record<LoginFailureCode, Problem>> = {
  provider_unavailable: {
    status: 503,
    title: 'The identity provider cannot be reached',
    remedy: 'Try again in a moment. Requests with a token go on working meanwhile.',
  },
  denied: {
    status: 403,
    title: 'The identity provider said no',
    remedy: `Either the sign-in was cancelled, or you have no access to this application there. ${again}`,
  },
  misconfigured: {
    status: 502,
    title: 'The identity provider does not accept this gateway',
    remedy: `Client id, secret, redirect URI or scopes do not fit what the provider knows. ${operator}`,
  },
  stale_code: { status: 400, title: 'This sign-in was used already, or took too long', remedy: again },
  no_login: {
    status: 400,
    title: 'This browser has no sign-in under way',
    remedy: `Perhaps it was finished in another tab or another browser, or this browser blocks cookies: allow them for this site. ${again}`,
  },
  expired: { status: 400, title: 'This sign-in took longer than ten minutes', remedy: again },
  replayed: { status: 400, title: 'This sign-in was finished already', remedy: `Go to the first page, or: ${again}` },
  wrong_nonce: { status: 403, title: 'The answer belongs to another sign-in', remedy: again },
  wrong_issuer: {
    status: 403,
    title: 'The answer comes from another identity provider',
    remedy: `${again} If it happens once more: ${operator}`,
  },
  clock: {
    status: 502,
    title: 'The clocks of the gateway and the identity provider differ too much',
    remedy: `The operator must set the clock of one of them right. ${operator}`,
  },
  rejected: {
    status: 502,
    title: "The identity provider's answer cannot be trusted",
    remedy: `Its ID token is not as it must be: signature, algorithm or audience. ${operator}`,
  },
  claims: {
    status: 403,
    title: 'The identity provider does not say who you are',
    remedy: `Your name or groups are missing or in a form that cannot be read; too many groups are a usual cause. ${operator}`,
  },
  too_large: {
    status: 403,
    title: 'Your sign-in is too large for a browser',
    remedy: `You are in too many groups for cookies. The operator can have the provider send fewer. ${operator}`,
  },
  too_short: {
    status: 502,
    title: 'The identity provider vouches for a few seconds only',
    remedy: `It must let its access tokens live longer, or give refresh tokens. ${operator}`,
  },
}

const others = {
  audit_unavailable: {
    status: 503,
    title: 'No record can be kept',
    remedy: 'Nothing is shown, and nobody is signed in, while no audit record can be kept. Tell the operator.',
  },
  session_unavailable: {
    status: 503,
    title: 'Your session cannot be confirmed',
    remedy: 'The identity provider must vouch for it anew, and cannot be reached. Try again in a moment.',
  },
  duplicate_cookie: {
    status: 400,
    title: 'Your session came twice',
    remedy: `Something else put a cookie of ours into this browser. Delete the cookies of this site. ${again}`,
  },
  foreign_form: {
    status: 403,
    title: 'This did not come from a page of this gateway',
    remedy: 'Nothing was done. Go to the page and press the button there.',
  },
  too_many_logouts: {
    status: 503,
    title: 'You could not be signed out',
    remedy: 'The gateway has too many sessions to keep in mind. Try again later, and close the browser meanwhile.',
  },
} satisfies Readonly<Record<string, Problem>>

/** A login that failed, as a page. */
export const loginProblem = (
  parts: PageParts,
  request: PageRequest,
  code: LoginFailureCode,
  options: ReplyOptions = {},
): TextAnswer => problemPage(parts, request, loginProblems[code], options)

/** Another thing that went wrong, as a page. */
export const problem = (
  parts: PageParts,
  request: PageRequest,
  name: keyof typeof others,
  options: ReplyOptions = {},
): TextAnswer => problemPage(parts, request, others[name], options)

function problemPage(
  parts: PageParts,
  request: PageRequest,
  { status, title, remedy }: Problem,
  options: ReplyOptions,
) {
  const body = html`<p role="alert">${remedy}</p>
    <p><a class="button" href="${loginPath(paths.home)}">Sign in again</a></p>`
  return show(parts, request, { title, name: null, body }, { ...options, status })
}
