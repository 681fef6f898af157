import assert from 'node:assert/strict'
import { createHash, createPublicKey, randomUUID, verify } from 'node:crypto'
import { mkdir, readFile, readdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, it, type TestContext } from 'node:test'
import { parseCheckpoint, parseCheckpointsLine } from '../../../src/audit/checkpoint.ts'
import type { CheckpointOptions } from '../../../src/audit/checkpoint-options.ts'
import { nodeFiles, type Files } from '../../../src/audit/files.ts'
import { generateKeyPair, parseVkey, readCheckKeys, readSigningKey } from '../../../src/audit/keys.ts'
import { openAuditLog, type AuditLog } from '../../../src/audit/log.ts'
import { verifyLog } from '../../../src/audit/verify.ts'
import { decision, linesOf, systemError, tempDir, until } from './support.ts'

const pair = generateKeyPair()
const key = readSigningKey(pair.privatePem)

function open(
  t: TestContext,
  dir: string,
  options: Partial<CheckpointOptions> = {},
  files: Files = nodeFiles,
): AuditLog {
  const checkpoints = { key, previousKey: null, copyTo: null, every: 10, idle: 60_000, ...options }
  const log = openAuditLog({
    dir,
    clock: () => new Date(),
    newId: randomUUID,
    files,
    limits: { retryMs: 5 },
    checkpoints,
  })
  t.after(() => log.seal())
  return log
}

async function checkpointLines(dir: string): Promise<readonly string[]> {
  const names = (await readdir(dir)).filter((name) => name.endsWith('.checkpoints')).toSorted()
  const texts = await Promise.all(names.map((name) => readFile(join(dir, name), 'utf8')))
  return texts.flatMap((text) => text.split('\n').slice(0, -1))
}
const made = async (dir: string) =>
  (await checkpointLines(dir)).flatMap((line) => {
    const parsed = parseCheckpointsLine(line)
    return parsed?.kind === 'checkpoint' ? [parsed.checkpoint] : []
  })
const damageIn = async (dir: string, copy: string | null = null) => {
  const report = await verifyLog({ dir, keys: [key], copy, partial: false })
  assert.ok(report.ok)
  return report.value.damage
}

describe('a checkpoint', { timeout: 60_000 }, () => {
  it('is a signed note that can be checked without our code', async (t) => {
    const dir = await tempDir(t)
    const log = open(t, dir)
    await log.append(decision('a'))
    await log.seal()
    const { checkpoint: note }: { checkpoint: string } = JSON.parse((await checkpointLines(dir)).at(-1) ?? '')
    const [text = '', signatures = ''] = note.split(/(?<=\n)\n/)
    const [, name, base64 = ''] = /^— (\S+) (\S+)\n$/.exec(signatures) ?? []
    assert.equal(name, 'bailiwick-audit')
    const bytes = Buffer.from(base64, 'base64')
    const raw = createPublicKey(pair.publicPem).export({ type: 'spki', format: 'der' }).subarray(-32)
    const id = createHash('sha256').update('bailiwick-audit\n').update(Buffer.of(1)).update(raw).digest().subarray(0, 4)
    assert.deepEqual(bytes.subarray(0, 4), id)
    assert.ok(verify(null, Buffer.from(text), createPublicKey(pair.publicPem), bytes.subarray(4)))
    const [origin, size] = text.split('\n')
    assert.match(origin ?? '', /^bailiwick-audit\/[0-9a-f-]{36}\/audit-\d{8}T\d{9}Z-[0-9a-f-]{36}$/)
    assert.equal(Number(size), (await linesOf(join(dir, `${origin?.split('/')[2]}.ndjson`))).length)
  })
  it('is read in its own form only', async (t) => {
    const dir = await tempDir(t)
    const log = open(t, dir)
    await log.seal()
    const [last] = (await made(dir)).slice(-1)
    const signed = last?.signed ?? ''
    assert.ok(parseCheckpoint(signed) !== null)
    for (const other of [
      `${signed}\n`,
      signed.replace('\nseq ', '\nseq 0'),
      signed.replace('—', '-'),
      signed.trimEnd(),
      '',
    ]) {
      assert.equal(parseCheckpoint(other), null)
    }
  })
  it('is made again where nothing happens, so that silence can be shown', async (t) => {
    const dir = await tempDir(t)
    const log = open(t, dir, { idle: 40 })
    await log.append(decision('a'))
    await until(async () => (await made(dir)).filter(({ size }) => size === 3).length >= 3)
    await log.seal()
    assert.equal(await damageIn(dir), null)
  })
})

