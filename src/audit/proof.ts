import { fail, ok, type Result } from '../result.ts'
import { parseCheckpoint, parseCheckpointsLine, parseKeyChange } from './checkpoint.ts'
import { nodeFiles, type Files } from './files.ts'
import type { CheckKey } from './keys.ts'
import { leafHash, PathBuilder, rootOfPath } from './merkle.ts'
import {
  LineSource,
  checkpointsFiles,
  segmentFiles,
  segmentOf,
  segmentsAmong,
  sizesOf,
  type ReadableFile,
} from './read-segments.ts'
import { buriedIn, parseTombstone, readSmall } from './tombstone.ts'
import { KeyRing } from './verify-keys.ts'
import { recordIn } from './verify-line.ts'

/** That one record stands in the log, to be checked without the log. */
export interface Proof {
  readonly v: 1
  readonly kind: 'bailiwick audit proof'
  /** The line, without its newline. */
  readonly record: string
  /** Its place in its segment, from 0. */
  readonly index: number
  /** From the leaf upwards, in base64. */
  readonly path: readonly string[]
  /** A signed checkpoint that covers it. */
  readonly checkpoint: string
  /** The signed changes of keys up to that checkpoint. */
  readonly keys: readonly string[]
}

interface Place {
  readonly readable: ReadableFile
  readonly index: number
  readonly record: string
}

/** Makes the proof of the record of a request (its decision, unless another kind is asked for). */
export async function makeProof(
  dir: string,
  request: string,
  kind: string | null,
  files: Files = nodeFiles,
): Promise<Result<Proof, string>> {
  try {
    const checkpoints = await sizesOf(files, dir, await checkpointsFiles(files, dir))
    const place = await findRecord(files, dir, request, kind)
    if (place === null)
      return fail(await notFound(files, dir, `no ${kind ?? 'first'} record of request ${request} is in ${dir}`))
    const found = await coveringCheckpoint(files, checkpoints, place)
    if (found === null) return fail(`no checkpoint covers that record yet: ${place.readable.file}:${place.index + 1}`)
    const path = await pathOf(files, place, found.size)
    const { record, index } = place
    const { signed: checkpoint, keys } = found
    return ok({ v: 1, kind: 'bailiwick audit proof', record, index, path, checkpoint, keys })
  } catch (error) {
    return fail(error instanceof Error ? error.message : String(error))
  }
}

const mostNamed = 5

/** What was deleted may have held it: an id alone does not say when it was. */
async function notFound(files: Files, dir: string, sentence: string): Promise<string> {
  const names = await files.list(dir)
  const present = new Set(segmentsAmong(names).map(segmentOf))
  const told: string[] = []
  for (const name of names.toSorted()) {
    const segment = buriedIn(name)
    if (segment === null || present.has(segment)) continue
    const tombstone = parseTombstone(await readSmall(files, dir, name))
    if (tombstone === null) continue
    const { records, first, last, time, because } = tombstone
    told.push(`${segment}: ${records} records of ${first.ts} to ${last.ts}, deleted ${time} because of its ${because}`)
  }
  if (told.length === 0) return sentence
  const more = told.length > mostNamed ? `; and ${told.length - mostNamed} segments before these` : ''
  return `${sentence}; it was deleted if it stood in ${told.slice(-mostNamed).join('; or in ')}${more}`
}

async function findRecord(files: Files, dir: string, request: string, kind: string | null): Promise<Place | null> {
  for (const readable of await sizesOf(files, dir, await segmentFiles(files, dir))) {
    const lines = await LineSource.open(files, readable)
    try {
      let index = 0
      for (let line = await lines.next(); line?.form === 'whole'; line = lines.take() ?? (await lines.next())) {
        if (line.bytes.includes(request)) {
          const record = recordIn(line)
          if (record['request'] === request && (kind === null || record['kind'] === kind)) {
            return { readable, index, record: line.bytes.toString('utf8') }
          }
        }
        index++
      }
    } finally {
      await lines.close()
    }
  }
  return null
}

