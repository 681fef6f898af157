// Whoever should see little of the record, or nothing, tries to see more through its pages; or to have others see what is not so.
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { edgar, startReviewWorld } from '../support/review-world.ts'
import { bodyOf, decision, now, outcome, pageOf, reviewPages, textOf } from '../support/review-pages.ts'
import type { ReviewPages } from '../support/review-pages.ts'
import { visitor } from '../support/visitor.ts'

const base = '/bailiwick/review/'
const ways = [
  '',
  'record?request=x',
  'proof?request=x&kind=decision',
  'person?person=alice',
  'saved',
  'sign?review=x',
  'export?id=x',
  'file?id=x',
  'sql',
]
const forms = ['saved', 'sign', 'export', 'sql'] as const
const east = 'p, group:auditors, east, audit:read, *, allow\n'
const record = ({ records }: ReviewPages): Record<string, unknown> => JSON.parse(records.at(-1)?.line ?? '{}')

describe('somebody without the right', () => {
  it('sees no page about the record, is told which rule to ask for, and is on record with their name', async () => {
    const pages = await reviewPages({ rules: 'p, group:auditors, *, query, *, allow\n' })
    pages.add(decision())
    for (const way of ways) {
      const answer = pageOf(await pages.get(base + way))
      assert.equal(answer.status, 403, way)
      assert.match(bodyOf(answer), /p, group:&lt;yours&gt;, east, audit:read, \*, allow/)
      assert.doesNotMatch(bodyOf(answer), /Alice|emojivoto/)
      assert.ok(answer.record.is === 'refusal' && answer.record.reason === 'no_rights')
      assert.equal(answer.record.whose?.identity.subject, 'dana')
    }
    for (const way of forms) {
      assert.equal(pageOf(await pages.post(base + way, { code: pages.code })).status, 403, way)
    }
    assert.deepEqual(pages.review.asked, [])
  })
  it('who may see series of one namespace, or every namespace, does not see the record', async () => {
    for (const resource of ['namespace=emojivoto', 'namespace=*', 'job=x']) {
      const pages = await reviewPages({ rules: `p, group:auditors, *, audit:read, ${resource}, allow\n` })
      assert.equal(pageOf(await pages.get(base)).status, 403)
    }
  })
  it('who is not logged in is sent to the login and comes back; a program is refused', async () => {
    const pages = await reviewPages({ state: { is: 'absent' } })
    const sent = pageOf(await pages.get(`${base}?person=alice&range=7d`))
    assert.deepEqual(
      [sent.status, sent.headers['location']],
      [303, 'https://gateway.test/bailiwick/login?to=%2Fbailiwick%2Freview%2F%3Fperson%3Dalice%26range%3D7d'],
    )
    for (const way of ways) {
      const asked = await pages.get(base + way, { 'sec-fetch-mode': 'cors', 'sec-fetch-dest': 'empty' })
      assert.deepEqual(asked, { is: 'refusal', refusal: { is: 'no_credentials' } })
    }
    assert.deepEqual(pages.review.asked, [])
  })
  it('another site’s script gets nothing with the session of somebody who has it', async () => {
    const pages = await reviewPages()
    for (const site of ['cross-site', 'same-site']) {
      const headers = { 'sec-fetch-mode': 'cors', 'sec-fetch-dest': 'empty', 'sec-fetch-site': site }
      assert.equal((await pages.get(base, headers)).is, 'refusal')
    }
  })
})

