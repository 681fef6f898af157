import { nothing } from './answer.ts'
import type { Answer, PageParts, PageRecord, PageRequest } from './answer.ts'
import { layout } from './layout.ts'
import type { Page } from './layout.ts'

/** What a reply may say beside the usual. */
export interface ReplyOptions {
  readonly status?: number
  readonly cookies?: readonly string[]
  readonly record?: PageRecord
  /** Another origin to which a form's answer may lead. */
  readonly formTarget?: string | null
}

/**
 * Headers of every page: nothing but our own stylesheet is loaded, no script runs, nobody may frame a page, and no
 * address of ours is told to others.
 */
function headersOf({ origin }: PageParts, formTarget: string | null): Readonly<Record<string, string>> {
  const policy = [
    "default-src 'none'",
    "style-src 'self'",
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
  page: Omit<Page, 'request'>,
  { status = 200, cookies = [], record = nothing, formTarget = null }: ReplyOptions = {},
): Answer {
  const headers = { ...headersOf(parts, formTarget), 'content-type': 'text/html; charset=utf-8' }
  return { is: 'answer', status, headers, cookies, body: layout({ ...page, request: id }), record }
}

/** A redirect, to an absolute URL: a path alone can be read as another host. */
export function redirect(parts: PageParts, url: string, { cookies = [], record = nothing }: ReplyOptions = {}): Answer {
  const headers = { ...headersOf(parts, null), location: url }
  return { is: 'answer', status: 303, headers, cookies, body: '', record }
}

/** An answer for a program. */
export function plain(
  parts: PageParts,
  { status = 200, record = nothing }: ReplyOptions,
  { type, body }: { readonly type: string; readonly body: string },
): Answer {
  const headers = { ...headersOf(parts, null), 'content-type': type }
  return { is: 'answer', status, headers, cookies: [], body, record }
}
