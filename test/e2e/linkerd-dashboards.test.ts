// Linkerd's dashboards and tools: whoever looks, each query answers as from a Prometheus that holds only their series.
import assert from 'node:assert/strict'
import { existsSync, readFileSync } from 'node:fs'
import { after, before, describe, it } from 'node:test'
import { each } from '../judges/server.ts'
import { dashboardQueries, requestsFor, requestsOf, viewers } from '../support/linkerd-queries.ts'
import type { DashboardQuery, Viewer } from '../support/linkerd-queries.ts'
import { dataOf, send } from '../support/prometheus-answers.ts'
import type { ApiRequest } from '../support/prometheus-answers.ts'
import { startHistory, startWorld } from '../support/world.ts'
import type { Database, World } from '../support/world.ts'

/** Linkerd's own words, where they lie beside the repository: they are not part of it. */
const official = new URL('../../../shared/linkerd/queries.json', import.meta.url)
const withoutOfficial = existsSync(official) ? false : '../shared/linkerd/queries.json is not beside the repository'

let world: World
/** What each may see, and nothing else, in a Prometheus; carol may see everything. */
let judges: Readonly<Record<Viewer, string>>
let tokens: ReadonlyMap<Viewer, string>
const started: Database[] = []

before(async () => {
  world = await startWorld()
  const only = async (namespace: string): Promise<string> => {
    const database = await startHistory((labels) => labels['namespace'] === namespace)
    started.push(database)
    return database.prometheus.url
  }
  judges = { alice: await only('emojivoto'), bob: await only('booksapp'), carol: world.prometheus.url }
  tokens = new Map(await Promise.all(viewers.map(async (viewer) => [viewer, await world.idp.token(viewer)] as const)))
})
after(async () => {
  for (const database of started) await database.stop()
  await world.stop()
})

describe('the list of queries', () => {
  it('shows something to somebody with each, or says why not', () => {
    for (const { board, text, shown, empty } of dashboardQueries) {
      assert.equal(shown.length === 0, empty !== undefined, `${board}: ${text}`)
    }
  })
  it('has each once', () => {
    const names = dashboardQueries.map(({ board, call, text }) => JSON.stringify([board, call, text]))
    assert.equal(new Set(names).size, names.length)
  })
  it('shows everybody something with half of those', () => {
    const used = dashboardQueries.filter(({ empty }) => empty === undefined)
    for (const viewer of viewers) {
      const shown = used.filter((query) => query.shown.includes(viewer))
      assert.ok(shown.length > used.length / 2, `${viewer}: only ${shown.length} of ${used.length}`)
    }
  })
  it('has many whose answer tells a narrowed one from the whole', async () => {
    const questions = dashboardQueries.filter(
      ({ text, shown }) => shown.includes('alice') && !text.includes('$namespace'),
    )
    let told = 0
    await each(questions, async (query) => {
      const [request] = requestsOf(query, 'alice')
      const [narrowed, whole] = await Promise.all([judges.alice, judges.carol].map((url) => send(url, request)))
      if (narrowed === undefined || whole === undefined) return
      if (!alike(await dataOf(narrowed), await dataOf(whole))) told += 1
    })
    assert.ok(told > 20, `only ${told} of ${questions.length}`)
  })
})

for (const [board, queries] of Map.groupBy(dashboardQueries, (query) => query.board)) {
  describe(`${board}: each query answers as it should`, () => {
    for (const viewer of viewers) {
      it(`${viewer}, ${queries.length} queries`, async () => {
        const outcomes: string[] = []
        await each(queries, async (query, index) => {
          outcomes[index] = `${query.text}: ${await outcomeOf(requestsOf(query, viewer), viewer)}`
        })
        assert.deepEqual(
          outcomes,
          queries.map((query) => `${query.text}: ${expectedOf(query, viewer)}`),
        )
      })
    }
  })
}

