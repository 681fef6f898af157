import { createPrivateKey, createPublicKey, generateKeyPairSync, hash, sign, verify, type KeyObject } from 'node:crypto'

/** Under which name the gateway signs (the "key name" of C2SP signed-note). */
export const signerName = 'bailiwick-audit'

/** A public key that checkpoints are checked with. */
export interface CheckKey {
  /** The first 4 bytes, in hex, of sha256(name ‖ "\n" ‖ 0x01 ‖ public key): the "key ID" of C2SP signed-note. */
  readonly id: string
  /** `<name>+<id>+<base64(0x01 ‖ public key)>`, as golang.org/x/mod/sumdb/note and others take it. */
  readonly vkey: string
  verify(text: string, signature: Uint8Array): boolean
}

/** A key pair that signs checkpoints. */
export interface SigningKey extends CheckKey {
  sign(text: string): Buffer
}

// What stands before the 32 bytes of an Ed25519 key in its SubjectPublicKeyInfo (RFC 8410).
const spkiHead = Buffer.from('302a300506032b6570032100', 'hex')

function checkKey(key: KeyObject): CheckKey {
  const raw = key.export({ type: 'spki', format: 'der' }).subarray(spkiHead.length)
  const typed = Buffer.concat([Buffer.from([1]), raw])
  const id = hash('sha256', Buffer.concat([Buffer.from(`${signerName}\n`), typed])).slice(0, 8)
  return {
    id,
    vkey: `${signerName}+${id}+${typed.toString('base64')}`,
    verify: (text, signature) => verify(null, Buffer.from(text), key, signature),
  }
}

/** Reads a private key in PEM form; throws when it is none of Ed25519. */
export function readSigningKey(pem: string): SigningKey {
  const key = createPrivateKey(pem)
  if (key.asymmetricKeyType !== 'ed25519') throw new Error('not an Ed25519 private key')
  return { ...checkKey(createPublicKey(key)), sign: (text) => sign(null, Buffer.from(text), key) }
}

/** Reads public keys, in PEM form or as `<name>+<id>+<base64>` lines, one or several; throws when there is none. */
export function readCheckKeys(text: string): readonly CheckKey[] {
  const blocks = text.match(/-----BEGIN [A-Z ]+-----[^-]*-----END [A-Z ]+-----/g) ?? []
  const keys = [...blocks.map(publicKeyOf), ...(text.match(/^\S+\+[0-9a-f]{8}\+\S+$/gm) ?? []).map(vkeyOf)]
  if (keys.length === 0) throw new Error('there is no public key in it')
  return keys
}

function publicKeyOf(pem: string): CheckKey {
  if (pem.includes('PRIVATE')) throw new Error('it holds a private key: give the public one, and keep that one secret')
  const key = createPublicKey(pem)
  if (key.asymmetricKeyType !== 'ed25519') throw new Error('not an Ed25519 public key')
  return checkKey(key)
}

function vkeyOf(line: string): CheckKey {
  const key = parseVkey(line)
  if (key === null) throw new Error(`"${line}" is no key of ${signerName}`)
  return key
}

/** Reads `<name>+<id>+<base64>` back; `null` unless it is exactly that. */
export function parseVkey(line: string): CheckKey | null {
  const typed = Buffer.from(line.slice(line.indexOf('+', signerName.length + 1) + 1), 'base64')
  if (typed.length !== 33 || typed[0] !== 1) return null
  try {
    const der = Buffer.concat([spkiHead, typed.subarray(1)])
    const key = checkKey(createPublicKey({ key: der, format: 'der', type: 'spki' }))
    return key.vkey === line ? key : null
  } catch {
    return null
  }
}

/** A new key pair in PEM form. */
export function generateKeyPair(): { readonly privatePem: string; readonly publicPem: string; readonly key: CheckKey } {
  const { privateKey, publicKey } = generateKeyPairSync('ed25519')
  return {
    privatePem: privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
    publicPem: publicKey.export({ type: 'spki', format: 'pem' }).toString(),
    key: checkKey(publicKey),
  }
}
