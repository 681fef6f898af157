import { parseCheckpoint } from '../../audit/checkpoint.ts'
import { nodeFiles } from '../../audit/files.ts'
import type { Files } from '../../audit/files.ts'
import { checkProof, makeProof } from '../../audit/proof.ts'
import { segmentOf } from '../../audit/read-segments.ts'
import { fail, ok } from '../../result.ts'
import type { Result } from '../../result.ts'
import type { PageParts, Reviewing } from '../answer.ts'
import type { Fields } from './fields.ts'
import { maxProofs } from './limits.ts'

/** What can be shown of a record's place in the log. */
export type ProofState =
  /** It leads to the root that a key of ours signed. */
  | { readonly is: 'proven'; readonly number: number; readonly time: string; readonly key: string }
  /** A checkpoint covers it that nobody signed. */
  | { readonly is: 'unsigned'; readonly number: number; readonly time: string }
  /** It leads to a root, but none of our keys signed that, nor vouches for the key that did. */
  | { readonly is: 'foreign'; readonly number: number; readonly time: string }
  /** Written since the newest checkpoint. */
  | { readonly is: 'uncovered' }
  /** It does not hold: somebody should run `audit verify`. */
  | { readonly is: 'broken'; readonly because: string }
  | { readonly is: 'unknown'; readonly because: string }

/** How far a record is proven. */
export async function proofStateOf(
  { log }: Pick<PageParts, 'log'>,
  reviewing: Reviewing,
  record: Fields,
): Promise<ProofState> {
  const made = await proofOf(reviewing, record)
  if (made === null) return { is: 'unknown', because: 'many proofs are being made just now: load this page again' }
  if (made.ok) return made.value.state
  if (isUncovered(made.error)) return { is: 'uncovered' }
  // It may name directories, which are nobody's business here.
  log.warn({ record: record.found.seq, reason: made.error }, 'no proof of a record could be made')
  return { is: 'unknown', because: 'no proof could be made of it: the log of the gateway says why' }
}

/** The proof itself; null where too many are being made. */
export const proofOf = (reviewing: Reviewing, record: Fields): Promise<Result<Made, string> | null> =>
  inTurn(() => makeNear(reviewing, record))

interface Made {
  readonly text: string
  readonly state: ProofState
}

/** Does an error say only that it is too early? */
export const isUncovered = (error: string): boolean => /no checkpoint covers/.test(error)

/** The proof of a record, tried with the checkpoints of its own segment first: those of all need long to be read. */
async function makeNear(reviewing: Reviewing, record: Fields): Promise<Result<Made, string>> {
  const near = await makeFrom(reviewing, record, false)
  if (!near.ok || near.value.state.is === 'proven' || near.value.state.is === 'unsigned') return near
  return makeFrom(reviewing, record, true)
}

async function makeFrom({ dir, keys }: Reviewing, record: Fields, all: boolean): Promise<Result<Made, string>> {
  const { segment, line } = record.found
  const files: Files = {
    ...nodeFiles,
    list: async (path) =>
      (await nodeFiles.list(path)).filter(
        (name) =>
          segmentOf(name) === segment || (name.endsWith('.checkpoints') && (all || name.startsWith(`${segment}.`))),
      ),
  }
  const proof = await makeProof(dir, record.text('request'), record.text('kind'), files)
  if (!proof.ok) return proof
  const text = `${JSON.stringify(proof.value)}\n`
  if (proof.value.record !== line) return fail('the log holds two records of this kind and request')
  return ok({ text, state: stateOf(text, proof.value.checkpoint, keys) })
}

function stateOf(text: string, checkpoint: string, keys: Reviewing['keys']): ProofState {
  const facts = parseCheckpoint(checkpoint)
  if (facts === null) return { is: 'broken', because: 'its checkpoint is damaged' }
  const { number, time, note } = facts
  if (note.signatures.length === 0) return { is: 'unsigned', number, time }
  if (keys.length === 0) return { is: 'unknown', because: 'the gateway has no public key to check its signature with' }
  const checked = checkProof(text, keys)
  if (!checked.ok) {
    return isDamage(checked.error) ? { is: 'broken', because: checked.error } : { is: 'foreign', number, time }
  }
  return { is: 'proven', number, time, key: checked.value.key }
}

/** What does not hold in itself, whichever keys it is checked with. */
const isDamage = (error: string): boolean => /lead to the root|another log|damaged|is no proof/.test(error)

let waiting = 0
let turn: Promise<unknown> = Promise.resolve()

/** A proof reads a segment from its beginning: one at a time. Null where too many wait. */
async function inTurn<T>(make: () => Promise<T>): Promise<T | null> {
  if (waiting >= maxProofs.waiting) return null
  waiting++
  const mine = turn.then(make, make)
  turn = mine.catch(() => null)
  try {
    return await mine
  } finally {
    waiting--
  }
}