async function coveringCheckpoint(files: Files, readables: readonly ReadableFile[], { readable, index }: Place) {
  const keys: string[] = []
  for (const one of readables) {
    const lines = await LineSource.open(files, one)
    try {
      for (let line = await lines.next(); line?.form === 'whole'; line = lines.take() ?? (await lines.next())) {
        const parsed = parseCheckpointsLine(line.bytes.toString('utf8'))
        if (parsed?.kind === 'key' && !keys.includes(parsed.change.signed)) keys.push(parsed.change.signed)
        if (parsed?.kind !== 'checkpoint') continue
        const { segment, size, signed } = parsed.checkpoint
        if (segment === segmentOf(readable.file) && size > index) return { signed, size, keys }
      }
    } finally {
      await lines.close()
    }
  }
  return null
}

async function pathOf(files: Files, { readable, index }: Place, size: number): Promise<readonly string[]> {
  const path = new PathBuilder(index, size)
  const lines = await LineSource.open(files, readable)
  try {
    for (let seen = 0; seen < size; seen++) {
      const line = await lines.next()
      if (line?.form !== 'whole') throw new Error(`${readable.file} is shorter than its checkpoint: see audit verify`)
      path.append(leafHash(line.bytes))
    }
  } finally {
    await lines.close()
  }
  return path.path().map((hash) => hash.toString('base64'))
}

/** A proof that holds, and what it proves. */
export interface Proven {
  readonly record: Partial<Record<string, unknown>>
  readonly segment: string
  readonly index: number
  readonly number: number
  readonly time: string
  /** Id of the key whose signature was checked. */
  readonly key: string
}

/** Checks a proof by itself. An error says why it does not hold. */
export function checkProof(text: string, keys: readonly CheckKey[]): Result<Proven, string> {
  const proof = readProof(text)
  if (proof === null) return fail('this is no proof')
  const checkpoint = parseCheckpoint(proof.checkpoint)
  if (checkpoint === null) return fail('the checkpoint in it is damaged')
  const ring = new KeyRing(keys)
  if (proof.keys.length === 0) ring.skip()
  for (const signed of proof.keys) {
    const change = parseKeyChange(signed)
    if (change === null || change.log !== checkpoint.log) return fail('a change of keys in it is damaged')
    if (change.from > checkpoint.number) break
    const problem = ring.change(change)
    if (problem !== null) return fail(problem.sentence)
  }
  const problem = ring.check(checkpoint)
  if (problem !== null) return fail(problem.sentence)
  const [key] = ring.good.slice(-1)
  if (key === undefined) return fail('the checkpoint in it is not signed with a key that you gave')
  if (ring.doubt !== null) return fail('none of the keys that you gave vouches for the one that signed')
  const record = Buffer.from(proof.record)
  const path = proof.path.map((hash) => Buffer.from(hash, 'base64'))
  const root = rootOfPath(proof.index, checkpoint.size, leafHash(record), path)
  if (root?.equals(checkpoint.root) !== true) return fail('the record does not lead to the root that was signed')
  const { segment, number, time, log } = checkpoint
  const fields = recordIn({ bytes: record, end: 0, form: 'whole' })
  if (fields['log'] !== log) return fail('the record is one of another log than the checkpoint')
  return ok({ record: fields, segment, index: proof.index, number, time, key })
}

function readProof(text: string): Proof | null {
  let found: unknown
  try {
    found = JSON.parse(text)
  } catch {
    return null
  }
  const { v, kind, record, index, path, checkpoint, keys }: Partial<Record<string, unknown>> = Object(found)
  if (v !== 1 || kind !== 'bailiwick audit proof') return null
  if (typeof record !== 'string' || typeof index !== 'number' || typeof checkpoint !== 'string') return null
  if (!isTexts(path) || !isTexts(keys)) return null
  return { v, kind, record, index, path, checkpoint, keys }
}

const isTexts = (value: unknown): value is readonly string[] =>
  Array.isArray(value) && value.every((one) => typeof one === 'string')
