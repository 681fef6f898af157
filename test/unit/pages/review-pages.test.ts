// The pages about the record, over a review in memory: what they show, what goes on record, what they ask for.
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { Script } from 'node:vm'
import { bodyOf, decision, now, outcome, pageOf, reviewPages, sessionOf, textOf } from '../../support/review-pages.ts'
import type { ReviewPages } from '../../support/review-pages.ts'

const page = '/bailiwick/review/'

/** Text as a reader sees it, near enough. */
const shown = (html: string): string =>
  html
    .replaceAll(/<\/?bdi>/g, '')
    .replaceAll(/<[^>]+>/g, ' ')
    .replaceAll(/\s+/g, ' ')

const lastRecord = ({ records }: ReviewPages): Record<string, unknown> => JSON.parse(records.at(-1)?.line ?? '{}')

describe('the search', () => {
  it('shows who looked at what: the sums, a drawing, a table of it, the most active, and the list', async () => {
    const pages = await reviewPages()
    for (const who of ['Alice Arden', 'Bob Berg']) {
      pages.add(decision({ who: { ...decision().who, name: who, subject: who.slice(0, 3) } }))
    }
    pages.add(decision({ decision: 'deny', reason: 'no_rights', sent: null }))
    const text = textOf(await pages.get(page))
    assert.match(shown(text), /3 records , 1 refused, by 2 people , last 24 hours/)
    assert.equal((text.match(/<tr data-row>/g) ?? []).length, 3)
    assert.match(text, /<rect class="deny-hatch"/)
    assert.match(shown(text), /The same as a table .*From \(UTC\) Allowed Refused People/)
    assert.match(text, /href="\/bailiwick\/review\/\?person=Alice\+Arden">/)
  })
  it('is on record before it is shown: who, what was asked, because of which rules', async () => {
    const pages = await reviewPages()
    const answer = pageOf(await pages.get(`${page}?namespace=books&range=1h`))
    assert.ok(answer.record.is === 'event' && answer.record.entry.kind === 'audit.read')
    const { who, what, asked, because, policy } = answer.record.entry
    assert.deepEqual([who.subject, what, because], ['dana', 'search', ['policy.csv:1']])
    assert.deepEqual(asked, [
      ['namespace', 'books'],
      ['from', '2026-11-20T11:00:00.000Z'],
      ['to', '2026-11-20T12:00:00.001Z'],
    ])
    assert.match(policy, /^sha256:/)
  })
  it('says on every page where answers may leave without a record, and only there', async () => {
    for (const bestEffort of [true, false]) {
      const pages = await reviewPages({ bestEffort })
      for (const path of [page, `${page}saved`]) {
        assert.equal(textOf(await pages.get(path)).includes('<strong>Best effort:</strong>'), bestEffort)
      }
    }
  })
  it('does not show looks at itself unless they are asked for', async () => {
    const pages = await reviewPages()
    for (let round = 0; round < 3; round++) await pages.get(page)
    assert.match(textOf(await pages.get(page)), /Nothing on record fits/)
    assert.equal((textOf(await pages.get(`${page}?kind=audit.read`)).match(/<tr data-row>/g) ?? []).length, 4)
  })
  it('marks repetitions, and a decision without an outcome', async () => {
    const pages = await reviewPages()
    const one = decision({ repeats: 3 })
    pages.add(one)
    assert.match(textOf(await pages.get(page)), /class="mark unknown"[^>]*>unknown</)
    pages.add(outcome(one.request))
    const text = textOf(await pages.get(page))
    assert.doesNotMatch(text, /class="mark unknown"/)
    assert.match(shown(text), /×3 .* 200 4 31 ms/)
  })
  it('goes on to older records and back, through all of them', async () => {
    const pages = await reviewPages()
    for (let at = 0; at < 170; at++) pages.add(decision({ asked: [['query', `metric_${at}`]] }))
    const linkOf = (text: string, rel: string): string | null =>
      new RegExp(`<a href="([^"]+)" rel="${rel}"`).exec(text)?.[1]?.replaceAll('&amp;', '&') ?? null
    const seen: string[][] = []
    let at: string | null = `${page}?namespace=emojivoto`
    while (at !== null) {
      const text = textOf(await pages.get(at))
      seen.push([...text.matchAll(/metric_(\d+)/g)].map(([, number = '']) => number))
      at = linkOf(text, 'next')
      if (at === null) at = linkOf(text, 'prev')
      if (seen.length === 7) break
    }
    assert.deepEqual(
      seen.slice(0, 4).map((rows) => [rows.length, rows[0]]),
      [
        [50, '169'],
        [50, '119'],
        [50, '69'],
        [20, '19'],
      ],
    )
    assert.deepEqual(seen[4], seen[2])
  })
  it('leads to the newest where it has lost the way back', async () => {
    const pages = await reviewPages()
    for (let at = 0; at < 60; at++) pages.add(decision())
    const after = Buffer.from('50').toString('base64url')
    assert.match(textOf(await pages.get(`${page}?after=${after}`)), /href="\/bailiwick\/review\/" rel="prev">⇤ Newest/)
  })
  it('shows a long query cut, and says how much more there is', async () => {
    const pages = await reviewPages()
    pages.add(decision({ asked: [['query', 'x'.repeat(100_000)]] }))
    const text = textOf(await pages.get(page))
    assert.ok(text.length < 60_000, String(text.length))
    assert.match(shown(text), /99,600 more characters/)
  })
  it('says what is wrong with a filter, and asks nothing', async () => {
    const pages = await reviewPages()
    const text = textOf(await pages.get(`${page}?range=9y&decision=maybe`), 400)
    assert.match(shown(text), /neither &quot;allow&quot; nor &quot;deny&quot;.*no time called/)
    assert.deepEqual(pages.review.asked, [])
  })
  for (const [code, status] of [
    ['unavailable', 503],
    ['refused', 400],
    ['busy', 503],
    ['stopped', 504],
  ] as const) {
    it(`says what helps when the answer is ${code}`, async () => {
      const pages = await reviewPages()
      pages.review.failWith({ code, reason: 'the index is away', remedy: 'wait a moment' })
      assert.match(shown(textOf(await pages.get(page), status)), /The index is away\. +Wait a moment\./)
    })
  }
  it('leads from somebody to all that they saw', async () => {
    const pages = await reviewPages()
    const text = textOf(await pages.get(`${page}?person=alice&namespace=books&range=all`))
    assert.match(text, /href="\/bailiwick\/review\/person\?person=alice&amp;namespace=books"/)
  })
})

