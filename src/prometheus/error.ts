/**
 * Reads an error as Prometheus words one, and prints it anew from its two sentences: nothing else that came with it is
 * passed on. Null where it is none.
 */
export function readError(text: string | null): string | null {
  let body: unknown
  try {
    body = JSON.parse(text ?? '')
  } catch {
    return null
  }
  if (typeof body !== 'object' || body === null || !('status' in body) || body.status !== 'error') return null
  const { errorType, error } = Object(body)
  if (typeof errorType !== 'string' || typeof error !== 'string') return null
  return JSON.stringify({ status: 'error', errorType, error })
}
