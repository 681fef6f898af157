// Judge b: what storage is asked. It shares no reader of PromQL with us: Prometheus parses, a stub writes down.
import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { rewriteQuery } from '../../src/promql/rewrite.ts'
import { attacks } from '../judges/attacks.ts'
import { laterExpressions, otherExpressions, ownExpressions, withoutOthers } from '../judges/corpora.ts'
import { matches } from '../judges/corpus.ts'
import type { Rewriter } from '../judges/format.ts'
import { markOf, markedScopes } from '../judges/scopes.ts'
import { without3 } from '../judges/server.ts'
import { judgeMatch, judgeStorage, selectsOf, startStorage } from '../judges/storage.ts'
import type { Storage, StorageVerdict } from '../judges/storage.ts'

interface Tally {
  good: number
  selects: number
  readonly bad: string[]
  readonly refused: Set<string>
}

function tally(): Tally & { add(name: string, verdict: StorageVerdict): void } {
  return {
    good: 0,
    selects: 0,
    bad: [],
    refused: new Set(),
    add(name, verdict) {
      if (verdict.is === 'bad') this.bad.push(`${name}: ${verdict.problem}`)
      if (verdict.is === 'refused') this.refused.add(verdict.reason)
      if (verdict.is !== 'good') return
      this.good++
      this.selects += verdict.selects
    },
  }
}

/** One after another, so that each select has one owner. */
async function judgeAll(storage: Storage, texts: readonly string[], rewrite: Rewriter = rewriteQuery) {
  const all = tally()
  for (const [index, text] of texts.entries()) {
    for (const marked of markedScopes) {
      const verdict = await judgeStorage(storage, rewrite, text, marked, markOf(index))
      all.add(`${marked.name}: ${JSON.stringify(text)}`, verdict)
    }
  }
  return all
}

const whole = process.env['JUDGES'] === 'all'

for (const which of ['prometheus', 'prometheus3'] as const) {
  describe(`the selects of ${which}`, { skip: which === 'prometheus3' && without3 }, () => {
    let storage: Storage
    before(async () => {
      storage = await startStorage(which)
    })
    after(() => storage.stop())

    it('are seen at all, as they are', async () => {
      const selects = await selectsOf(storage, 'rate(up{job="x"}[5m]) or {a=~"b|c",d!="",e!~"f"}')
      assert.deepEqual(
        selects?.map(({ matchers }) => matchers),
        [
          ['job=x', '__name__=up'],
          ['a=~b|c', 'd!=', 'e!~f'],
        ],
      )
    })

    it('begin with the scope and are otherwise those of the original', async () => {
      const { bad, good, selects } = await judgeAll(storage, [...ownExpressions, ...laterExpressions])
      assert.deepEqual(bad, [])
      assert.ok(good > 1500 && selects > 2000, `only ${good} queries and ${selects} selects`)
    })

    it('begin with the scope, whatever the attack', async () => {
      const { bad, good, refused } = await judgeAll(storage, attacks)
      assert.deepEqual(bad, [])
      assert.ok(good > 200, `only ${good}`)
      assert.ok(!refused.has('internal'))
    })

    const skip = whole ? withoutOthers : 'npm run conformance judges these too'
    it('begin with the scope in the expressions of others', { skip }, async () => {
      const { bad, good } = await judgeAll(storage, otherExpressions())
      assert.deepEqual(bad, [])
      assert.ok(good > 4000, `only ${good}`)
    })

    it('begin with the scope where match[] asks for series', async () => {
      const all = tally()
      for (const [index, match] of matches.entries()) {
        for (const marked of markedScopes) all.add(match, await judgeMatch(storage, match, marked, markOf(index)))
      }
      assert.deepEqual(all.bad, [])
      assert.equal(all.good, matches.length * markedScopes.length)
    })

    it('would show a comment that was read otherwise', async () => {
      // What a reader makes of it for whom a comment ends at a line feed only.
      const fooled: Rewriter = (text, scope) => {
        const result = rewriteQuery(text.replace(/#.*/s, ''), scope)
        const rest = /#.*/s.exec(text)?.[0] ?? ''
        return result.ok ? { ok: true, value: { ...result.value, sent: `${result.value.sent} ${rest}` } } : result
      }
      const { bad } = await judgeAll(storage, ['up # x\r or secret'], fooled)
      assert.equal(bad.length, markedScopes.length)
      assert.match(bad[0] ?? '', /unscoped select: __name__=secret/)
    })

    it('would show a query that lost a selector', async () => {
      const lossy: Rewriter = (text, scope) => rewriteQuery(text.replace(/ or .*/, ''), scope)
      const { bad } = await judgeAll(storage, ['up or go_goroutines'], lossy)
      assert.equal(bad.length, markedScopes.length)
      assert.match(bad[0] ?? '', /other selects/)
    })
  })
}

describe('info() on Prometheus 3', { skip: without3 }, () => {
  it('asks storage for a metric that no selector names, which is why it is refused', async () => {
    const storage = await startStorage('prometheus3')
    try {
      const forged = 'info(label_replace(label_replace(vector(1), "job", "theirs", "", ""), "instance", "i", "", ""))'
      const selects = await selectsOf(storage, forged)
      assert.match(JSON.stringify(selects), /__name__=target_info/)
      const result = rewriteQuery(forged, { kind: 'everything' })
      assert.equal(!result.ok && result.error.reason, 'unsupported')
    } finally {
      await storage.stop()
    }
  })
})