describe('the record of one request', () => {
  it('shows what was asked and sent side by side, with what differs marked', async () => {
    const pages = await reviewPages()
    const one = decision()
    pages.add(one)
    pages.add(outcome(one.request, { ended: 'cut', reason: 'over_limit' }))
    const text = textOf(await pages.get(`/bailiwick/review/record?request=${one.request}`))
    assert.match(text, /<ins><bdi>\{namespace=&quot;emojivoto&quot;\}<\/bdi><\/ins>/)
    assert.match(shown(text), /timeout – 30s added/)
    for (const words of [
      /Rules policy\.csv:12/,
      /Scope namespace: emojivoto/,
      /Claimed by the client not proven user-agent Grafana\/13/,
      /x-dashboard-title Linkerd \/ Deployment/,
      /Ended cut off before its end/,
      /Subject alice Provider https:\/\/id\.test/,
      /Connected 10\.0\.0\.7/,
      /2 lines as in the log/,
    ]) {
      assert.match(shown(text), words)
    }
  })
  it('says where nothing was sent, and where no outcome is on record', async () => {
    const pages = await reviewPages()
    const one = decision({ decision: 'deny', reason: 'no_rights', sent: null })
    pages.add(one)
    const text = shown(textOf(await pages.get(`/bailiwick/review/record?request=${one.request}`)))
    assert.match(text, /Nothing was sent: the request was refused/)
    assert.match(text, /unknown No outcome is on record/)
  })
  it('shows a record of another kind with its fields', async () => {
    const pages = await reviewPages()
    pages.add({ kind: 'login.failed', request: 'l-1', received: '', from: { peer: '10.0.0.9' }, reason: 'denied' })
    const text = shown(textOf(await pages.get('/bailiwick/review/record?request=l-1')))
    assert.match(text, /What it says reason denied/)
    assert.match(text, /failed sign-ins/)
  })
  it('shows all of a long query, and survives what is no record', async () => {
    const pages = await reviewPages()
    const one = decision({ asked: [['query', 'x'.repeat(100_000)]], sent: 7, who: 'nobody', claimed: [], because: {} })
    pages.add(one)
    const text = textOf(await pages.get(`/bailiwick/review/record?request=${one.request}`))
    assert.match(text, /x{100000}/)
  })
  it('is 404 where there is none, and the question is on record', async () => {
    const pages = await reviewPages()
    for (const id of ['', 'unknown', 'x'.repeat(500)]) {
      textOf(await pages.get(`/bailiwick/review/record?request=${id}`), 404)
      assert.equal(lastRecord(pages)['kind'], 'audit.read')
    }
  })
})

