import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import * as fc from 'fast-check'
import { cutEntry } from '../../../src/audit/cut.ts'
import { auditLimits } from '../../../src/audit/limits.ts'
import { encodeEntry, firstChain, recordLine } from '../../../src/audit/line.ts'
import type { DecisionEntry } from '../../../src/audit/record.ts'
import { decision, outcome, parseLine, type Line } from './support.ts'

const head = { seq: 7, ts: '2025-11-21T08:00:00.000Z', log: 'l', boot: 'b' }

function lineOf(entry: Parameters<typeof encodeEntry>[0], limits = auditLimits): string {
  return recordLine(head, encodeEntry(entry, limits), firstChain).line
}

function membersOf(line: string): Omit<Line, 'seq' | 'ts' | 'log' | 'boot' | 'chain'> {
  const parsed: Line & { v: number } = JSON.parse(line)
  const { v, seq, ts, log, boot, chain, ...members } = parsed
  assert.deepEqual({ v, seq, ts, log, boot }, { v: 1, ...head })
  assert.match(chain, /^[0-9a-f]{64}$/)
  return members
}

// Any UTF-16 unit, so lone surrogates too, with the characters that break lines and JSON drawn often.
const unit = fc.oneof(
  fc.integer({ min: 0, max: 0xffff }).map((code) => String.fromCharCode(code)),
  fc.constantFrom('\n', '\r', '"', '\\', '\u2028', '\u2029', '\u0085', '\ud800', '\udc00', '\u0000', '\u202e', '💥'),
)
const text = fc.string({ unit, maxLength: 20 })
const params = fc.array(fc.tuple(text, text), { maxLength: 5 })
const anyDecision: fc.Arbitrary<DecisionEntry> = fc
  .record({
    request: text,
    received: text,
    who: fc.option(fc.record({ issuer: text, subject: text, name: text, groups: fc.array(text), via: text })),
    from: fc.record({ peer: text, userAgent: text }, { requiredKeys: ['peer'], noNullPrototype: true }),
    claimed: fc.dictionary(fc.oneof(text, fc.constant('__proto__')), text, { noNullPrototype: true }),
    cluster: fc.option(text),
    method: text,
    endpoint: fc.option(text),
    path: text,
    asked: params,
    sent: fc.option(fc.array(fc.record({ path: text, params }), { maxLength: 3 })),
    selectors: fc.array(fc.jsonValue({ stringUnit: 'binary' }), { maxLength: 3 }),
    decision: fc.constantFrom('allow' as const, 'deny' as const),
    because: fc.array(text),
    scope: text,
    policy: fc.option(text),
  })
  .map((fields) => ({ kind: 'decision', ...fields }))

describe('the line of a record', () => {
  it('gives any entry back', () => {
    fc.assert(
      fc.property(anyDecision, (entry) => {
        // JSON has no negative zero; everything else has to come back as it went in.
        assert.deepEqual(membersOf(lineOf(entry)), JSON.parse(JSON.stringify(entry)))
      }),
    )
  })

  it('is one line to every reader, whatever breaks lines for it', () => {
    fc.assert(
      fc.property(anyDecision, (entry) => {
        const line = lineOf(entry)
        assert.equal(line.split(/[\n\r\v\f\u0085\u2028\u2029]/).length, 2)
        assert.ok(line.endsWith('"}\n'))
        assert.ok(line.isWellFormed())
      }),
    )
  })

  it('shows nothing that a terminal obeys or that turns text around', () => {
    const line = lineOf(decision('r', 'a\u001b[2J\u009b2J\u007f\u202eb\u2066c'))
    assert.match(line, /a\\u001b\[2J\\u009b2J\\u007f\\u202eb\\u2066c/)
  })

  it('starts with the head and ends with the chain', () => {
    const keys = Object.keys(parseLine(lineOf(outcome('r'))))
    const own = ['kind', 'request', 'status', 'ms', 'bytes', 'ended']
    assert.deepEqual(keys, ['v', 'seq', 'ts', 'log', 'boot', ...own, 'chain'])
  })
})

describe('an entry that is too large', () => {
  it('keeps text up to the limit whole, and marks what it cuts beyond', () => {
    const limit = auditLimits.textUnits
    for (const [length, kept] of [
      [limit - 1, limit - 1],
      [limit, limit],
      [limit + 1, limit],
      [1024 * 1024, limit],
    ] as const) {
      const members = membersOf(lineOf(decision('r', 'x'.repeat(length))))
      assert.deepEqual(members.asked, [['query', 'x'.repeat(kept)]])
      assert.equal(members.truncated?.includes('/asked/0/1') ?? false, kept < length)
    }
  })

  it('does not cut a pair of surrogates in two', () => {
    const { fields, truncated } = cutEntry({ text: 'ab💥c' }, { textUnits: 3, fieldUnits: 100 })
    assert.deepEqual({ fields, truncated }, { fields: { text: 'ab' }, truncated: ['/text'] })
  })

  it('keeps the lone surrogate that was asked', () => {
    assert.deepEqual(cutEntry({ text: 'ab\ud83dc' }, { textUnits: 3, fieldUnits: 100 }).fields, { text: 'ab\ud83d' })
  })

  it('loses nothing of one field because of another', () => {
    const many = Array.from({ length: 200_000 }, (_, n): [string, string] => [`p${n}`, 'x'])
    const {
      decision: decided,
      sent,
      asked = many,
      truncated,
    } = membersOf(lineOf({ ...decision('r'), asked: many, claimed: { a: 'y'.repeat(1024 * 1024) } }))
    assert.equal(decided, 'allow')
    assert.deepEqual(sent, decision('r').sent)
    assert.ok(asked.length < many.length)
    assert.deepEqual([truncated?.[0], truncated?.at(-1)], ['/claimed/a', '/asked'])
  })

  it('ends for lists without text, deep trees and cycles', () => {
    const cycle: unknown[] = []
    cycle.push(cycle)
    const { fields, truncated } = cutEntry(
      {
        empty: Array.from({ length: 1_000_000 }, () => ''),
        cycle,
        wide: Array.from({ length: 200 }, () => 'xx'),
        big: 2n,
      },
      { textUnits: 1, fieldUnits: 8_000 },
    )
    assert.ok(Array.isArray(fields['empty']) && fields['empty'].length === 999)
    assert.equal(fields['big'], '2')
    assert.ok(truncated.includes('/empty'))
    assert.ok(truncated.some((pointer) => pointer.startsWith('/cycle/0/0/0')))
    assert.equal(truncated.length, 65)
    assert.equal(truncated.at(-1), '')
  })

  it('names cut members by JSON Pointer', () => {
    const { truncated } = cutEntry({ claimed: { 'a/b~c': 'xxxxxx' } }, { textUnits: 5, fieldUnits: 1000 })
    assert.deepEqual(truncated, ['/claimed/a~1b~0c'])
  })

  it('bounds any value', () => {
    const bounds = { textUnits: 20, fieldUnits: 200 }
    fc.assert(
      fc.property(fc.anything({ withBigInt: true, withDate: true, withSparseArray: true }), (value) => {
        const { fields } = cutEntry({ value }, bounds)
        assert.ok(JSON.stringify(fields).length <= 6 * bounds.fieldUnits + 200)
      }),
    )
  })
})
