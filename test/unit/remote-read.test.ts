import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import type { Scope } from '../../src/policy/scope.ts'
import { readLimits } from '../../src/prometheus/limits.ts'
import { decodeReadRequest, encodeReadRequest, scopeReadRequest } from '../../src/prometheus/remote-read.ts'
import type { ReadQuery, ReadRequest } from '../../src/prometheus/remote-read.ts'
import { packSnappy, unpackSnappy } from '../../src/prometheus/snappy.ts'
import type { Match } from '../../src/promql/match-list.ts'
import { readRequest } from '../judges/read-request.ts'
import { unsnappy } from '../judges/snappy.ts'

const team: Scope = {
  kind: 'labels',
  alternatives: [{ label: 'namespace', allow: ['a', 'team-*'], deny: ['team-secret'] }],
}
const teamMatchers = ['namespace=~a|team-.*', 'namespace!~team-secret']
const everything: Scope = { kind: 'everything' }
const union: Scope = {
  kind: 'labels',
  alternatives: [
    { label: 'namespace', allow: ['a', 'b'], deny: [] },
    { label: 'dst_namespace', allow: ['a'], deny: [] },
  ],
}

const eq = (label: string, value: string): Match => ({ label, op: '=', value })
const query = (...matchers: Match[]): ReadQuery => ({ start: 1n, end: 2n, matchers })
const request = (...queries: ReadQuery[]): ReadRequest => ({ queries, responseTypes: [] })

function scoped(asked: ReadRequest, scope: Scope) {
  const result = scopeReadRequest(encodeReadRequest(asked), scope)
  assert.ok(result.ok, result.ok ? '' : JSON.stringify(result.error))
  return result.value
}

function refusal(asked: ReadRequest, scope: Scope) {
  const result = scopeReadRequest(encodeReadRequest(asked), scope)
  assert.ok(!result.ok)
  return result.error
}

/** The matchers of each query, as a reader other than ours sees them. */
const judged = (body: Uint8Array) => readRequest(unsnappy(body)).map(({ matchers }) => matchers)
const textOf = ({ label, op, value }: Match): string => `${label}${op}${value}`

const plainObjects = { noNullPrototype: true } as const
const text = fc.oneof(fc.constantFrom('a', 'b', 'up', 'team-x', '', '.*', 'a|b'), fc.string({ unit: 'binary' }))
const int64 = fc.oneof(fc.constantFrom(0n, -(2n ** 63n), 2n ** 63n - 1n), fc.bigInt(-(2n ** 63n), 2n ** 63n - 1n))
const label = fc.oneof(
  fc.constantFrom('namespace', 'dst_namespace', '__name__', 'job'),
  fc.string({ unit: 'binary', minLength: 1 }),
)
const match = fc.record<Match>({ label, op: fc.constantFrom('=', '!=', '=~', '!~'), value: text }, plainObjects)
const hints = fc.record(
  {
    step: int64,
    func: text,
    start: int64,
    end: int64,
    grouping: fc.array(text, { maxLength: 3 }),
    by: fc.boolean(),
    range: int64,
  },
  plainObjects,
)
const queries = fc.array(
  fc.record(
    { start: int64, end: int64, matchers: fc.array(match, { maxLength: 4 }), hints },
    { ...plainObjects, requiredKeys: ['start', 'end', 'matchers'] },
  ),
  { minLength: 1, maxLength: 3 },
)
const requests: fc.Arbitrary<ReadRequest> = fc.record(
  {
    queries,
    responseTypes: fc.constantFrom<ReadRequest['responseTypes']>(
      [],
      ['samples'],
      ['streamed_chunks'],
      ['streamed_chunks', 'samples'],
    ),
  },
  plainObjects,
)

describe('a read request', () => {
  it('decodes to what was encoded', () => {
    fc.assert(
      fc.property(requests, (asked) => {
        assert.deepEqual(decodeReadRequest(encodeReadRequest(asked)), { ok: true, value: asked })
      }),
    )
  })

  it('encodes to what another reader understands', () => {
    fc.assert(
      fc.property(requests, (asked) => {
        const wanted = asked.queries.map(({ matchers }) => matchers.map(textOf))
        assert.deepEqual(judged(encodeReadRequest(asked)), wanted)
      }),
    )
  })

  it('is read whether its numbers come packed or one by one', () => {
    const one = [0x0a, 0x00]
    for (const types of [
      [0x12, 0x02, 0x01, 0x00],
      [0x10, 0x01, 0x10, 0x00],
      [0x10, 0x01, 0x12, 0x01, 0x00],
    ]) {
      const decoded = decodeReadRequest(packSnappy(Uint8Array.from([...one, ...types])))
      assert.ok(decoded.ok)
      assert.deepEqual(decoded.value.responseTypes, ['streamed_chunks', 'samples'])
    }
  })
})