describe('everything one person saw', () => {
  it('is summed up, and listed', async () => {
    const pages = await reviewPages()
    for (let at = 0; at < 3; at++) pages.add(decision())
    pages.add(
      decision({ decision: 'deny', reason: 'no_rights', selectors: [{ metric: 'up', matchers: [] }], because: [] }),
    )
    pages.add(decision({ who: { ...decision().who, subject: 'bob', name: 'Bob Berg' } }))
    const text = shown(textOf(await pages.get('/bailiwick/review/person?person=alice&namespace=emojivoto')))
    assert.match(text, /Alice Arden and namespace emojivoto : +4 questions , 1 refused/)
    assert.match(text, /First 2026-11-20 11:00:00 +, last 2026-11-20 11:00:03/)
    for (const words of [
      /Metrics request_total 3 up 1/,
      /Endpoints query_range 4/,
      /Allowed by the rules policy\.csv:12 3/,
      /Refused because no_rights 1/,
      /Dashboards \(claimed\) Linkerd \/ Deployment 4/,
    ]) {
      assert.match(text, words)
    }
    assert.doesNotMatch(text, /Bob/)
  })
  it('is summed up from the list alone: no record is read for it', async () => {
    const pages = await reviewPages()
    pages.add(decision())
    await pages.get('/bailiwick/review/person?person=alice')
    assert.ok(!pages.review.asked.some(([method]) => method === 'request'))
  })
  it('needs a person, and is on record', async () => {
    const pages = await reviewPages()
    textOf(await pages.get('/bailiwick/review/person?namespace=x'), 400)
    assert.deepEqual([lastRecord(pages)['kind'], lastRecord(pages)['what']], ['audit.read', 'person'])
    await pages.get('/bailiwick/review/person?person=alice')
    assert.deepEqual(lastRecord(pages)['asked'], [['person', 'alice']])
  })
})

