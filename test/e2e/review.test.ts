// The pages about the record in a real Chromium: the real provider, gateway, log, checkpoints and index.
import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { readFile, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { after, afterEach, before, beforeEach, describe, it } from 'node:test'
import type { Browser, BrowserContext, Page } from 'playwright-core'
import { readCheckKeys } from '../../src/audit/keys.ts'
import { checkProof } from '../../src/audit/proof.ts'
import { findChromium, noChromium, startChromium } from '../support/chromium.ts'
import { reviewsOf, storyOf } from '../support/review-story.ts'
import { edgar, startReviewWorld } from '../support/review-world.ts'
import type { ReviewWorld } from '../support/review-world.ts'

const program = await findChromium()
/** Screenshots are made anew only where this says so. */
const shots = process.env['BAILIWICK_SCREENSHOTS'] === '1' ? join(import.meta.dirname, '../../docs/images') : null
const size = { width: 1200, height: 900 }

const here = { skip: program === null && noChromium }

let world: ReviewWorld
let browser: Browser
let context: BrowserContext
let page: Page
let complaints: string[]
const sessions = new Map<string, Awaited<ReturnType<BrowserContext['cookies']>>>()
const review = (): string => `${world.url}/bailiwick/review/`

before(async () => {
  if (program === null) return
  world = await startReviewWorld((issuer) => storyOf(Date.now(), issuer))
  browser = await startChromium(program)
})
after(async () => {
  if (program === null) return
  await browser.close()
  await world.stop()
})
beforeEach(async () => {
  if (program !== null) await open({})
})
afterEach(async () => {
  if (program !== null) await context.close()
})

async function open(options: Parameters<Browser['newContext']>[0]): Promise<void> {
  complaints = []
  context = await browser.newContext({ viewport: size, ...options })
  page = await context.newPage()
  page.on('console', (message) => {
    if (!message.location().url.startsWith(world.idp.issuer)) complaints.push(message.text())
  })
  page.on('pageerror', (error) => void complaints.push(error.message))
}
async function reopen(options: Parameters<Browser['newContext']>[0]): Promise<void> {
  await context.close()
  await open(options)
}
/** Logs in at the provider once, and goes on with that session. */
async function logIn(to = review(), person = 'Dana Diaz'): Promise<void> {
  const known = sessions.get(person)
  if (known !== undefined) {
    await context.addCookies(known)
    await page.goto(to)
    return
  }
  await page.goto(to)
  await page.getByRole('button', { name: person }).click()
  await page.waitForURL((url) => url.origin === world.url && url.pathname !== '/bailiwick/callback')
  sessions.set(person, await context.cookies(world.url))
}
const rows = () => page.locator('table.records tbody tr')
const focused = (what: string): Promise<unknown> => page.evaluate(`document.activeElement.${what}`)

for (const javaScriptEnabled of [true, false]) {
  describe(`the record in Chromium ${javaScriptEnabled ? 'with' : 'without'} JavaScript`, here, () => {
    beforeEach(() => reopen({ javaScriptEnabled }))

    it('somebody is sent to the login, comes back, and sees who looked at what', async () => {
      sessions.clear()
      await logIn(`${review()}?person=bob&range=7d`)
      assert.equal(page.url(), `${review()}?person=bob&range=7d`)
      await page.getByRole('heading', { level: 1, name: 'Who looked at what' }).waitFor()
      assert.match(await page.getByRole('main').innerText(), /\d+ records, \d+ refused, by 1 person, last 7 days/)
      assert.ok((await rows().count()) > 20)
      for (const cell of await page.locator('table.records tbody td:nth-of-type(1)').allInnerTexts()) {
        assert.equal(cell.trim(), 'bob@example.com')
      }
      assert.deepEqual(complaints, [])
    })
    it('the form narrows, a chip widens, the quick choices choose a time', async () => {
      await logIn()
      await page.getByLabel('Namespace').fill('booksapp')
      await page.getByLabel('Decision').selectOption('deny')
      await page.getByRole('button', { name: 'Search' }).click()
      await page.waitForURL(/namespace=booksapp/)
      // A decision whose outcome is not on record has a mark of its own for that.
      const marks = await page.locator('table.records .mark:not(.unknown)').allInnerTexts()
      assert.equal(marks.length, await rows().count())
      assert.ok(marks.length > 0 && marks.every((mark) => mark === 'refused'), marks.join())
      await page.getByRole('link', { name: 'Take the filter decision away' }).click()
      await page.waitForURL((url) => !url.search.includes('decision'))
      assert.ok((await page.locator('.mark.allow').count()) > 0)
      await page.getByRole('link', { name: 'Last hour' }).click()
      await page.waitForURL(/range=1h/)
      assert.match(await page.locator('.summary').innerText(), /last hour/)
    })
    it('a bar of the timeline narrows the time to itself', async () => {
      await logIn()
      const bar = page.locator('svg[data-brush] a', { has: page.locator('rect.deny') }).first()
      const label = (await bar.getAttribute('aria-label')) ?? ''
      const [, allowed, refused] = /: (\d+) allowed, (\d+) refused/.exec(label) ?? []
      await bar.click()
      await page.waitForURL(/from=.*to=/)
      const expected = new RegExp(`^${Number(allowed) + Number(refused)} records?, ${refused} refused`)
      assert.match(await page.locator('.summary').innerText(), expected)
    })
    it('the list goes on to older records, and back', async () => {
      await logIn()
      const first = await rows().allInnerTexts()
      assert.equal(first.length, 50)
      await page.getByRole('link', { name: 'Older' }).click()
      await page.waitForURL(/after=/)
      const second = await rows().allInnerTexts()
      assert.notDeepEqual(second, first)
      await page.getByRole('link', { name: 'Newer' }).click()
      await page.waitForURL((url) => !url.search.includes('after='))
      assert.equal(await rows().count(), 50)
    })
    it('a record shows what was asked and sent, what was added, and its proof, which can be taken along', async () => {
      await logIn(`${review()}?person=alice&decision=allow`)
      await rows().getByRole('link').first().click()
      await page.getByRole('heading', { level: 1, name: 'One question' }).waitFor()
      assert.match((await page.locator('ins').allInnerTexts()).join(), /namespace="emojivoto"/)
      const proof = page.getByRole('region', { name: 'Proof' })
      assert.match(
        await proof.innerText(),
        /proven The record leads to a root that was signed\.\s+Checkpoint\s+number \d+/,
      )
      const [file] = await Promise.all([page.waitForEvent('download'), proof.getByRole('link').click()])
      const text = await readFile(await file.path(), 'utf8')
      const checked = checkProof(text, readCheckKeys(world.publicPem))
      assert.ok(checked.ok, checked.ok ? '' : checked.error)
      assert.equal(checked.value.record['request'], new URL(page.url()).searchParams.get('request'))
    })
    it('a search is saved, looked through and signed, which is on record', async () => {
      await logIn(`${review()}?decision=deny&range=24h`)
      const title = `Refusals, ${javaScriptEnabled ? 'on' : 'off'}`
      await page.getByLabel('Title').fill(title)
      await page.getByRole('button', { name: 'Save as a review' }).click()
      await page.getByRole('heading', { level: 1, name: 'Saved reviews' }).waitFor()
      await page.getByRole('link', { name: title }).click()
      await page.getByRole('heading', { level: 1, name: `Review: ${title}` }).waitFor()
      const [, count] = /(\d+) records?, /.exec(await page.getByRole('main').innerText()) ?? []
      await page.getByLabel('Something that I followed up').check()
      await page.getByLabel('Note').fill('Asked Alice: a dashboard of another team.')
      await page.getByRole('button', { name: 'Sign' }).click()
      await page.getByText('Asked Alice: a dashboard of another team.').waitFor()
      const signed = (await world.records('review.signed')).at(-1)
      assert.deepEqual(Object(signed?.['found']).records, Number(count))
      assert.equal(signed?.['verdict'], 'followed up')
      await page.getByRole('link', { name: 'Reviews' }).click()
      await page.waitForURL(/saved$/)
      assert.match(await page.getByRole('row', { name: title }).innerText(), /signed\s.*dana@example\.com/s)
    })
    for (const format of ['NDJSON', 'CSV', 'Parquet']) {
      it(`what a filter shows is taken home as ${format}, and its sum is on record`, async () => {
        await logIn(`${review()}?person=bob`)
        await page.getByRole('button', { name: format }).click()
        const link = page.getByRole('link', { name: 'Download the file' })
        await link.waitFor()
        const [file] = await Promise.all([page.waitForEvent('download'), link.click()])
        const bytes = await readFile(await file.path())
        const exported = (await world.records('audit.exported')).at(-1)
        assert.equal(exported?.['sha256'], createHash('sha256').update(bytes).digest('hex'))
        assert.equal(exported?.['bytes'], bytes.length)
        assert.equal(exported?.['ended'], 'complete')
        assert.match(
          file.suggestedFilename(),
          new RegExp(`^bailiwick-audit-[0-9-]+-[0-9a-f]+\\.${format.toLowerCase()}$`),
        )
      })
    }
    it('a question in SQL is answered, and one that would change something is not', async () => {
      await logIn(`${world.url}/bailiwick/review/sql?example=0`)
      await page.getByRole('button', { name: 'Ask' }).click()
      const answer = page.getByRole('table', { name: 'Answer' })
      assert.match(await answer.innerText(), /name\s+reason\s+times\s+alice@example\.com\s+no_rights\s+\d+/)
      await page.getByLabel('One SELECT').fill("COPY records TO 'x'")
      await page.getByRole('button', { name: 'Ask' }).click()
      await page.getByRole('alert').waitFor()
    })
  })
}

describe('the record in Chromium', here, () => {
  it('each example in SQL is one that works', async () => {
    await logIn()
    for (const example of ['Who was refused most', 'Questions outside office hours', 'Who looked at this record']) {
      await page.goto(`${world.url}/bailiwick/review/sql`)
      await page.getByRole('link', { name: example }).click()
      await page.waitForURL(/example=/)
      await page.getByRole('button', { name: 'Ask' }).click()
      await page.getByRole('table', { name: 'Answer' }).waitFor({ timeout: 10_000 })
    }
  })
  it('every look is on record, and the search does not show it unless it is asked for', async () => {
    await logIn()
    const before = (await world.records('audit.read')).length
    for (const way of ['?namespace=emojivoto', 'person?person=alice', 'saved']) await page.goto(review() + way)
    const reads = (await world.records('audit.read')).slice(before)
    assert.deepEqual(
      reads.map((read) => [read['what'], Object(read['who']).name]),
      ['search', 'person', 'reviews'].map((what) => [what, 'dana@example.com']),
    )
    await page.goto(review())
    assert.equal(await page.locator('table.records').getByText('audit.read').count(), 0)
    await page.goto(`${review()}?kind=audit.read`)
    assert.ok((await page.locator('table.records').getByText('audit.read').count()) >= 3)
  })
  it('dragging over the timeline chooses a time, and a click beside it does not', async () => {
    await logIn()
    const box = await page.locator('svg[data-brush]').boundingBox()
    assert.ok(box !== null)
    await page.mouse.move(box.x + box.width * 0.5, box.y + 30)
    await page.mouse.down()
    await page.mouse.move(box.x + box.width * 0.6, box.y + 40, { steps: 4 })
    assert.equal(await page.locator('.chosen').count(), 1)
    await page.mouse.move(box.x + box.width * 0.75, box.y + 40, { steps: 4 })
    await page.mouse.up()
    await page.waitForURL(/from=/)
    const { searchParams } = new URL(page.url())
    const [from, to] = ['from', 'to'].map((name) => Date.parse(searchParams.get(name) ?? ''))
    const hours = ((to ?? 0) - (from ?? 0)) / 3_600_000
    assert.ok(hours > 5.8 && hours < 6.2, `${hours} hours`)
    assert.deepEqual(complaints, [])
  })
  it('everything is done with the keyboard: skip, filter, choose a time, go down the list, open', async () => {
    await logIn()
    await page.keyboard.press('Tab')
    assert.equal(await focused('textContent'), 'Skip to the content')
    await page.keyboard.press('Enter')
    await page.getByLabel('Person', { exact: true }).focus()
    await page.keyboard.type('alice')
    await page.keyboard.press('Enter')
    await page.waitForURL(/person=alice/)

    await page.locator('svg[data-brush] a').first().focus()
    for (let step = 0; step < 3; step++) await page.keyboard.press('ArrowRight')
    for (let step = 0; step < 60; step++) await page.keyboard.press('Shift+ArrowRight')
    await page
      .getByRole('status')
      .getByText(/^61 bars chosen/)
      .waitFor({ state: 'attached' })
    await page.keyboard.press('Enter')
    await page.waitForURL(/from=/)

    await page.getByRole('region', { name: 'List of records' }).focus()
    await page.keyboard.press('j')
    await page.keyboard.press('j')
    await page.keyboard.press('k')
    const [first] = await rows().getByRole('link').all()
    assert.equal(await focused("getAttribute('href')"), await first?.getAttribute('href'))
    await page.keyboard.press('j')
    await page.keyboard.press('Enter')
    await page.getByRole('heading', { level: 1, name: 'One question' }).waitFor()
    assert.deepEqual(complaints, [])
  })
  it('what is focused can be seen, in light and in dark', async () => {
    await logIn()
    for (const colorScheme of ['light', 'dark'] as const) {
      await page.emulateMedia({ colorScheme })
      for (const target of [
        page.getByLabel('Person', { exact: true }),
        page.getByRole('link', { name: 'Last hour' }),
        page.getByRole('button', { name: 'Search' }),
      ]) {
        await page.keyboard.press('Tab')
        await target.focus()
        assert.equal(await page.evaluate('getComputedStyle(document.activeElement).outlineStyle'), 'solid')
      }
    }
  })
  it('a query is copied as it was asked', async () => {
    await reopen({ permissions: ['clipboard-read', 'clipboard-write'] })
    await logIn(`${review()}?person=alice`)
    await rows().getByRole('link').first().click()
    await page.getByRole('button', { name: 'Copy: Query asked' }).click()
    await page.getByRole('status').getByText('Copied').waitFor({ state: 'attached' })
    const asked = await page.locator('pre[aria-label="Query asked"]').innerText()
    assert.equal(await page.evaluate('navigator.clipboard.readText()'), asked)
  })
  it('to somebody who cannot see it, a page has landmarks, headings, names and tables with heads', async () => {
    await logIn()
    const [first] = await rows().getByRole('link').all()
    const record = (await first?.getAttribute('href')) ?? ''
    for (const way of [
      review(),
      world.url + record,
      `${review()}person?person=alice`,
      `${review()}saved`,
      `${review()}sql`,
    ]) {
      await page.goto(way)
      for (const role of ['banner', 'main', 'contentinfo'] as const)
        assert.equal(await page.getByRole(role).count(), 1, `${way}: ${role}`)
      assert.equal(await page.getByRole('heading', { level: 1 }).count(), 1)
      assert.equal(await page.evaluate('document.documentElement.lang'), 'en')
      const tree = await page.locator('body').ariaSnapshot()
      assert.doesNotMatch(tree, /- (link|button|textbox|combobox|table|region|group)$/m, `${way}: without a name`)
      const levels = [...tree.matchAll(/heading .*\[level=(\d)\]/g)].map(([, level]) => Number(level))
      assert.ok(
        levels.every((level, at) => level <= (levels[at - 1] ?? 0) + 1),
        `${way}: ${levels.join()}`,
      )
      // Each table's cells belong to a head.
      assert.equal(await page.locator('table:not(:has(thead th[scope=col]))').count(), 0)
    }
  })
  it('a narrow window shows all of it without scrolling sideways', async () => {
    await reopen({ viewport: { width: 360, height: 740 } })
    await logIn()
    const [first] = await rows().getByRole('link').all()
    const record = (await first?.getAttribute('href')) ?? ''
    for (const way of [review(), world.url + record, `${review()}saved`]) {
      await page.goto(way)
      assert.equal(await page.evaluate('document.documentElement.scrollWidth'), 360, way)
    }
  })
  it('a script that got into a page does not run there', async () => {
    await logIn()
    await page.evaluate(`{
      const script = document.createElement('script')
      script.textContent = 'window.ran = true'
      document.body.append(script)
    }`)
    assert.equal(await page.evaluate('window.ran'), undefined)
    assert.match(complaints.join(), /Content Security Policy/)
  })
  it('a hostile query is text', async () => {
    const headers = { 'x-dashboard-title': 'Pay<img src=x onerror=window.ran=true>' }
    const asked = await world.query('alice', 'up{a="<script>window.ran=true</script>"}', headers)
    await asked.text()
    await logIn(`${review()}?text=script`)
    assert.match(await rows().first().innerText(), /<script>window\.ran=true<\/script>/)
    await rows().getByRole('link').first().click()
    await page.getByRole('heading', { level: 1, name: 'One question' }).waitFor()
    assert.equal(await page.evaluate('window.ran'), undefined)
    assert.deepEqual(complaints, [])
  })
  it('who may see one cluster sees that one, and who has no right is told which rule to ask for', async () => {
    await logIn(review(), edgar.name)
    assert.match(await page.getByRole('main').innerText(), /You see the records of cluster east only/)
    for (const where of await page.locator('table.records td:nth-of-type(4)').allInnerTexts())
      assert.match(where, /^east/)
    await reopen({})
    await logIn(review(), 'Alice Arden')
    await page.getByRole('heading', { level: 1, name: 'No right to this' }).waitFor()
    assert.match(await page.getByRole('main').innerText(), /audit:read/)
    const refusal = (await world.records('decision')).findLast(({ reason }) => reason === 'no_rights')
    assert.deepEqual([Object(refusal?.['who']).name, refusal?.['path']], ['alice@example.com', '/bailiwick/review/'])
  })
  it('comes from the home page, for those who may', async () => {
    await logIn(`${world.url}/bailiwick/`)
    await page.getByRole('link', { name: 'Review the record' }).click()
    await page.getByRole('heading', { level: 1, name: 'Who looked at what' }).waitFor()
  })
})

/** What somebody asks for last before the screenshots. */
const latest = [
  ['carol', 'sum(rate(request_total{direction="inbound"}[1m])) by (namespace)'],
  ['bob', 'topk(10, sum by (client_id) (rate(response_total{deployment="authors", direction="inbound"}[5m])))'],
  ['alice', 'sum(rate(response_total{namespace="booksapp"}[5m]))'],
  [
    'alice',
    'histogram_quantile(0.95, sum(rate(response_latency_ms_bucket{direction="inbound"}[5m])) by (le, deployment))',
  ],
  ['alice', 'sum(rate(response_total{classification="failure"}[5m])) / sum(rate(response_total[5m]))'],
] as const

describe('its screenshots', { skip: shots === null && 'BAILIWICK_SCREENSHOTS=1 makes them anew' }, () => {
  it('show a day of three people', async () => {
    assert.ok(program !== null && shots !== null)
    const end = Date.now()
    const world = await startReviewWorld((issuer) => [...reviewsOf(end, issuer), ...storyOf(end, issuer)])
    const browser = await startChromium(program)
    try {
      const context = await browser.newContext({ viewport: size, colorScheme: 'light' })
      const page = await context.newPage()
      const review = `${world.url}/bailiwick/review/`
      const shot = async (name: string): Promise<void> => {
        const path = join(shots, `review-${name}.png`)
        await page.screenshot({ path })
        assert.ok((await stat(path)).size < 200_000, name)
      }
      await page.goto(review)
      await page.getByRole('button', { name: 'Dana Diaz' }).click()
      await page.getByRole('heading', { level: 1, name: 'Who looked at what' }).waitFor()
      // The newest records are of the people, not of this login.
      for (const [person, query] of latest) {
        const title = 'Linkerd / Deployment'
        const asked = await world.query(person, query, { 'x-dashboard-title': title, 'x-panel-title': 'Success rate' })
        await asked.text()
      }
      await page.goto(review)
      await shot('timeline')
      await page.goto(`${review}?person=alice&decision=allow&text=failure`)
      await page.locator('table.records tbody').getByRole('link').first().click()
      await page.getByText('leads to a root that was signed').waitFor()
      await shot('record')
      await page.goto(`${review}person?person=alice&namespace=emojivoto`)
      await shot('person')
      await page.goto(`${review}saved`)
      await shot('reviews')
    } finally {
      await browser.close()
      await world.stop()
    }
  })
})
