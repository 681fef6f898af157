// The settings by which auditors read the record.
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { review, toReview } from '../../../src/config/review.ts'

const read = (given: object) => {
  const parsed = review.safeParse(given)
  return parsed.success
    ? toReview(parsed.data, '/etc/bailiwick', '/var/audit')
    : parsed.error.issues.map(({ path, message }) => `${path.join('.')}: ${message}`)
}

describe('the settings for reading the record', () => {
  it('have defaults: the index is in the audit directory', () => {
    assert.deepEqual(read({}), { index: '/var/audit/index', memoryBytes: 512 * 2 ** 20, threads: 2 })
  })

  it('are read, and a path counts from the configuration file', () => {
    assert.deepEqual(read({ index: 'idx', memory: '1GiB', threads: 4 }), {
      index: '/etc/bailiwick/idx',
      memoryBytes: 2 ** 30,
      threads: 4,
    })
    assert.equal(Object(read({ index: '/fast/idx' })).index, '/fast/idx')
  })

  it('are refused where they cannot work', () => {
    assert.deepEqual(read({ memory: '255MiB' }), ['memory: must be at least 256MiB'])
    assert.ok(!Array.isArray(read({ memory: '256MiB' })))
    assert.deepEqual(read({ threads: 0 }), ['threads: must be at least 1'])
    assert.deepEqual(read({ threads: 65 }), ['threads: must be at most 64'])
    assert.deepEqual(read({ threads: 1.5 }), ['threads: must be a whole number'])
    assert.deepEqual(read({ index: '' }), ['index: must not be empty'])
    assert.equal(Object(read({ indexes: 'x' })).length, 1)
  })
})