describe('saved reviews', () => {
  const month = 31 * 86_400_000
  const save = (pages: ReviewPages, form: Readonly<Record<string, string>>) =>
    pages.post('/bailiwick/review/saved', { code: pages.code, ...form })
  const idOf = (pages: ReviewPages): string => {
    const saved = pages.records.map(({ line }) => JSON.parse(line)).find(({ kind }) => kind === 'review.saved')
    return saved?.review ?? ''
  }

  it('are saved under a title with their filter, but without a time', async () => {
    const pages = await reviewPages()
    const answer = pageOf(
      await save(pages, { title: ' Refusals ', decision: 'deny', from: '2026-11-01T00:00', range: '7d' }),
    )
    assert.deepEqual([answer.status, answer.headers['location']], [303, 'https://gateway.test/bailiwick/review/saved'])
    assert.ok(answer.record.is === 'event' && answer.record.entry.kind === 'review.saved')
    assert.equal(answer.record.entry.title, 'Refusals')
    assert.deepEqual(answer.record.entry.filter, [
      ['decision', 'deny'],
      ['range', '7d'],
    ])
    assert.match(
      shown(textOf(await pages.get('/bailiwick/review/saved'))),
      /Refusals decision: deny not yet signed never/,
    )
  })
  it('are not saved without a title, or with a filter that is none', async () => {
    const pages = await reviewPages()
    for (const form of [{ title: ' ' }, { title: 'x'.repeat(121) }, { title: 'x', decision: 'maybe' }]) {
      textOf(await save(pages, { ...form }), 400)
    }
    assert.equal(idOf(pages), '')
  })
  it('are overdue after thirty days', async () => {
    const pages = await reviewPages()
    const saved = {
      kind: 'review.saved',
      request: 'r-1',
      review: 'r-1',
      who: { name: 'Dana' },
      title: 'Old',
      filter: [],
    }
    pages.add({ ...saved, ts: new Date(now - month).toISOString() })
    assert.match(
      shown(textOf(await pages.get('/bailiwick/review/saved'))),
      /1 review , 1 overdue .*Old all questions overdue never/,
    )
  })
  it('are signed with what was found, for exactly the time that was shown; the next begins there', async () => {
    const pages = await reviewPages()
    pages.add(decision())
    pages.add(decision({ decision: 'deny', reason: 'no_rights' }))
    await save(pages, { title: 'Alice', person: 'alice', range: '7d' })
    const id = idOf(pages)
    const form = textOf(await pages.get(`/bailiwick/review/sign?review=${id}`))
    const field = (name: string): string => new RegExp(`name="${name}" value="([^"]*)"`).exec(form)?.[1] ?? ''
    assert.deepEqual([field('from'), field('to')], ['2026-11-13T12:00:00.000Z', '2026-11-20T12:00:00.000Z'])
    const sent = { code: pages.code, review: id, from: field('from'), to: field('to') }
    const answer = pageOf(
      await pages.post('/bailiwick/review/sign', { ...sent, verdict: 'followed up', note: 'Asked her.' }),
    )
    assert.deepEqual(
      [answer.status, answer.headers['location']],
      [303, `https://gateway.test/bailiwick/review/sign?review=${id}`],
    )
    assert.ok(answer.record.is === 'event' && answer.record.entry.kind === 'review.signed')
    const { covers, found, verdict, note, who } = answer.record.entry
    assert.deepEqual(
      [covers, found, verdict, note, who.subject],
      [
        { from: '2026-11-13T12:00:00.000Z', to: '2026-11-20T12:00:00.000Z' },
        { records: 2, refused: 1, people: 1 },
        'followed up',
        'Asked her.',
        'dana',
      ],
    )
    const after = shown(textOf(await pages.get('/bailiwick/review/saved')))
    assert.match(after, /Alice person: alice signed .* Dana Diaz followed up 2 1 1 time/)
  })
  for (const [what, change] of [
    ['without a verdict', { verdict: '' }],
    ['with another verdict', { verdict: 'fine' }],
    ['with something followed up that is not said', { verdict: 'followed up', note: ' ' }],
    ['with a note that is too long', { note: 'x'.repeat(2_001) }],
    ['for a time to come', { to: '2026-11-20T12:00:01Z' }],
    ['for no time', { from: '2026-11-20T12:00:00Z' }],
  ] as const) {
    it(`are not signed ${what}`, async () => {
      const pages = await reviewPages()
      await save(pages, { title: 'All' })
      const times = { from: '2026-11-19T12:00:00Z', to: '2026-11-20T12:00:00Z' }
      const form = { code: pages.code, review: idOf(pages), verdict: 'nothing unusual', ...times, ...change }
      textOf(await pages.post('/bailiwick/review/sign', form), 400)
      assert.notEqual(lastRecord(pages)['kind'], 'review.signed')
    })
  }
  it('count more people than the timeline names', async () => {
    const pages = await reviewPages()
    for (let at = 0; at < 23; at++)
      pages.add(decision({ who: { ...decision().who, subject: `p${at}`, name: `P${at}` } }))
    await save(pages, { title: 'All' })
    const times = { from: '2026-11-19T12:00:00Z', to: '2026-11-20T12:00:00Z' }
    const form = { code: pages.code, review: idOf(pages), verdict: 'nothing unusual', ...times }
    await pages.post('/bailiwick/review/sign', form)
    assert.deepEqual(lastRecord(pages)['found'], { records: 23, refused: 0, people: 23 })
  })
})