describe('somebody with half the right', () => {
  it('sees the records of their cluster only, whatever the filter says', async () => {
    const pages = await reviewPages({ rules: east })
    pages.add(decision({ cluster: 'west', asked: [['query', 'secret_of_west']] }))
    pages.add(decision({ cluster: null, asked: [['query', 'secret_of_none']] }))
    for (const query of [
      '',
      '?cluster=west',
      '?cluster=east&cluster=west',
      '?range=all',
      '?kind=all',
      '?text=secret',
    ]) {
      const answer = pageOf(await pages.get(base + query))
      assert.doesNotMatch(bodyOf(answer).replaceAll(/value="[^"]*"|href="[^"]*"/g, ''), /secret_of/)
    }
    assert.doesNotMatch(textOf(await pages.get(`${base}person?person=alice`)), /secret_of/)
    for (const [method, ...asked] of pages.review.asked) assert.deepEqual(asked[1], ['east'], method)
  })
  it('is told that the list is not whole', async () => {
    const pages = await reviewPages({ rules: east })
    assert.match(textOf(await pages.get(base)), /You see the records of cluster <b>east<\/b> only/)
  })
  it('gets no record of another cluster by its id, and cannot tell it from one that is not there', async () => {
    const pages = await reviewPages({ rules: east })
    const other = decision({ cluster: 'west' })
    pages.add(other)
    pages.add(outcome(other.request))
    const bodies = [other.request, 'none'].map(async (id) => [
      textOf(await pages.get(`${base}record?request=${id}`), 404),
      textOf(await pages.get(`${base}proof?kind=decision&request=${id}`), 404),
    ])
    const [theirs, none] = (await Promise.all(bodies)).map((texts) =>
      texts.map((text) => text.replaceAll(/Request <code>[^<]*/g, '')),
    )
    assert.deepEqual(theirs, none)
  })
  it('cannot ask in SQL', async () => {
    const pages = await reviewPages({ rules: east })
    assert.equal(pageOf(await pages.get(`${base}sql`)).status, 403)
    assert.equal(pageOf(await pages.post(`${base}sql`, { code: pages.code, sql: 'SELECT 1' })).status, 403)
    assert.deepEqual(pages.review.asked, [])
    assert.doesNotMatch(textOf(await pages.get(base)), /review\/sql/)
  })
  it('neither saves, opens nor signs a review that is about more than their cluster', async () => {
    const pages = await reviewPages({ rules: `${east}p, group:auditors, west, query, *, allow\n` })
    const saved = {
      kind: 'review.saved',
      review: 'r-1',
      request: 'r-1',
      who: { name: 'Carol' },
      title: 'Of all',
      filter: [],
    }
    pages.add(saved)
    pages.add({ ...saved, review: 'r-2', request: 'r-2', title: 'Of west', filter: [['cluster', 'west']] })
    pages.add({ ...saved, review: 'r-3', request: 'r-3', title: 'Of east', filter: [['cluster', 'east']] })
    const list = textOf(await pages.get(`${base}saved`))
    assert.deepEqual([/Of all/.test(list), /Of west/.test(list), /Of east/.test(list)], [false, false, true])
    const form = {
      code: pages.code,
      from: '2026-11-19T00:00:00Z',
      to: '2026-11-20T00:00:00Z',
      verdict: 'nothing unusual',
    }
    for (const [review, status] of [
      ['r-1', 404],
      ['r-2', 404],
      ['r-3', 303],
    ] as const) {
      const page = review === 'r-3' ? 200 : 404
      assert.equal(pageOf(await pages.get(`${base}sign?review=${review}`)).status, page)
      assert.equal(pageOf(await pages.post(`${base}sign`, { ...form, review })).status, status)
    }
    assert.equal(
      pageOf(await pages.post(`${base}saved`, { code: pages.code, title: 'x', cluster: 'west' })).status,
      400,
    )
    await pages.post(`${base}saved`, { code: pages.code, title: 'x' })
    assert.deepEqual(record(pages)['filter'], [['cluster', 'east']])
  })
  it('takes home no more than both rights give', async () => {
    const rules = `p, group:auditors, *, audit:read, *, allow\np, group:auditors, east, audit:export, *, allow\n`
    const pages = await reviewPages({ rules })
    await pages.post(`${base}export`, { code: pages.code, format: 'csv' })
    const asked = pages.review.asked.filter(([method]) => method === 'export').map(([, , within]) => within)
    assert.deepEqual(asked, [['east']])
    const none = await reviewPages({ rules: 'p, group:auditors, *, audit:export, *, allow\n' })
    assert.equal(pageOf(await none.post(`${base}export`, { code: none.code, format: 'csv' })).status, 403)
  })
})