describe('a scoped read request', () => {
  it("has the scope's matchers first in every query, then all of the caller's, and the rest as it was", () => {
    fc.assert(
      fc.property(requests, (asked) => {
        const result = scopeReadRequest(encodeReadRequest(asked), team)
        if (!result.ok) return assert.equal(result.error.is, 'not_allowed')
        for (const [index, sent] of judged(result.value.body).entries()) {
          const own = asked.queries[index]?.matchers.map(textOf) ?? []
          const [first = ''] = sent
          // Fewer values than the scope allows where the caller lists some.
          const listed = ['namespace=~a', 'namespace=~team-x', 'namespace=~a|team-x'].includes(first)
          assert.deepEqual(sent, listed ? [first, ...own] : [...teamMatchers, ...own])
        }
        const read = decodeReadRequest(result.value.body)
        assert.ok(read.ok)
        const bare = (request: ReadRequest) => ({
          ...request,
          queries: request.queries.map((query) => ({ ...query, matchers: [] })),
        })
        return assert.deepEqual(bare(read.value), bare(asked))
      }),
    )
  })

  it("is the scope's matchers alone where it asks for everything", () => {
    assert.deepEqual(judged(scoped(request(query()), team).body), [teamMatchers])
  })

  it('denies what the scope denies where the caller only hints at it', () => {
    const asked = request(query({ label: 'namespace', op: '=~', value: 'team-.*' }))
    assert.deepEqual(judged(scoped(asked, team).body), [[...teamMatchers, 'namespace=~team-.*']])
  })

  it('is unchanged for who sees every series', () => {
    fc.assert(
      fc.property(requests, (asked) => {
        assert.deepEqual(decodeReadRequest(scoped(asked, everything).body), { ok: true, value: asked })
      }),
    )
  })

  it('is refused without rights, whatever it says', () => {
    assert.deepEqual(refusal(request(query()), { kind: 'nothing' }), { is: 'no_rights' })
    assert.deepEqual(scopeReadRequest(Uint8Array.of(1, 2, 3), { kind: 'nothing' }), {
      ok: false,
      error: { is: 'no_rights' },
    })
  })

  it('is refused without rights where all that is allowed is denied again', () => {
    const none: Scope = { kind: 'labels', alternatives: [{ label: 'namespace', allow: ['a'], deny: ['*'] }] }
    assert.deepEqual(refusal(request(query()), none), { is: 'no_rights' })
  })

  it('is refused where one of its queries names what the caller may not see', () => {
    const error = refusal(request(query(eq('namespace', 'a')), query(eq('namespace', 'other'))), team)
    assert.equal(error.is, 'not_allowed')
    assert.match('message' in error ? error.message : '', /"other"/)
  })

  it('says what it left out', () => {
    const asked = request(query({ label: 'namespace', op: '=~', value: 'a|other' }))
    const { body, notes } = scoped(asked, team)
    assert.deepEqual(judged(body), [['namespace=~a', 'namespace=~a|other']])
    assert.deepEqual(notes, ['left out, because you may not see it: namespace "other"'])
  })

  it('is told for the record as it was asked', () => {
    const matchers = [eq('__name__', 'up'), eq('namespace', 'a')]
    const { selectors } = scoped(request(query(...matchers), query()), team)
    assert.deepEqual(selectors, [
      { metric: 'up', matchers },
      { metric: null, matchers: [] },
    ])
  })

  it('tells what the answer may be; samples where nothing is asked', () => {
    assert.deepEqual(scoped(request(query()), team).responseTypes, ['samples'])
    const asked = { ...request(query()), responseTypes: ['streamed_chunks', 'samples'] as const }
    assert.deepEqual(scoped(asked, team).responseTypes, ['streamed_chunks', 'samples'])
  })
})

describe('a scope of several alternatives', () => {
  it('is refused where the query leaves more than one', () => {
    for (const matchers of [[], [eq('job', 'x')], [{ ...eq('namespace', '.*'), op: '=~' as const }]]) {
      const error = refusal(request(query(...matchers)), union)
      assert.equal(error.is, 'bad_read')
      assert.match('message' in error ? error.message : '', /namespace="…" or dst_namespace="…"/)
    }
  })

  it('is refused where one query of several leaves more than one', () => {
    assert.equal(refusal(request(query(eq('namespace', 'a')), query()), union).is, 'bad_read')
  })

  it('is one alternative where the query decides for it', () => {
    const cases: [Match[], string[]][] = [
      [[eq('namespace', 'b')], ['namespace=~b', 'namespace=b']],
      [[eq('dst_namespace', 'a')], ['dst_namespace=~a', 'dst_namespace=a']],
      // Not seen by its own namespace, so only as somebody's destination.
      [[eq('namespace', 'other')], ['dst_namespace=~a', 'namespace=other']],
    ]
    for (const [matchers, wanted] of cases) {
      assert.deepEqual(judged(scoped(request(query(...matchers)), union).body), [wanted])
    }
  })
})