describe('an export', () => {
  const begin = async (pages: ReviewPages, format = 'csv') =>
    pageOf(await pages.post('/bailiwick/review/export', { code: pages.code, format, person: 'alice' }))

  it('is asked for on record, made, put on record with its sum, and taken on record', async () => {
    const pages = await reviewPages()
    const { status, headers } = await begin(pages)
    assert.equal(status, 303)
    const place = String(headers['location']).replace('https://gateway.test', '')
    const [read, exported] = pages.appended
    assert.ok(read?.kind === 'audit.read' && read.what === 'export')
    assert.deepEqual(read.asked.at(0), ['person', 'alice'])
    assert.deepEqual(read.asked.at(-1), ['format', 'csv'])
    assert.ok(exported?.kind === 'audit.exported')
    assert.deepEqual([exported.ended, exported.records, exported.sha256], ['complete', 2, 'ab'.repeat(32)])
    const text = textOf(await pages.get(place))
    assert.match(shown(text), /2 records , 10 B, csv.*SHA-256 (ab){32}/)
    const taken = pageOf(await pages.get(place.replace('/export?', '/file?')))
    assert.ok(typeof taken.body === 'object' && taken.body.bytes === 10)
    assert.match(
      taken.headers['content-disposition'] ?? '',
      /^attachment; filename="bailiwick-audit-2026-11-20-[0-9a-f]{8}\.csv"$/,
    )
    assert.ok(taken.record.is === 'event' && taken.record.entry.kind === 'audit.read')
  })
  it('under way is followed by a page that comes again, without a script too', async () => {
    const pages = await reviewPages()
    let end: () => void = () => {}
    const until = new Promise<void>((resolve) => (end = resolve))
    pages.review.whileExporting(() => until)
    const place = String((await begin(pages)).headers['location']).replace('https://gateway.test', '')
    const text = textOf(await pages.get(place))
    assert.match(text, /<noscript\s*><meta http-equiv="refresh" content="2" \/><\/noscript/)
    assert.match(text, /<progress[^>]*>/)
    assert.match(shown(text), /7 records/)
    assert.equal((await begin(pages)).status, 503, 'one at a time')
    const early = pageOf(await pages.get(place.replace('/export?', '/file?')))
    assert.equal(early.status, 303, 'nothing to be taken yet')
    end()
    await new Promise(setImmediate)
    assert.doesNotMatch(textOf(await pages.get(place)), /http-equiv/)
  })
  it('that failed says why, and is on record as that', async () => {
    const pages = await reviewPages()
    pages.review.failWith({ code: 'stopped', reason: 'it took too long', remedy: 'choose a shorter time' })
    const place = String((await begin(pages)).headers['location']).replace('https://gateway.test', '')
    const exported = pages.appended.at(-1)
    assert.ok(exported?.kind === 'audit.exported' && exported.ended === 'failed')
    assert.match(shown(textOf(await pages.get(place))), /It took too long\. +Choose a shorter time\./)
  })
  it('has one of three formats', async () => {
    assert.equal((await begin(await reviewPages(), 'xlsx')).status, 400)
  })
})