describe('an export', () => {
  it('without audit:export is refused, on record, and begins nothing', async () => {
    const pages = await reviewPages({ rules: 'p, group:auditors, *, audit:read, *, allow\n' })
    const answer = pageOf(await pages.post(`${base}export`, { code: pages.code, format: 'csv' }))
    assert.equal(answer.status, 403)
    assert.match(bodyOf(answer), /audit:export/)
    assert.ok(answer.record.is === 'refusal' && answer.record.reason === 'no_rights')
    assert.deepEqual([pages.review.asked, pages.appended], [[], []])
  })
  it('of somebody else is not to be had by its id', async () => {
    const pages = await reviewPages()
    const begun = pageOf(await pages.post(`${base}export`, { code: pages.code, format: 'csv' }))
    const place = String(begun.headers['location']).replace('https://gateway.test', '')
    assert.equal(pageOf(await pages.get(place)).status, 200)
    const mallory = { is: 'live', session: { ...live(pages), subject: 'mallory' }, cookies: [] } as const
    Object.assign(pages.parts.sessions, { read: async () => mallory })
    for (const path of [place, place.replace('/export?', '/file?')]) {
      assert.equal(pageOf(await pages.get(path)).status, 404)
    }
  })
  it('does not begin, and is not to be had, where it cannot be put on record', async () => {
    let fails = true
    const pages = await reviewPages({ recordFails: () => fails })
    const refused = pageOf(await pages.post(`${base}export`, { code: pages.code, format: 'csv' }))
    assert.equal(refused.status, 503)
    assert.deepEqual(pages.review.asked, [])
    // Asked for on record, but what came of it is not.
    fails = false
    pages.review.whileExporting(async () => void (fails = true))
    const begun = pageOf(await pages.post(`${base}export`, { code: pages.code, format: 'csv' }))
    const place = String(begun.headers['location']).replace('https://gateway.test', '')
    assert.match(textOf(await pages.get(place)), /No record of it could be kept/)
    assert.equal(pageOf(await pages.get(place.replace('/export?', '/file?'))).status, 303)
  })
})

const live = (pages: ReviewPages) => ({
  id: 'session-1',
  issuer: 'https://id.test',
  subject: 'dana',
  name: 'Dana',
  groups: ['auditors'],
  begun: pages.parts.clock(),
  vouchedUntil: pages.parts.clock() + 60_000,
})

