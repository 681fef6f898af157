// docs/api.md tells what the table in the code says, and nothing else.
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { describe, it } from 'node:test'
import { apiTable } from '../support/api-table.ts'

const lines = readFileSync(new URL('../../docs/api.md', import.meta.url), 'utf8').split('\n')

describe('docs/api.md', () => {
  it('has each row of the table in the code, in its order, and no other', () => {
    const told = lines.filter((line) => line.startsWith('| `/'))
    assert.deepEqual(told, apiTable())
    assert.ok(told.length > 30)
  })
})
