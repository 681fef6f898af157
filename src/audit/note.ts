import { signerName, type CheckKey, type SigningKey } from './keys.ts'

/** One signature under a note. */
export interface NoteSignature {
  readonly id: string
  readonly bytes: Buffer
}

/** A note of C2SP signed-note: text, and who signed it. */
export interface Note {
  /** Ends in a newline. */
  readonly text: string
  readonly signatures: readonly NoteSignature[]
}

/** Puts the signatures under a text that ends in a newline. Without a key: the text and an empty line. */
export const signNote = (text: string, keys: readonly SigningKey[]): string =>
  encodeNote({ text, signatures: keys.map((key) => ({ id: key.id, bytes: key.sign(text) })) })

const encodeNote = ({ text, signatures }: Note): string =>
  `${text}\n${signatures.map(({ id, bytes }) => `— ${signerName} ${Buffer.concat([Buffer.from(id, 'hex'), bytes]).toString('base64')}\n`).join('')}`

/** Reads a note back; `null` unless it has the one form in which `signNote` writes it. */
export function parseNote(note: string): Note | null {
  const end = note.lastIndexOf('\n\n') + 1
  if (end === 0) return null
  const signatures = note
    .slice(end + 1)
    .split('\n')
    .slice(0, -1)
    .map((line) => Buffer.from(line.slice(line.lastIndexOf(' ') + 1), 'base64'))
    .map((bytes) => ({ id: bytes.subarray(0, 4).toString('hex'), bytes: bytes.subarray(4) }))
  const parsed = { text: note.slice(0, end), signatures }
  return encodeNote(parsed) === note ? parsed : null
}

/** Did this key sign? */
export const isSignedBy = ({ text, signatures }: Note, key: CheckKey): boolean =>
  signatures.some(({ id, bytes }) => id === key.id && bytes.length === 64 && key.verify(text, bytes))