describe('what others wrote', () => {
  const hostile = `"><script>alert(1)</script><img src=x onerror=alert(1)>'\`\${x}\u202e\u0000&lt;`
  it('is text on every page that shows it: query, dashboard, user agent, name, reason, title, note', async () => {
    const pages = await reviewPages()
    const who = { issuer: hostile, subject: hostile, name: hostile, groups: [hostile], via: hostile }
    const one = decision({
      who,
      from: { peer: hostile, userAgent: hostile },
      claimed: { 'x-dashboard-title': hostile, [hostile]: hostile },
      cluster: hostile,
      endpoint: hostile,
      path: hostile,
      method: hostile,
      asked: [
        ['query', hostile],
        [hostile, hostile],
      ],
      sent: [
        { path: hostile, params: [['query', `${hostile} or ${hostile}`]] },
        { path: hostile, params: [[hostile, hostile]] },
      ],
      selectors: [{ metric: hostile, matchers: [] }],
      reason: hostile,
      because: [hostile],
      reasons: [hostile],
      scope: `namespace: a ${hostile}`,
      policy: hostile,
      request: 'hostile',
    })
    pages.add(one)
    pages.add(outcome('hostile', { ended: hostile, servedFrom: hostile, reason: hostile }))
    pages.add({ kind: 'login.failed', request: 'other', reason: hostile, [hostile]: { [hostile]: hostile } })
    const saved = {
      kind: 'review.saved',
      review: 'r-1',
      request: 'r-1',
      who,
      title: hostile,
      filter: [['person', hostile]],
    }
    pages.add(saved)
    const covers = { from: hostile, to: hostile }
    pages.add({
      kind: 'review.signed',
      request: 's-1',
      review: 'r-1',
      who,
      covers,
      found: {},
      verdict: hostile,
      note: hostile,
    })
    const query = new URLSearchParams({ person: hostile, text: hostile, range: 'all' }).toString()
    for (const path of [
      '?range=all&kind=all',
      `?${query}`,
      'record?request=hostile',
      'record?request=other',
      `person?${query}`,
      'saved',
      'sign?review=r-1',
    ]) {
      const text = bodyOf(pageOf(await pages.get(base + path)))
      assertHarmless(text, path)
      assert.match(text, /&lt;script&gt;alert\(1\)/, path)
    }
    const sql = await pages.post(`${base}sql`, { code: pages.code, sql: `SELECT ${hostile}</textarea>` })
    assertHarmless(bodyOf(pageOf(sql)), 'sql')
  })
  it('in an address is text, too, and leads nowhere else', async () => {
    const pages = await reviewPages()
    for (const name of ['person', 'range', 'kind', 'after', 'back', 'from', 'request', 'review', 'id', 'example']) {
      const query = new URLSearchParams({ [name]: hostile }).toString()
      for (const way of ['', 'record', 'person', 'saved', 'sign', 'export', 'file', 'sql', 'proof']) {
        const answer = pageOf(await pages.get(`${base}${way}?${query}`))
        assertHarmless(bodyOf(answer), `${way} ${name}`)
        assert.equal(answer.headers['location'], undefined)
      }
    }
  })
  it('in a query of 100 kB does not make the list long, and is whole on its own page', async () => {
    const pages = await reviewPages()
    const one = decision({
      asked: [['query', '<'.repeat(100_000)]],
      sent: [{ path: '', params: [['query', `${'<'.repeat(99_999)}>`]] }],
    })
    for (let at = 0; at < 50; at++) pages.add(one)
    assert.ok(textOf(await pages.get(base)).length < 400_000)
    assert.match(textOf(await pages.get(`${base}record?request=${one.request}`)), /(&lt;){99999}/)
  })
})

