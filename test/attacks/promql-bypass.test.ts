import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { defaultLimits } from '../../src/promql/limits.ts'
import { parse } from '../../src/promql/parser.ts'
import { rewriteQuery, rewriteSelector, scopeSelector } from '../../src/promql/rewrite.ts'
import type { Reason, Scope } from '../../src/promql/rewrite.ts'

const mine: Scope = { kind: 'labels', alternatives: [{ label: 'namespace', allow: ['mine'], deny: [] }] }

function sent(text: string, scope: Scope = mine): string {
  const result = rewriteQuery(text, scope)
  assert.ok(result.ok, `${text}: ${result.ok ? '' : result.error.message}`)
  return result.value.sent
}

function refused(text: string, reason: Reason, scope: Scope = mine): void {
  const result = rewriteQuery(text, scope)
  assert.ok(!result.ok, `${JSON.stringify(text)} was let through as ${result.ok ? result.value.sent : ''}`)
  assert.equal(result.error.reason, reason, result.error.message)
}

/** Every selector that Prometheus would read in the text begins with our matcher. */
function enforced(text: string, selectors: number): void {
  const found = parse(sent(text), defaultLimits).selectors
  assert.equal(found.length, selectors, text)
  for (const { matchers } of found) {
    const [first] = matchers
    assert.deepEqual([first?.label, first?.op, first?.value], ['namespace', '=~', 'mine'], text)
  }
}

describe('a second reading: text that Prometheus and a gateway could understand differently', () => {
  it('a comment ends at a carriage return as well as at a line feed', () => {
    assert.equal(sent('up # x\r or secret'), 'up{namespace=~"mine"} or secret{namespace=~"mine"}')
    assert.equal(sent('up # x\n or secret'), 'up{namespace=~"mine"} or secret{namespace=~"mine"}')
    assert.equal(sent('up{a="b" #"\r,c="d"}'), 'up{namespace=~"mine",a="b",c="d"}')
    assert.equal(sent('up # or secret'), 'up{namespace=~"mine"}')
  })

  it('comments and layout are never forwarded', () => {
    assert.equal(sent('sum  (\tup # }{ \n)\r\n'), 'sum(up{namespace=~"mine"})')
  })

  it('hash signs and quotes inside strings start nothing', () => {
    assert.equal(sent('up{a="#\\"} or secret{"}'), 'up{namespace=~"mine",a="#\\"} or secret{"}')
    assert.equal(sent('up{a=`"} or secret{`}'), 'up{namespace=~"mine",a="\\"} or secret{"}')
    assert.equal(sent(`up{a='"} or secret{'}`), 'up{namespace=~"mine",a="\\"} or secret{"}')
  })

  it('backticks know no escapes and no line end', () => {
    assert.equal(sent('up{a=`\\`}'), 'up{namespace=~"mine",a="\\\\"}')
    assert.equal(sent('up{a=`x\ny`}'), 'up{namespace=~"mine",a="x\\ny"}')
    refused('up{a=`\\`x`}', 'syntax')
  })

  it('a string ends where Prometheus ends it', () => {
    for (const text of ['"abc', "'abc", '`abc', '"a\n"', '"\\', '"\\"', "'\\'"]) refused(text, 'syntax')
    for (const escape of ["\\'", '\\c', '\\u12', '\\400', '\\ud800', '\\x.', '\\U00110000', '\\8', '\\\n']) {
      refused(`up{a="${escape}"}`, 'syntax')
    }
    refused(`up{a='\\"'}`, 'syntax')
  })

  it('control characters are no hexadecimal digits', () => {
    for (const control of ['\u0010', '\u0011', '\u0001']) refused(`up{a="\\x${control}1"}`, 'syntax')
  })

  it('white space that Prometheus does not know is refused', () => {
    for (const blank of ['\u00a0', '\v', '\f', '\u2003', '\u2028', '\ufeff', '\u0085', '\0']) {
      refused(`up${blank}+ up`, 'syntax')
    }
  })

  it('what is not valid Unicode is refused', () => {
    refused('up{a="\ud800"}', 'syntax')
    refused('"\udc80"', 'syntax')
    refused('up # \udfff', 'syntax')
    refused('up{a="\ufffd"}', 'syntax')
    refused('`\ufffd`', 'syntax')
    assert.equal(sent('up{a="\\ufffd"}'), 'up{namespace=~"mine",a="\\ufffd"}')
  })

  it('bytes that are not UTF-8 stay the bytes they are', () => {
    assert.equal(sent('up{a="\\xff\\377"}'), 'up{namespace=~"mine",a="\\xff\\xff"}')
    assert.equal(sent('up{a="\\xc3\\xa9"}'), 'up{namespace=~"mine",a="\\u00e9"}')
    assert.equal(sent('up{a="\\xed\\xa0\\x80"}'), 'up{namespace=~"mine",a="\\xed\\xa0\\x80"}')
  })

  it('what is sent is printable ASCII whatever was asked', () => {
    const text = sent('up{a="é☺😀\\x00\\x7f\r\t",b=~`ÿ`}')
    assert.match(text, /^[\x20-\x7e]+$/)
    assert.equal(text, 'up{namespace=~"mine",a="\\u00e9\\u263a\\U0001f600\\x00\\x7f\\r\\t",b=~"\\u00ff"}')
  })

  it('letters between brackets are no colon, as they are for Prometheus 2', () => {
    refused('foo[5s x 5s]', 'syntax')
    refused('foo[5s s 5s]', 'syntax')
  })

  it('brackets, braces, commas or parentheses too many', () => {
    for (const text of ['up[[5m]]', 'up{{}}', 'up}', 'up{a="b"}}', 'up)', '(up', 'up{a="b",,c="d"}', 'up{,}']) {
      refused(text, 'syntax')
    }
  })
})

