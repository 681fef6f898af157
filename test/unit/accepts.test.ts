import assert from 'node:assert/strict'
import { IncomingMessage } from 'node:http'
import { Socket } from 'node:net'
import { describe, it } from 'node:test'
import { takesGzip } from '../../src/gateway/accepts.ts'

describe('gzip is taken', () => {
  for (const [header, taken] of [
    [undefined, false],
    ['', false],
    ['gzip', true],
    ['GZIP', true],
    ['x-gzip', true],
    ['gzip, deflate, br, zstd', true],
    ['br;q=1.0, gzip;q=0.8', true],
    ['*', true],
    ['identity', false],
    ['gzip;q=0', false],
    ['gzip; q=0.000', false],
    ['gzip;q=0.001', true],
    ['gzip;q=0, *', false],
    ['*;q=0', false],
    ['notgzip', false],
  ] as const) {
    it(`${taken ? 'with' : 'not with'} ${header ?? 'nothing said'}`, () => {
      const request = new IncomingMessage(new Socket())
      if (header !== undefined) request.headers['accept-encoding'] = header
      assert.equal(takesGzip(request), taken)
    })
  }
})