describe('checkpoints that cannot be written', { timeout: 60_000 }, () => {
  it('hold nothing up, are told, and go on in another file', async (t) => {
    const dir = await tempDir(t)
    let broken = true
    const files: Files = {
      ...nodeFiles,
      create: async (path) => {
        const real = await nodeFiles.create(path)
        if (!path.endsWith('.checkpoints')) return real
        // Half a line, then a full disk: what is left of it must not be taken for damage.
        const write: typeof real.write = async (bytes, offset) => {
          if (!broken) return real.write(bytes, offset)
          await real.write(bytes.subarray(0, 40), 0)
          throw systemError('ENOSPC')
        }
        return { ...real, write }
      },
      remove: async (path) => (path.endsWith('.000.checkpoints') ? undefined : nodeFiles.remove(path)),
    }
    const log = open(t, dir, {}, files)
    assert.ok((await log.append(decision('a'))).ok)
    await until(() => log.status().checkpoints?.failure?.code === 'disk')
    assert.ok((await log.append(decision('b'))).ok)
    assert.equal(log.status().state, 'open')
    broken = false
    await until(() => log.status().checkpoints?.failure === null)
    await log.seal()
    assert.equal(await damageIn(dir), null)
  })
  it('to the second place get there when it is back, and nothing waits', async (t) => {
    const scratch = await tempDir(t)
    const [dir, copy] = [join(scratch, 'log'), join(scratch, 'elsewhere', 'copy')]
    const log = open(t, dir, { copyTo: copy })
    assert.ok((await log.append(decision('a'))).ok)
    await until(() => log.status().checkpoints?.copy?.failure?.code === 'io')
    await mkdir(join(scratch, 'elsewhere'))
    await writeFile(copy, '{"torn')
    await until(() => log.status().checkpoints?.copy?.waiting === 0)
    await log.seal()
    const copied = (await readFile(copy, 'utf8')).split('\n').slice(1, -1)
    assert.deepEqual(copied, await checkpointLines(dir))
    assert.equal(await damageIn(dir, copy), null)
  })
})

describe('the next start', { timeout: 60_000 }, () => {
  it('covers what the one before left uncovered, and goes on with its numbers', async (t) => {
    const dir = await tempDir(t)
    const first = open(t, dir, { every: 100_000 })
    await first.append(decision('a'))
    await until(async () => (await made(dir)).length === 1)
    const segment = (await readdir(dir)).find((name) => name.endsWith('.ndjson')) ?? ''
    await first.append(decision('b'))
    const lines = await readFile(join(dir, segment))
    const checkpoints = (await readdir(dir)).find((name) => name.endsWith('.checkpoints')) ?? ''
    const kept = await readFile(join(dir, checkpoints))
    await first.seal()
    // As it was before the seal: as if the process had died then, in the middle of a record.
    await writeFile(join(dir, segment), Buffer.concat([lines, Buffer.from('{"v":1,"se')]))
    await writeFile(join(dir, checkpoints), kept)
    const second = open(t, dir)
    await second.append(decision('c'))
    await second.seal()
    const all = await made(dir)
    assert.deepEqual(
      all.map(({ number }) => number),
      [...all.keys()],
    )
    assert.equal(all[1]?.segment, segment.replace('.ndjson', ''))
    assert.equal(all[1]?.bytes, lines.length)
    assert.equal(await damageIn(dir), null)
  })
  it('with another key has both sign the change, and each key leads to the other', async (t) => {
    const dir = await tempDir(t)
    await open(t, dir).seal()
    const other = readSigningKey(generateKeyPair().privatePem)
    const log = open(t, dir, { key: other, previousKey: key })
    await log.append(decision('a'))
    await log.seal()
    for (const keys of [[key], [other], [key, other]]) {
      const report = await verifyLog({ dir, keys, copy: null, partial: false })
      assert.deepEqual(report.ok && [report.value.damage, report.value.signedBy], [null, [key.id, other.id]])
    }
  })
  it('with another key, the old one being lost, passes with both keys only', async (t) => {
    const dir = await tempDir(t)
    await open(t, dir).seal()
    const other = readSigningKey(generateKeyPair().privatePem)
    await open(t, dir, { key: other }).seal()
    const kindWith = async (keys: readonly (typeof key)[]) => {
      const report = await verifyLog({ dir, keys, copy: null, partial: false })
      return report.ok ? (report.value.damage?.kind ?? 'whole') : report.error
    }
    assert.equal(await kindWith([key]), 'key not valid then')
    assert.equal(await kindWith([key, other]), 'whole')
  })
})

describe('a key', () => {
  it('is read back from each of its forms, and never from a private one', () => {
    const vkey = pair.key.vkey
    for (const text of [pair.publicPem, vkey, `${vkey}\n`]) assert.deepEqual(readCheckKeys(text)[0]?.vkey, vkey)
    assert.equal(readCheckKeys(`${pair.publicPem}\n${vkey}`).length, 2)
    assert.throws(() => readCheckKeys(pair.privatePem), /private key/)
    assert.throws(() => readCheckKeys('nothing'), /no public key/)
    assert.equal(parseVkey(vkey.replace(/\+[0-9a-f]{8}\+/, '+00000000+')), null)
  })
})