describe('names in disguise', () => {
  it('keywords as metric names get braces, so that they stay names', () => {
    assert.equal(sent('sum + by'), 'sum{namespace=~"mine"} + by{namespace=~"mine"}')
    assert.equal(sent('and and and'), 'and{namespace=~"mine"} and and{namespace=~"mine"}')
    assert.equal(sent('offset offset 5m'), 'offset{namespace=~"mine"} offset 5m')
    assert.equal(sent('fill + fill_left'), 'fill{namespace=~"mine"} + fill_left{namespace=~"mine"}')
    enforced('start + end + step + range + anchored + smoothed', 6)
    refused('atan2', 'syntax')
    refused('bool', 'syntax')
  })

  it('quoted and escaped label names are read before they are compared', () => {
    assert.equal(sent('up{"na\\u006despace"=~".*"}'), 'up{namespace=~"mine",namespace=~".*"}')
    refused('up{"na\\u006despace"="theirs"}', 'not_allowed')
    refused('up{"\\156amespace"="theirs"}', 'not_allowed')
    refused("up{'namespace'=`theirs`}", 'not_allowed')
  })

  it('a quoted metric name is a metric name', () => {
    assert.equal(sent('{"secret"}'), '{namespace=~"mine",__name__="secret"}')
    assert.equal(sent('{"secret.metric",a="b"}'), '{namespace=~"mine",__name__="secret.metric",a="b"}')
    refused('up{"secret"}', 'type')
    refused('up{"__name__"="secret"}', 'type')
    refused('up{__name__=~".+"}', 'type')
  })

  it('{__name__=~".+"} asks for everything and gets everything of mine', () => {
    assert.equal(sent('{__name__=~".+"}'), '{namespace=~"mine",__name__=~".+"}')
  })

  it('label names that are keywords or need quotes are printed so that they are read back', () => {
    assert.equal(
      sent('sum by (sum, "without", "inf", "a b") (up)'),
      'sum by (sum, "without", "inf", "a b") (up{namespace=~"mine"})',
    )
    refused('sum by (without) (up)', 'syntax')
  })

  it('label_replace paints labels on rows that were mine already', () => {
    assert.equal(
      sent('label_replace(up, "namespace", "theirs", "", "")'),
      'label_replace(up{namespace=~"mine"}, "namespace", "theirs", "", "")',
    )
  })
})

describe('selectors in odd places', () => {
  it('aggregation parameters hold selectors', () => {
    enforced('topk(scalar(secret), up)', 2)
    enforced('quantile(scalar(sum(secret)), up)', 2)
    enforced('limit_ratio(scalar(secret), up)', 2)
    enforced('topk(scalar(topk(scalar(a), b)), c)', 3)
  })

  it('the right side of or, and, unless', () => {
    enforced('up or secret', 2)
    enforced('up or on () secret unless on () other and more', 4)
    enforced('1 + (2 * (up or secret))', 2)
  })

  it('subqueries, @ and offset', () => {
    enforced('max_over_time(secret[5m:1m] @ start() offset 1h)', 1)
    enforced('max_over_time((up or secret)[5m:])', 2)
    enforced('secret @ 1 offset -5m', 1)
    enforced('quantile_over_time(scalar(secret), up[5m])', 2)
  })

  it('absent() and signs', () => {
    enforced('absent(secret)', 1)
    enforced('- - + secret ^ -secret', 2)
  })

  it('experimental modifiers', () => {
    enforced('rate(secret[5m] smoothed) + on (a) group_left () fill_left (0) fill_right (1) other', 2)
    enforced('rate(secret[5m] anchored)', 1)
    enforced('up </ secret >/ other', 3)
  })

  it('info() reads series that no selector names', () => {
    refused('info(up)', 'unsupported')
    refused('info(label_replace(vector(1), "job", "victim", "", ""))', 'unsupported')
    refused('sum(info(up, {__name__="secret"}))', 'unsupported')
  })

  it('a function of a later Prometheus is unknown here', () => {
    refused('info2(up)', 'unknown_name')
    refused('INFO(up)', 'unknown_name')
  })
})

describe('match[] parameters', () => {
  it('take one plain selector and nothing else', () => {
    const texts = ['up or secret', 'up[5m]', 'up offset 5m', 'up @ 1', '(up)', 'sum(up)', '1', '"up"', 'up smoothed']
    for (const text of texts) {
      const result = rewriteSelector(text, mine)
      assert.ok(!result.ok && result.error.reason === 'type', text)
    }
    const result = rewriteSelector('up#\r', mine)
    assert.deepEqual(result.ok && result.value.sent, ['up{namespace=~"mine"}'])
  })

  it('never become an empty list, which Prometheus would read as everything', () => {
    assert.deepEqual(scopeSelector({ kind: 'nothing' }), ['{__name__="",__name__!=""}'])
    assert.ok(!rewriteSelector('up', { kind: 'nothing' }).ok)
    const denied: Scope = { kind: 'labels', alternatives: [{ label: 'namespace', allow: ['a'], deny: ['*'] }] }
    assert.deepEqual(scopeSelector(denied), ['{__name__="",__name__!=""}'])
    assert.ok(!rewriteSelector('up', denied).ok)
  })
})