/** Nothing that another wrote has become markup, or turns the text around it. */
function assertHarmless(text: string, where: string): void {
  assert.equal((text.match(/<script/g) ?? []).length, 1, where)
  const markup = text.replaceAll(/="[^"]*"/g, '=""').replaceAll(/(<textarea[^>]*>)[^<]*/g, '$1')
  assert.doesNotMatch(markup, /<img|<[^>]* on\w+=|<[^>]*'|(?!\n)\p{Cc}|\u202e/u, where)
  for (const [, name = '', value = ''] of text.matchAll(/ ([\w-]+)="([^"]*)"/g)) {
    // What somebody typed stands in its field as they typed it.
    if (name !== 'value') assert.doesNotMatch(value, /\p{Cc}|\u202e/u, `${where}: ${name}`)
    if (!['href', 'action', 'src'].includes(name)) continue
    assert.match(value, /^(\/bailiwick\/[^/\\]|#content$|\/bailiwick\/$)/, `${where}: ${value}`)
  }
}

describe('a place in the list', () => {
  for (const cursor of ['../../etc/passwd', "' OR 1=1 --", '<script>', 'a'.repeat(300), '\u0000', 'ü']) {
    it(`${JSON.stringify(cursor.slice(0, 20))} that was made up is not asked for`, async () => {
      const pages = await reviewPages()
      const query = new URLSearchParams({ after: cursor }).toString()
      assert.equal(pageOf(await pages.get(`${base}?${query}`)).status, 400)
      assert.deepEqual(pages.review.asked, [])
    })
  }
  it('that has the form of one but is none is refused in words', async () => {
    const pages = await reviewPages()
    assert.match(textOf(await pages.get(`${base}?after=AAAA`), 400), /This is not where a page goes on/)
  })
})

describe('a form', () => {
  const saved = { kind: 'review.saved', review: 'r-1', request: 'r-1', who: { name: 'Dana' }, title: 'x', filter: [] }
  const fields = {
    title: 'x',
    format: 'csv',
    sql: 'SELECT 1',
    review: 'r-1',
    verdict: 'nothing unusual',
    from: '2026-11-19T00:00:00Z',
    to: '2026-11-20T00:00:00Z',
  }
  for (const [what, headers, code] of [
    ['of another site', { 'sec-fetch-site': 'cross-site', origin: 'https://evil.test' }, true],
    ['of another site of the same host', { 'sec-fetch-site': 'same-site', origin: 'https://gateway.test:8443' }, true],
    ['of a browser that says only another origin', { 'sec-fetch-site': '', origin: 'https://evil.test' }, true],
    ['without the code of the session', {}, false],
  ] as const) {
    it(`${what} saves, signs, exports and asks nothing`, async () => {
      const pages = await reviewPages()
      pages.add(saved)
      const before = pages.records.length
      for (const way of forms) {
        const answer = pageOf(
          await pages.post(base + way, { ...fields, ...(code ? { code: pages.code } : { code: 'guessed' }) }, headers),
        )
        assert.equal(answer.status, 403, way)
        assert.ok(answer.record.is === 'refusal' && answer.record.reason === 'foreign_form')
      }
      assert.deepEqual([pages.records.length, pages.review.asked, pages.appended], [before, [], []])
    })
  }
  it('cannot name somebody else as the one who signs, or another time of signing', async () => {
    const pages = await reviewPages()
    pages.add(saved)
    const forged = {
      ...fields,
      code: pages.code,
      who: 'carol',
      by: 'carol',
      ts: '2020-01-01T00:00:00Z',
      kind: 'login',
      found: '0',
    }
    const answer = pageOf(await pages.post(`${base}sign`, forged))
    assert.ok(answer.record.is === 'event' && answer.record.entry.kind === 'review.signed')
    const { who, received, found } = answer.record.entry
    assert.deepEqual([who.subject, received, found.records], ['dana', new Date(now).toISOString(), 0])
  })
})

describe('the record that cannot be written', () => {
  it('shows nothing of itself, and says so', async () => {
    const world = await startReviewWorld()
    try {
      await world.query('alice', 'secret_question')
      const dana = visitor()
      const seen = await dana.logIn(`${world.url}${base}?range=all`, 'dana')
      assert.match(seen.text, /secret_question/)
      const request = /record\?request=([0-9a-f-]{36})/.exec(seen.text)?.[1] ?? ''
      await world.breakRecord()
      for (const way of [
        '?range=all',
        `record?request=${request}`,
        'person?person=alice',
        'saved',
        `proof?kind=decision&request=${request}`,
      ]) {
        const came = await dana.go(`${world.url}${base}${way}`)
        assert.equal(came.status, 503, way)
        assert.match(came.text, /No record can be kept/)
        assert.doesNotMatch(came.text, /secret_question|alice/)
      }
    } finally {
      await world.stop()
    }
  })
  it('of one cluster is what half a right shows through the real parts', async () => {
    const world = await startReviewWorld()
    try {
      await world.query('alice', 'question_of_east')
      const person = visitor()
      const came = await person.logIn(`${world.url}${base}?range=all`, edgar.id)
      assert.equal(came.status, 200, came.text)
      assert.match(came.text, /question_of_east/)
      // Of no cluster: that somebody logged in.
      const logins = await person.go(`${world.url}${base}?range=all&kind=login`)
      assert.match(logins.text, /Nothing on record fits/)
      const [login] = await world.records('login')
      const hidden = await person.go(`${world.url}${base}record?request=${login?.request ?? ''}`)
      assert.equal(hidden.status, 404)
    } finally {
      await world.stop()
    }
  })
})
