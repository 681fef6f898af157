// The pages in a real Chromium, before the real provider: what only a browser decides (cookies, CSP, Fetch Metadata).
import assert from 'node:assert/strict'
import { after, afterEach, before, beforeEach, describe, it } from 'node:test'
import { fileURLToPath } from 'node:url'
import type { Browser, BrowserContext, Page } from 'playwright-core'
import { findChromium, noChromium, startChromium } from '../support/chromium.ts'
import { startLoginWorld } from '../support/login-world.ts'
import type { LoginWorld } from '../support/login-world.ts'

const program = await findChromium()

describe('in Chromium', { skip: program === null && noChromium }, () => {
  let world: LoginWorld
  let browser: Browser
  let context: BrowserContext
  let page: Page
  /** What the browser itself complained of: blocked by CSP, a cookie refused, a script error. */
  let complaints: string[]
  before(async () => {
    world = await startLoginWorld({ loginLifetime: 600 })
    browser = await startChromium(program ?? '')
  })
  after(async () => {
    await browser.close()
    await world.stop()
  })
  beforeEach(async () => {
    world.setClock(0)
    complaints = []
    context = await browser.newContext()
    page = await context.newPage()
    page.on('console', (message) => {
      if (!message.location().url.startsWith(world.idp.issuer)) complaints.push(message.text())
    })
    page.on('pageerror', (error) => void complaints.push(error.message))
  })
  afterEach(() => context.close())

  async function logIn(person = 'Alice Arden'): Promise<void> {
    await page.goto(world.url)
    await page.getByRole('button', { name: person }).click()
    await page.getByRole('heading', { name: 'My access' }).waitFor()
  }

  it('somebody logs in, and sees who they are, what they may see and why', async () => {
    await logIn()
    assert.equal(page.url(), `${world.url}/bailiwick/`)
    const text = await page.getByRole('main').innerText()
    assert.match(text, /alice@example\.com/)
    assert.match(text, /team-emojivoto/)
    assert.match(text, /namespace: emojivoto\s+policy\.csv:\d+/)
    assert.match(
      text,
      /curl -H "Authorization: Bearer \$TOKEN" 'http:\/\/127\.0\.0\.1:\d+\/clusters\/east\/api\/v1\/query\?query=up'/,
    )
    assert.equal(await page.getByRole('table').count(), 3)
    assert.deepEqual(complaints, [])
  })
  it('what the page says is what the API says', async () => {
    await logIn()
    const text = await page.getByRole('main').innerText()
    const [answer] = await Promise.all([
      page.waitForResponse((answer) => answer.url().endsWith('/api/bailiwick/v1/access')),
      page.getByRole('link', { name: 'the same as JSON' }).click(),
    ])
    assert.equal(answer.status(), 200)
    const { data } = JSON.parse(await answer.text())
    assert.equal(data.identity.via, 'session')
    assert.ok(text.includes(data.policy))
    for (const { name, actions } of data.clusters) {
      const table = new RegExp(`Cluster ${name}\\n[^]*?(?=Cluster|How much)`).exec(text)?.[0] ?? ''
      for (const { actions: some, scope, because } of actions) {
        assert.ok(table.includes(some.join(', ')), table)
        assert.ok(table.includes(scope.text), table)
        for (const rule of because) assert.ok(table.includes(rule), table)
      }
    }
    for (const [name, limit] of Object.entries<{ text: string }>(data.limits)) {
      assert.match(text, new RegExp(`${name}: [^\\n]*\\s${limit.text}\\s`))
    }
  })
  it('the matchers of a view of calls are a click away', async () => {
    const rules = fileURLToPath(new URL('../support/both-views.csv', import.meta.url))
    await world.restart((config) => ({ ...config, policy: { ...config.policy, rules: [rules] } }))
    try {
      await logIn()
      const table = page.getByRole('table', { name: 'Cluster east' })
      assert.match(await table.innerText(), /Own samples of emojivoto\s+What others report about calling emojivoto/)
      assert.doesNotMatch(await table.innerText(), /dst_namespace/)
      await table.getByText('As matchers').click()
      assert.match(await table.innerText(), /namespace: emojivoto; or dst_namespace: emojivoto; /)
      assert.match(await table.innerText(), /both-views\.csv:1, until 2126-11-20 18:00:00 UTC\s+For a time: a century/)
      assert.deepEqual(complaints, [])
    } finally {
      await world.restart()
    }
  })
  it('the browser takes the cookies, keeps them from scripts, and knows no more of them after the login', async () => {
    await logIn()
    const cookies = (await context.cookies(world.url)).filter(({ name }) => name.startsWith('__Host-bailiwick'))
    assert.deepEqual(
      cookies.map(({ name, secure, httpOnly, sameSite, path }) => ({ name, secure, httpOnly, sameSite, path })),
      [{ name: '__Host-bailiwick-session.0', secure: true, httpOnly: true, sameSite: 'Lax', path: '/' }],
    )
  })
  it('the stylesheet is loaded, in light and in dark', async () => {
    await logIn()
    const ground = (): Promise<unknown> => page.evaluate('getComputedStyle(document.body).backgroundColor')
    await page.emulateMedia({ colorScheme: 'light' })
    const light = await ground()
    await page.emulateMedia({ colorScheme: 'dark' })
    assert.notEqual(await ground(), light)
  })
  it('everything is reached with the keyboard, the content first', async () => {
    await logIn()
    await page.keyboard.press('Tab')
    assert.equal(await page.evaluate('document.activeElement.textContent'), 'Skip to the content')
    await page.keyboard.press('Enter')
    assert.equal(await page.evaluate('document.activeElement.id'), 'content')
  })
  it('a click selects the whole line to copy', async () => {
    await logIn()
    await page.locator('pre code').click()
    assert.match(String(await page.evaluate('getSelection().toString()')), /^curl -H .*query=up'$/)
  })
  it('no script runs in a page, not even one that got in', async () => {
    await logIn()
    await page.evaluate(`{
      const script = document.createElement('script')
      script.textContent = 'window.ran = true'
      document.body.append(script)
    }`)
    assert.equal(await page.evaluate('window.ran'), undefined)
    assert.match(complaints.join(), /Content Security Policy/)
  })

  it('an address of the API that is typed is answered with the session', async () => {
    await logIn()
    const answer = await page.goto(`${world.url}/clusters/east/api/v1/query?query=up`)
    assert.equal(answer?.status(), 200)
    assert.equal(answer.headers()['bailiwick-scope'], 'namespace: emojivoto')
  })
  it('another site cannot use the session: no request, no frame, no form', async () => {
    await logIn()
    // The same host on another port is another origin of the same site: SameSite alone would let it through.
    await page.goto(world.idp.discoveryUrl)
    const ask = `fetch('${world.url}/clusters', { credentials: 'include', mode: 'no-cors' })`
    const [asked] = await Promise.all([
      page.waitForResponse((answer) => answer.url().endsWith('/clusters')),
      page.evaluate(`${ask}.then(() => null)`),
    ])
    assert.equal(asked.status(), 401)
    const [framed] = await Promise.all([
      page.waitForResponse((answer) => answer.url() === `${world.url}/bailiwick/`),
      page.evaluate(`{
        const frame = document.createElement('iframe')
        frame.src = '${world.url}/bailiwick/'
        document.body.append(frame)
      }`),
    ])
    assert.equal(framed.status(), 401)
    await page.evaluate(`{
      const form = document.createElement('form')
      form.method = 'post'
      form.action = '${world.url}/bailiwick/logout'
      document.body.append(form)
      form.submit()
    }`)
    await page.getByRole('heading', { name: 'did not come from a page' }).waitFor()
    await page.goto(`${world.url}/bailiwick/`)
    await page.getByRole('heading', { name: 'My access' }).waitFor()
  })

  it('logging out goes through the provider and back, and the session is over', async () => {
    await logIn()
    await page.getByRole('link', { name: 'Sign out' }).click()
    await page.getByRole('button', { name: 'Sign out' }).click()
    await page.getByRole('button', { name: 'Log out' }).click()
    await page.getByRole('heading', { name: 'Signed out' }).waitFor()
    assert.equal(page.url(), `${world.url}/bailiwick/logged-out`)
    const cookies = (await context.cookies(world.url)).filter(({ name }) => name.startsWith('__Host-bailiwick'))
    assert.deepEqual(cookies, [])
    await page.getByRole('link', { name: 'Sign in' }).click()
    await page.getByRole('heading', { name: 'Who are you?' }).waitFor()
    assert.deepEqual(complaints, [])
  })
  it('a session that must be renewed is, without a word', async () => {
    await logIn()
    const [before] = await context.cookies(world.url)
    world.setClock(601_000)
    await page.reload()
    await page.getByRole('heading', { name: 'My access' }).waitFor()
    const cookie = (await context.cookies(world.url)).find(({ name }) => name.startsWith('__Host-bailiwick'))
    assert.ok(cookie !== undefined && cookie.value !== before?.value)
  })
  it('a session that reached its end leads to a new one while the provider knows the person', async () => {
    await logIn()
    world.setClock(12 * 3_600_000)
    assert.equal((await page.goto(`${world.url}/clusters`))?.status(), 401)
    await page.goto(`${world.url}/bailiwick/`)
    await page.getByRole('heading', { name: 'My access' }).waitFor()
    assert.equal((await world.records('login')).length >= 2, true)
  })

  it('a browser that keeps no cookies is told so, and not sent in circles', async () => {
    await page.goto(world.url)
    await context.clearCookies({ name: /^__Host-bailiwick/ })
    await page.getByRole('button', { name: 'Alice Arden' }).click()
    await page.getByRole('heading', { name: 'no sign-in under way' }).waitFor()
    assert.match(await page.getByRole('alert').innerText(), /blocks cookies/)
  })
})