describe('the queries in Linkerd’s own words, each once', { skip: withoutOfficial }, () => {
  for (const viewer of viewers) {
    it(`answer ${viewer} as they should`, async () => {
      const requests = officialRequests()
      const outcomes: Outcome[] = []
      const wrong: string[] = []
      await each(requests, async (request) => {
        const outcome = await outcomeOf([request], viewer)
        outcomes.push(outcome)
        if (outcome.startsWith('differs')) wrong.push(`${JSON.stringify(request.params[0])}: ${outcome}`)
      })
      assert.deepEqual(wrong, [])
      assert.ok(outcomes.filter((outcome) => outcome === 'something').length > 20, 'nearly all are empty')
      if (viewer === 'carol') assert.ok(!outcomes.includes('refused'))
    })
  }
})

/** Whether an answer that is right has something in it, or what is wrong with it. */
type Outcome = 'something' | 'nothing' | 'refused' | `differs: ${string}`

function expectedOf({ shown, refused }: DashboardQuery, viewer: Viewer): Outcome {
  if (refused.includes(viewer)) return 'refused'
  return shown.includes(viewer) ? 'something' : 'nothing'
}

/** What came of the first request, unless one of the others went wrong. */
async function outcomeOf(requests: readonly [ApiRequest, ...ApiRequest[]], viewer: Viewer): Promise<Outcome> {
  const [first, ...rest] = requests
  for (const request of rest) {
    const outcome = await judge(request, viewer)
    if (outcome.startsWith('differs')) return outcome
  }
  return judge(first, viewer)
}

async function judge(request: ApiRequest, viewer: Viewer): Promise<Outcome> {
  const response = await send(world.app.url, request, { authorization: `Bearer ${tokens.get(viewer)}` })
  const expected = await dataOf(await send(judges[viewer], request))
  const something = isSomething(expected)
  if (response.status === 403) {
    const error = String(Reflect.get(Object(await response.json()), 'error'))
    const [, named = ''] = /you may not see namespace "([^"]+)"/.exec(error) ?? []
    const justified = named !== '' && JSON.stringify(request.params).includes(named) && !something
    return justified ? 'refused' : `differs: ${error}`
  }
  const shown = await dataOf(response)
  if (!alike(shown, expected)) return `differs: ${JSON.stringify(shown)} is not ${JSON.stringify(expected)}`
  return something ? 'something' : 'nothing'
}

function isSomething(data: unknown): boolean {
  const items: unknown = Array.isArray(data) ? data : Reflect.get(Object(data), 'result')
  return Array.isArray(items) && items.length > 0
}

/** Equal but for the last digits: Prometheus 2 adds up in an order that changes, so that it differs from itself, too. */
function alike(one: unknown, other: unknown): boolean {
  if (one === other) return true
  if (typeof one === 'string' && typeof other === 'string') {
    return Math.abs(Number(one) - Number(other)) <= 1e-9 * Math.abs(Number(other))
  }
  if (typeof one !== 'object' || typeof other !== 'object' || one === null || other === null) return false
  const [mine, theirs] = [Object.entries(one), Object.entries(other)]
  return mine.length === theirs.length && mine.every(([key, value]) => alike(value, Reflect.get(other, key)))
}

/** Each query of the official dashboards and tools, with its variables filled in, as one request. */
function officialRequests(): readonly ApiRequest[] {
  const entries: readonly { expr: string; concrete: string; kind: string; api?: string }[] = JSON.parse(
    readFileSync(official, 'utf8'),
  )
  const requests = entries.flatMap(({ expr, concrete, api }) => {
    const [, selector, label] = /^label_values\((?:(.*),\s*)?(\w+)\)$/s.exec(expr) ?? []
    if (label !== undefined) return requestsFor(selector === undefined ? '' : concrete, { valuesOf: label })
    return requestsFor(concrete, api === 'query_range' ? 'range' : 'instant')
  })
  return [...new Map(requests.map((request) => [JSON.stringify(request), request])).values()]
}
