import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { checkRetention, retention, toRetention } from '../../../src/config/retention.ts'

const read = (value: unknown) => retention.parse(value)

describe('audit.retention', () => {
  it('keeps all, compressed, where nothing is said', () => {
    const options = { keepMs: null, maxBytes: null, compress: true, hold: false, everyMs: 60_000 }
    assert.deepEqual(toRetention(read(undefined)), options)
    assert.deepEqual(checkRetention(read({}), { signed: false, rotateBytes: 1 }), [])
  })
  it('takes a time, a size and two switches', () => {
    const { keepMs, maxBytes, compress, hold } = toRetention(
      read({ keep: '400d', maxSize: '10GiB', compress: false, hold: true }),
    )
    assert.deepEqual([keepMs, maxBytes, compress, hold], [400 * 86_400_000, 10 * 1024 ** 3, false, true])
    for (const wrong of [
      { keep: '0d' },
      { keep: 1 },
      { maxSize: '5' },
      { compress: 'yes' },
      { hold: 1 },
      { kept: '1d' },
    ]) {
      assert.equal(retention.safeParse(wrong).success, false, JSON.stringify(wrong))
    }
  })
  it('refuses to delete without a key, and to keep less than the newest segments', () => {
    const [unsigned] = checkRetention(read({ keep: '1d' }), { signed: false, rotateBytes: 1 })
    assert.match(unsigned ?? '', /set audit\.checkpoints\.key/)
    const [small] = checkRetention(read({ maxSize: '1MiB' }), { signed: true, rotateBytes: 1024 ** 2 })
    assert.match(small ?? '', /at least four times/)
    assert.deepEqual(
      checkRetention(read({ maxSize: '4MiB', keep: '1d' }), { signed: true, rotateBytes: 1024 ** 2 }),
      [],
    )
  })
})
