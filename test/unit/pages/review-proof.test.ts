// How far a record is proven, as its page says: over a real log with its checkpoints.
import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { mkdtemp, readFile, readdir, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { generateKeyPair, readSigningKey } from '../../../src/audit/keys.ts'
import type { CheckKey, SigningKey } from '../../../src/audit/keys.ts'
import { openAuditLog } from '../../../src/audit/log.ts'
import { checkProof } from '../../../src/audit/proof.ts'
import { bodyOf, decision, pageOf, reviewPages, textOf } from '../../support/review-pages.ts'
import type { ReviewPages } from '../../support/review-pages.ts'

describe('the proof of a record', () => {
  let scratch: string
  before(async () => {
    scratch = await mkdtemp(join(tmpdir(), 'bailiwick-proof-'))
  })
  after(() => rm(scratch, { recursive: true, force: true }))

  const newKey = (): SigningKey => readSigningKey(generateKeyPair().privatePem)

  /** A log with one decision, as `request`, and the pages over it. */
  async function logged(
    request: string,
    { key, keys }: { readonly key: SigningKey | null; readonly keys: readonly CheckKey[] },
  ): Promise<ReviewPages & { readonly dir: string }> {
    const dir = join(scratch, request)
    const checkpoints = { key, previousKey: null, copyTo: null, every: 10, idle: 3_600_000 }
    const log = openAuditLog({ dir, clock: () => new Date(), newId: randomUUID, checkpoints })
    // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- a decision, written out for other tests as well
    const written = await log.append(decision({ request }) as never)
    assert.ok(written.ok)
    await log.seal()
    const pages = await reviewPages({ dir, keys })
    for (const file of await readdir(dir)) {
      if (!file.endsWith('.ndjson')) continue
      for (const line of (await readFile(join(dir, file), 'utf8')).trimEnd().split('\n')) {
        const { log: id, seq } = JSON.parse(line)
        pages.records.push({ log: id, seq, segment: file.replace('.ndjson', ''), line })
      }
    }
    return { ...pages, dir }
  }
  const stateOf = async (pages: ReviewPages, request: string): Promise<string> => {
    const text = textOf(await pages.get(`/bailiwick/review/record?request=${request}`))
    const panel = /id="proof-title">Proof<\/h2>([^]*?)<\/section>/.exec(text)?.[1] ?? ''
    return panel
      .replaceAll(/<[^>]+>/g, ' ')
      .replaceAll(/\s+/g, ' ')
      .trim()
  }
  const proofOf = (pages: ReviewPages, request: string) =>
    pages.get(`/bailiwick/review/proof?kind=decision&request=${request}`)

  it('says which checkpoint covers it, and which key signed that; the file holds without the log', async () => {
    const key = newKey()
    const pages = await logged('proven', { key, keys: [newKey(), key] })
    assert.match(
      await stateOf(pages, 'proven'),
      new RegExp(`^proven .* Checkpoint number \\d+ Signed [\\d: -]+ UTC Key ${key.id} Download`),
    )
    const file = pageOf(await proofOf(pages, 'proven'))
    assert.match(file.headers['content-disposition'] ?? '', /filename="proof-proven\.json"/)
    assert.ok(checkProof(bodyOf(file), [key]).ok)
    assert.ok(file.record.is === 'event' && file.record.entry.kind === 'audit.read')
  })
  it('says that nobody signed', async () => {
    const pages = await logged('unsigned', { key: null, keys: [] })
    assert.match(await stateOf(pages, 'unsigned'), /^unsigned Checkpoint number \d+/)
  })
  it('says that another key signed', async () => {
    const pages = await logged('foreign', { key: newKey(), keys: [newKey()] })
    assert.match(await stateOf(pages, 'foreign'), /^other key Checkpoint number \d+/)
  })
  it('says that there is no key to check it with', async () => {
    const pages = await logged('keyless', { key: newKey(), keys: [] })
    assert.match(await stateOf(pages, 'keyless'), /^unknown the gateway has no public key/)
  })
  it('says that no checkpoint covers it yet', async () => {
    const key = newKey()
    const pages = await logged('early', { key, keys: [key] })
    // As it is before the first one is made.
    for (const file of await readdir(pages.dir)) if (file.endsWith('.checkpoints')) await rm(join(pages.dir, file))
    assert.match(await stateOf(pages, 'early'), /^not yet covered/)
    assert.match(textOf(await proofOf(pages, 'early'), 503), /No checkpoint covers the record/)
  })
  it('says that it does not hold after a byte of the segment was changed', async () => {
    const key = newKey()
    const pages = await logged('broken', { key, keys: [key] })
    const segment = (await readdir(pages.dir)).find((file) => file.endsWith('.ndjson')) ?? ''
    const text = await readFile(join(pages.dir, segment), 'utf8')
    // Of the record before it: its own line is as it was.
    await writeFile(join(pages.dir, segment), text.replace('"pid":', '"pId":'))
    assert.match(await stateOf(pages, 'broken'), /^does not hold the record does not lead to the root/)
  })
  it('says that it cannot be made where the log cannot be read, and names no directory', async () => {
    const key = newKey()
    const pages = await logged('gone', { key, keys: [key] })
    await rm(pages.dir, { recursive: true })
    const state = await stateOf(pages, 'gone')
    assert.match(state, /^unknown no proof could be made of it/)
    assert.doesNotMatch(state + textOf(await proofOf(pages, 'gone'), 503), /bailiwick-proof-|ENOENT/)
  })
})