describe('the box for SQL', () => {
  it('answers a question, which is on record', async () => {
    const pages = await reviewPages()
    const text = textOf(await pages.post('/bailiwick/review/sql', { code: pages.code, sql: 'SELECT <b>' }))
    assert.match(text, /SELECT &lt;b&gt;/)
    assert.match(shown(text), /2 rows , and there are more.* 12,345 null 2/)
    assert.deepEqual([lastRecord(pages)['what'], lastRecord(pages)['asked']], ['sql', [['sql', 'SELECT <b>']]])
  })
  it('says what helps where it does not, and keeps the text', async () => {
    const pages = await reviewPages()
    const text = textOf(await pages.post('/bailiwick/review/sql', { code: pages.code, sql: 'DROP x' }), 400)
    assert.match(shown(text), /DROP x.*This is no SELECT\. +Ask with a single SELECT/)
  })
  it('does not ask nothing, or too much', async () => {
    const pages = await reviewPages()
    for (const sql of [' ', `SELECT ${'x'.repeat(20_000)}`]) {
      textOf(await pages.post('/bailiwick/review/sql', { code: pages.code, sql }), 400)
    }
    assert.deepEqual(pages.review.asked, [])
  })
  it('offers questions to begin with', async () => {
    const pages = await reviewPages()
    assert.match(textOf(await pages.get('/bailiwick/review/sql?example=0')), /<textarea[^>]*>\s*SELECT name, reason/)
    textOf(await pages.get('/bailiwick/review/sql?example=99'))
  })
})

describe('where no review is configured', () => {
  it('it is said, and nothing else', async () => {
    const pages = await reviewPages({ without: true })
    for (const path of ['', 'record?request=x', 'person?person=x', 'saved', 'sign', 'export', 'file', 'sql', 'proof']) {
      assert.match(textOf(await pages.get(page + path), 404), /not set up to be searched/)
    }
  })
  it('the head of the other pages does not lead there', async () => {
    const session = sessionOf()
    assert.doesNotMatch(
      textOf(await (await reviewPages({ without: true, session })).get('/bailiwick/')),
      /Review the record/,
    )
    assert.match(textOf(await (await reviewPages({ session })).get('/bailiwick/')), /Review the record/)
    const others = await reviewPages({ session: { groups: ['others'] } })
    assert.doesNotMatch(textOf(await others.get('/bailiwick/')), /Review the record/)
  })
})

describe('every page about the record', () => {
  it('runs our script alone, is kept nowhere, and says what it is about', async () => {
    const pages = await reviewPages()
    const one = decision()
    pages.add(one)
    for (const path of ['', `record?request=${one.request}`, 'person?person=alice', 'saved', 'sql']) {
      const answer = pageOf(await pages.get(page + path))
      assert.equal(
        answer.headers['content-security-policy'],
        "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'",
      )
      assert.equal(answer.headers['cache-control'], 'no-store')
      const text = bodyOf(answer)
      assert.equal((text.match(/<script/g) ?? []).length, 1)
      assert.match(text, /<script src="\/bailiwick\/review\.js" defer><\/script>/)
      assert.doesNotMatch(text, / style=| on[a-z]+="/)
      assert.equal((text.match(/<h1>/g) ?? []).length, 1)
      for (const [, id = ''] of text.matchAll(/aria-labelledby="([^"]+)"/g))
        assert.match(text, new RegExp(`id="${id}"`))
      const ids = [...text.matchAll(/ id="([^"]+)"/g)].map(([, id]) => id)
      assert.equal(new Set(ids).size, ids.length, ids.join())
      for (const [, th = ''] of text.matchAll(/<th( [^>]*)?>/g)) assert.match(th, /scope="(col|row)"/)
    }
  })
  it('is given in parts that are found', async () => {
    const pages = await reviewPages()
    const script = pageOf(await pages.get('/bailiwick/review.js'))
    assert.equal(script.headers['content-type'], 'text/javascript; charset=utf-8')
    assert.doesNotThrow(() => new Script(bodyOf(script)))
    const sent = pageOf(await pages.get('/bailiwick/review'))
    assert.deepEqual([sent.status, sent.headers['location']], [303, 'https://gateway.test/bailiwick/review/'])
  })
})
