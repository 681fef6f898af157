// The judges themselves: their readers read, and what they say can be repeated.
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { ownExpressions, withoutOthers } from '../judges/corpora.ts'
import { inputAt } from '../judges/fuzz-run.ts'
import { shrink } from '../judges/mutate.ts'
import { randomFor } from '../judges/random.ts'
import { readRequest } from '../judges/read-request.ts'
import { samePrint, scan } from '../judges/scan.ts'
import { snappyLiteral, unsnappy } from '../judges/snappy.ts'

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text)
const textOf = (raw: Uint8Array): string => new TextDecoder().decode(raw)

describe('snappy', () => {
  it('unpacks literals and copies of all lengths', () => {
    assert.equal(textOf(unsnappy(Uint8Array.of(3, 8, ...bytes('abc')))), 'abc')
    assert.equal(textOf(unsnappy(snappyLiteral(bytes('x'.repeat(60))))), 'x'.repeat(60))
    // A literal of 61 bytes says its length in a byte of its own.
    assert.equal(textOf(unsnappy(Uint8Array.of(61, 60 << 2, 60, ...bytes('y'.repeat(61))))), 'y'.repeat(61))
    // "ab", then four more from two back (one-byte offset), then three from six back (two bytes), then one (four bytes).
    const packed = Uint8Array.of(10, 4, ...bytes('ab'), 0b00000001, 2, 0b00001010, 6, 0, 0b00000011, 1, 0, 0, 0)
    assert.equal(textOf(unsnappy(packed)), 'abababABAA'.toLowerCase())
  })

  it('refuses what does not follow the format', () => {
    for (const broken of [
      [],
      [4],
      [4, 12, 97],
      [1, 4, 97, 98],
      [4, 1, 1],
      [9, 0, 97],
      [0xff, 0xff, 0xff, 0xff, 0x7f],
    ]) {
      assert.throws(() => unsnappy(Uint8Array.from(broken)), RangeError, String(broken))
    }
  })
})

describe('remote read', () => {
  const field = (number: number, content: readonly number[]): number[] => [number * 8 + 2, content.length, ...content]
  const matcher = (type: number, label: string, value: string): number[] =>
    field(3, [...(type === 0 ? [] : [8, type]), ...field(2, [...bytes(label)]), ...field(3, [...bytes(value)])])

  it('reads times, all operators, and skips hints', () => {
    const query = [
      8,
      0xe8,
      7,
      16,
      0xd0,
      0x0f,
      ...matcher(0, 'a', '1'),
      ...matcher(1, 'b', ''),
      ...matcher(2, 'c', 'x|y'),
    ]
    const message = [...field(1, [...query, ...matcher(3, 'd', 'é'), ...field(4, [8, 1])]), 16, 0]
    assert.deepEqual(readRequest(Uint8Array.from(message)), [
      { matchers: ['a=1', 'b!=', 'c=~x|y', 'd!~é'], start: 1000, end: 2000 },
    ])
  })

  it('reads times before 1970, several queries, and bytes that are no text', () => {
    const minusOne = [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01]
    const odd = field(3, [...field(2, [97]), ...field(3, [0xff])])
    const [first, second] = readRequest(Uint8Array.from([...field(1, [8, ...minusOne]), ...field(1, odd)]))
    assert.equal(first?.start, -1)
    assert.deepEqual(second?.matchers, ['a=latin1:ÿ'])
  })

  it('refuses a message that is cut', () => {
    assert.throws(() => readRequest(Uint8Array.of(10, 5, 8)), RangeError)
    assert.throws(() => readRequest(Uint8Array.of(10)), RangeError)
  })
})

describe('the scan of a printed text', () => {
  const found = (text: string): readonly string[] =>
    scan(text).map(({ name, matchers }) => `${name}{${matchers.join(',')}}`)

  it('finds every selector, also those without braces', () => {
    assert.deepEqual(found('up'), ['up{}'])
    assert.deepEqual(found('sum by (a) (x{b="}"}) + on (c) group_left (d) y{}'), ['x{b="}"}', 'y{}'])
    assert.deepEqual(found('topk(scalar(a{}), {"b",c=~"d,e"})'), ['a{}', '{"b",c=~"d,e"}'])
    assert.deepEqual(found('max_over_time(a{}[5m:1m] @ end() offset 5m)'), ['a{}'])
    assert.deepEqual(found('and{x="1"} and secret'), ['and{x="1"}', 'secret{}'])
    assert.deepEqual(found('sum(secret) by (a)'), ['secret{}'])
    assert.deepEqual(found('rate(a{}[step() * 2 + 5m] anchored) == bool 1e+06 or :b{}'), ['a{}', ':b{}'])
  })

  it('refuses what no printer writes', () => {
    for (const text of ["up{a='b'}", 'up # x', 'up{a=`b`}', 'up{a="b}', 'up{a="b"', 'sum by (a']) {
      assert.throws(() => scan(text), Error, text)
    }
  })

  it('takes two prints for the same in spite of their layout, and of nothing else', () => {
    assert.ok(samePrint('sum by (a) (\n  x{b="c  d"}\n)\nor\n  y', 'sum by (a) (x{b="c  d"}) or y', false))
    assert.ok(!samePrint('x{b="c  d"}', 'x{b="c d"}', false))
    assert.ok(!samePrint('a or b', 'aor b', false))
    assert.ok(!samePrint('x[1h30m:20s]', 'x[5400:20]', false))
    assert.ok(!samePrint('x * 1', 'x * 2', true))
  })

  it('knows the seconds of a duration', () => {
    assert.ok(samePrint('x[1h30m:20s]', 'x[5400:20]', true))
    assert.ok(!samePrint('x[5m]', 'x[5]', true))
    assert.ok(samePrint('9m3s20ms', '543.021', true))
    assert.ok(!samePrint('9m3s20ms', '543.022', true))
    assert.ok(!samePrint('543.02', '543.021', true))
  })
})

describe('the fuzzer', () => {
  it('gives the same inputs for the same seed, and others for another', () => {
    const inputs = (seed: number): string[] => Array.from({ length: 50 }, (_, index) => inputAt(seed, index, true))
    assert.deepEqual(inputs(7), inputs(7))
    assert.notDeepEqual(inputs(7), inputs(8))
    assert.ok(new Set(inputs(7)).size > 45)
  })

  it('reaches every number below a limit', () => {
    const random = randomFor(1, 2)
    const seen = new Set(Array.from({ length: 400 }, () => random.below(10)))
    assert.deepEqual(seen, new Set([0, 1, 2, 3, 4, 5, 6, 7, 8, 9]))
  })

  it('makes a failing text as small as it gets', async () => {
    const fails = async (text: string): Promise<boolean> => text.includes('#') && text.includes('\r')
    assert.equal(await shrink('sum(up{a="b"} # comment \r or secret) by (x)', fails), '#\r')
  })
})

describe('the corpora', () => {
  it('hold what this repository wrote, each expression once', () => {
    assert.ok(ownExpressions.length >= 300)
    assert.equal(new Set(ownExpressions).size, ownExpressions.length)
  })
  it('hold the expressions of Prometheus and the dashboards of Linkerd', { skip: withoutOthers }, () => {
    assert.equal(withoutOthers, false)
  })
})
