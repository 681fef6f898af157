import { nothing } from './answer.ts'
import type { Answer, FileBody, PageParts, PageRecord, PageRequest, TextAnswer } from './answer.ts'
import { layout } from './layout.ts'
import type { Page } from './layout.ts'

/** What a reply may say beside the usual. */
export interface ReplyOptions {
  readonly status?: number
  readonly cookies?: readonly string[]
  readonly record?: PageRecord
  /** Another origin to which a form's answer may lead. */
  readonly formTarget?: string | null
  /** May a script of our own run, and ask for pages? */
  readonly script?: boolean
}

/**
 * Headers of every page: nothing but our own stylesheet is loaded, no script runs where a page does not ask for our own,
 * nobody may frame a page, and no address of ours is told to others.
 */
function headersOf(
  { origin }: PageParts,
  { formTarget = null, script = false }: ReplyOptions,
): Readonly<Record<string, string>> {
  const policy = [
    "default-src 'none'",
    "style-src 'self'",
    ...(script ? ["script-src 'self'", "connect-src 'self'"] : []),
    // Chromium holds the redirect that answers a form to this as well.
    `form-action 'self'${formTarget === null ? '' : ` ${formTarget}`}`,
    "frame-ancestors 'none'",
    "base-uri 'none'",
  ]
  return {
    'content-security-policy': policy.join('; '),
    'cache-control': 'no-store',
    'cross-origin-opener-policy': 'same-origin',
    'cross-origin-resource-policy': 'same-origin',
    'referrer-policy': 'no-referrer',
    'x-content-type-options': 'nosniff',
    'x-frame-options': 'DENY',
    ...(origin.startsWith('https:') ? { 'strict-transport-security': 'max-age=31536000' } : {}),
  }
}

/** A page. */
export function show(
  parts: PageParts,
  { id }: PageRequest,
  page: Omit<Page, 'request' | 'script' | 'bestEffort'>,
  options: ReplyOptions = {},
): TextAnswer {
  const { status = 200, cookies = [], record = nothing, script = false } = options
  const headers = { ...headersOf(parts, options), 'content-type': 'text/html; charset=utf-8' }
  return {
    is: 'answer',
    status,
    headers,
    cookies,
    body: layout({ ...page, request: id, script, bestEffort: parts.bestEffort }),
    record,
  }
}

/** A redirect, to an absolute URL: a path alone can be read as another host. */
export function redirect(
  parts: PageParts,
  url: string,
  { cookies = [], record = nothing }: ReplyOptions = {},
): TextAnswer {
  const headers = { ...headersOf(parts, {}), location: url }
  return { is: 'answer', status: 303, headers, cookies, body: '', record }
}

/** A file to take home. Its name is ours. */
export function download(
  parts: PageParts,
  { cookies = [], record = nothing }: ReplyOptions,
  { type, name, body }: { readonly type: string; readonly name: string; readonly body: string | FileBody },
): Answer {
  const headers = {
    ...headersOf(parts, {}),
    'content-type': type,
    'content-disposition': `attachment; filename="${name}"`,
  }
  return { is: 'answer', status: 200, headers, cookies, body, record }
}

/** An answer for a program. */
export function plain(
  parts: PageParts,
  { status = 200, record = nothing }: ReplyOptions,
  { type, body }: { readonly type: string; readonly body: string },
): TextAnswer {
  const headers = { ...headersOf(parts, {}), 'content-type': type }
  return { is: 'answer', status, headers, cookies: [], body, record }
}
