/** What a person's browser does with the link of a device login: opens it, says that the code is right, logs in. */
export async function approveDevice(link: string, person: string | null): Promise<void> {
  const visit = browser()
  let page = await visit(new URL(link))
  // The link with the code in it opens a form that would send itself.
  if (!page.text.includes('op.deviceConfirmForm')) page = await visit(page.url, formOf(page.text))
  const confirmed = formOf(page.text)
  if (person === null) {
    confirmed.set('abort', 'yes')
    await visit(page.url, confirmed)
    return
  }
  page = await visit(page.url, confirmed)
  page = await visit(page.url, new URLSearchParams({ as: person }))
  if (!page.text.includes('Logged in')) throw new Error(`the login ended at ${page.url.href}: ${page.text}`)
}

interface Page {
  readonly url: URL
  readonly text: string
}

/** The hidden fields of a page's form. */
function formOf(text: string): URLSearchParams {
  const fields = new URLSearchParams()
  for (const [input] of text.matchAll(/<input [^>]*>/g)) {
    const name = /name="([^"]*)"/.exec(input)?.[1]
    if (name !== undefined) fields.set(name, /value="([^"]*)"/.exec(input)?.[1] ?? '')
  }
  return fields
}

/** Follows redirects and keeps cookies, of which one login has too few to need their paths. */
function browser(): (url: URL, form?: URLSearchParams) => Promise<Page> {
  const cookies = new Map<string, string>()
  const visit = async (url: URL, form?: URLSearchParams): Promise<Page> => {
    const cookie = [...cookies].map(([name, value]) => `${name}=${value}`).join('; ')
    const post = form === undefined ? {} : { method: 'POST', body: form }
    const answer = await fetch(url, { ...post, headers: { cookie }, redirect: 'manual' })
    for (const line of answer.headers.getSetCookie()) {
      const [, name = '', value = ''] = /^([^=]+)=([^;]*)/.exec(line) ?? []
      if (value === '') cookies.delete(name)
      else cookies.set(name, value)
    }
    const location = answer.headers.get('location')
    return location === null ? { url, text: await answer.text() } : visit(new URL(location, url))
  }
  return visit
}