describe('limits, at the edge and above it', () => {
  const small = { packed: 1000, unpacked: 900, queries: 3, matchers: 4 }
  const reads = (bytes: Uint8Array): boolean => scopeReadRequest(bytes, team, small).ok
  const times = <T>(count: number, make: T): T[] => Array.from({ length: count }, () => make)

  it('queries', () => {
    assert.ok(reads(encodeReadRequest(request(...times(3, query())))))
    assert.ok(!reads(encodeReadRequest(request(...times(4, query())))))
  })

  it('matchers', () => {
    assert.ok(reads(encodeReadRequest(request(query(...times(4, eq('a', 'b')))))))
    assert.ok(!reads(encodeReadRequest(request(query(...times(5, eq('a', 'b')))))))
  })

  it('labels in hints', () => {
    const grouped = (count: number) => {
      const hints = { step: 0n, func: '', start: 0n, end: 0n, grouping: times(count, ''), by: true, range: 0n }
      return encodeReadRequest(request({ ...query(), hints }))
    }
    assert.ok(reads(grouped(4)))
    assert.ok(!reads(grouped(5)))
  })

  it('bytes unpacked', () => {
    const ofLength = (length: number) => {
      const frame = unsnappy(encodeReadRequest(request(query(eq('a', 'x'.repeat(500)))))).length - 500
      return encodeReadRequest(request(query(eq('a', 'x'.repeat(length - frame)))))
    }
    assert.equal(unsnappy(ofLength(900)).length, 900)
    assert.ok(reads(ofLength(900)))
    assert.ok(!reads(ofLength(901)))
  })

  it('bytes packed', () => {
    const bytes = encodeReadRequest(request(query()))
    const readsWith = (packed: number): boolean => scopeReadRequest(bytes, team, { ...small, packed }).ok
    assert.ok(readsWith(bytes.length))
    assert.ok(!readsWith(bytes.length - 1))
  })

  it('the largest request that fits is scoped', () => {
    const value = 'x'.repeat(Math.floor(readLimits.packed / readLimits.queries) - 100)
    const full = request(...times(readLimits.queries, query(eq('job', value))))
    assert.equal(judged(scoped(full, team).body).length, readLimits.queries)
    const many = request(...times(8, query(...times(readLimits.matchers, eq('job', 'x')))))
    assert.equal(judged(scoped(many, team).body)[7]?.length, readLimits.matchers + 2)
  })
})

describe('snappy', () => {
  const most = 1 << 20
  const literal = (bytes: Uint8Array, size: number): number[] => {
    const last = bytes.length - 1
    const length = Array.from({ length: size }, (_, index) => (last >>> (8 * index)) & 0xff)
    return [size === 0 ? last << 2 : (59 + size) << 2, ...length, ...bytes]
  }
  /** An element, packed, made for what has been unpacked before it; and what it adds. */
  const element = (seed: Uint8Array, kind: number, far: number, before: Uint8Array): [number[], number[]] => {
    const copies = before.length > 0 && kind < 3
    if (!copies)
      return [literal(seed, kind - 2 > 4 || (kind < 4 && seed.length > 60) ? 4 : Math.max(0, kind - 3)), [...seed]]
    const back = 1 + (far % Math.min(before.length, kind === 0 ? 2047 : 65_535))
    const count = kind === 0 ? 4 + (seed.length % 8) : 1 + (seed.length % 64)
    const added: number[] = []
    for (let index = 0; index < count; index++) added.push([...before, ...added].at(-back) ?? 0)
    const low = back & 0xff
    const high = back >> 8
    if (kind === 0) return [[1 | ((count - 4) << 2) | (high << 5), low], added]
    return [kind === 1 ? [2 | ((count - 1) << 2), low, high] : [3 | ((count - 1) << 2), low, high, 0, 0], added]
  }
  const elements = fc.array(fc.tuple(fc.uint8Array({ minLength: 1, maxLength: 60 }), fc.nat(7), fc.nat(100_000)), {
    maxLength: 12,
  })

  it('unpacks literals and copies of every form', () => {
    fc.assert(
      fc.property(elements, (list) => {
        const out: number[] = []
        const body: number[] = []
        for (const [seed, kind, far] of list) {
          const [packed, added] = element(seed, kind, far, Uint8Array.from(out))
          body.push(...packed)
          out.push(...added)
        }
        const head = out.length < 128 ? [out.length] : [(out.length & 0x7f) | 0x80, out.length >> 7]
        const packed = Uint8Array.from([...head, ...body])
        assert.deepEqual(unpackSnappy(packed, most), { ok: true, value: Uint8Array.from(out) })
      }),
    )
  })

  it('unpacks what it packed, and so does another reader', () => {
    for (const length of [0, 1, 59, 60, 61, 127, 128, 256, 257, 65_536, 65_537, 300_000]) {
      const bytes = Uint8Array.from({ length }, (_, index) => index % 251)
      const packed = packSnappy(bytes)
      assert.deepEqual(unpackSnappy(packed, most), { ok: true, value: bytes })
      assert.deepEqual(unsnappy(packed), bytes)
    }
  })
})
