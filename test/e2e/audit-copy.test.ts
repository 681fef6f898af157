// After a kill the second place lacks some checkpoints: those are told, and are no damage, whichever key is given.
import assert from 'node:assert/strict'
import { it } from 'node:test'
import { joined, linesOf, newHistory, newSigningKey, verifyArchive, writing } from '../support/audit-archive.ts'

it('a log is whole though any of its checkpoints were not copied', async (t) => {
  const [first, second] = [newSigningKey(), newSigningKey()]
  const history = await newHistory()
  t.after(() => history.remove())
  await history.start({ key: null }, writing('a', 'b', 'c'), 'killed')
  await history.start({ key: first }, writing('d', 'e'))
  await history.start({ key: second, previousKey: first }, writing('f', 'g'))
  const log = await history.archive()
  const lines = linesOf(log.copy)
  const wrong: string[] = []
  for (const from of lines.keys()) {
    for (let count = 1; from + count < lines.length; count += 1) {
      const copy = joined(lines.toSpliced(from, count))
      for (const [name, keys] of [
        ['the first key', [first]],
        ['the second key', [second]],
        ['no key', null],
      ] as const) {
        const { damage } = await verifyArchive({ ...log, copy }, { keys, copy: true })
        if (damage !== null) wrong.push(`${name}, without lines ${from + 1} to ${from + count}: ${damage.sentence}`)
      }
    }
  }
  assert.deepEqual(wrong, [])
})
