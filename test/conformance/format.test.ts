// Judge a: Prometheus's own printer. What we print means to Prometheus what the user wrote, and with a scope on it the
// same with the scope on each selector.
import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { rewriteQuery } from '../../src/promql/rewrite.ts'
import { attacks } from '../judges/attacks.ts'
import { laterExpressions, otherExpressions, ownExpressions, withoutOthers } from '../judges/corpora.ts'
import { judgeFormat, judgeText } from '../judges/format.ts'
import type { Rewriter } from '../judges/format.ts'
import { onlyOnTwo, refusedOnPurpose } from '../judges/known.ts'
import { markOf, markedScopes } from '../judges/scopes.ts'
import { each, formatted, startServer, without3 } from '../judges/server.ts'
import type { Server, Which } from '../judges/server.ts'

/** Judges all texts under all scopes. */
async function problems(server: Server, texts: readonly string[], rewrite: Rewriter = rewriteQuery): Promise<string[]> {
  const found: string[] = []
  await each(texts, async (text, index) => {
    for (const marked of markedScopes) {
      const mark = markOf(index)
      const result = rewrite(text, marked.scope(mark))
      if (!result.ok) continue
      const { sent } = result.value
      const verdict = await judgeFormat(server, rewrite, text, sent, marked, mark)
      const problem = judgeText(sent, marked.beginnings(mark)) ?? ('problem' in verdict ? verdict.problem : undefined)
      if (problem !== undefined) found.push(`${marked.name}: ${JSON.stringify(text)}: ${problem}`)
    }
  })
  return found
}

/** What Prometheus reads and we refuse, but for `info()`. */
async function refusedByUs(server: Server, texts: readonly string[]): Promise<string[]> {
  const refused: string[] = []
  await each(texts, async (text) => {
    const result = rewriteQuery(text, { kind: 'everything' })
    if (result.ok || (await formatted(server, text)) === undefined) return
    if (result.error.reason === 'unsupported') assert.match(text, /\binfo\b/)
    else refused.push(text)
  })
  return refused.toSorted()
}

const onPurpose = (which: Which, texts: readonly string[]): string[] =>
  [...refusedOnPurpose]
    .filter(([text, { on }]) => on.includes(which) && texts.includes(text))
    .map(([text]) => text)
    .toSorted()

for (const which of ['prometheus', 'prometheus3'] as const) {
  describe(`format_query of ${which}`, { skip: which === 'prometheus3' && without3 }, () => {
    let server: Server
    before(async () => {
      server = await startServer(which)
    })
    after(() => server.stop())

    it('reads the corpus', async () => {
      const refused: string[] = []
      const texts = which === 'prometheus3' ? [...ownExpressions, ...laterExpressions] : ownExpressions
      await each(texts, async (text) => {
        if ((await formatted(server, text)) === undefined) refused.push(text)
      })
      assert.deepEqual(refused, which === 'prometheus3' ? onlyOnTwo : [])
    })

    it('sees no change in our corpus and the attacks', async () => {
      assert.deepEqual(await problems(server, [...ownExpressions, ...laterExpressions, ...attacks]), [])
    })

    it('sees no change in the expressions of others', { skip: withoutOthers }, async () => {
      assert.deepEqual(await problems(server, otherExpressions()), [])
    })

    it('reads nothing that we refuse, but for what is refused on purpose', async () => {
      const texts = [...ownExpressions, ...laterExpressions, ...attacks, ...otherExpressions()]
      assert.deepEqual(await refusedByUs(server, [...new Set(texts)]), onPurpose(which, texts))
    })

    it('would notice a selector without the scope, a lost part, and a changed value', async () => {
      const broken =
        (change: (sent: string) => string): Rewriter =>
        (text, scope) => {
          const result = rewriteQuery(text, scope)
          return result.ok ? { ok: true, value: { ...result.value, sent: change(result.value.sent) } } : result
        }
      const texts = ['up + up{job="x"}']
      const changes = [/\{bw_team=~"n0z"\}(?= \+)/, / \+ .*$/, /"x"/]
      for (const change of changes) {
        const found = await problems(
          server,
          texts,
          broken((sent) => sent.replace(change, '')),
        )
        assert.ok(found.length > 0, String(change))
      }
    })
  })
}
