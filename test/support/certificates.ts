import { generateKeyPairSync, randomBytes, sign } from 'node:crypto'
import type { KeyObject } from 'node:crypto'

/** A certificate (RFC 5280) with its private key, both in PEM form. */
export interface Certificate {
  readonly cert: string
  readonly key: string
}

/** An authority that exists for one test. */
export interface Authority {
  readonly cert: string
  /** Signs a certificate for these names and IPv4 addresses; `days` below 0 makes one that has expired. */
  issue(names: readonly string[], days?: number): Certificate
}

/** Makes one. Node reads certificates but makes none, and OpenSSL's program is not on every machine. */
export function makeAuthority(name = 'a test authority'): Authority {
  const root = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const build = (subject: string, key: KeyObject, days: number, extensions: readonly Buffer[]): string =>
    pem('CERTIFICATE', certificate({ issuer: name, subject, key, days, extensions }, root.privateKey))
  return {
    cert: build(name, root.publicKey, 2, [extension([2, 5, 29, 19], sequence(boolean(true)))]),
    issue(names, days = 1) {
      const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
      const alternatives = extension([2, 5, 29, 17], sequence(...names.map(alternativeName)))
      const key = privateKey.export({ type: 'pkcs8', format: 'pem' }).toString()
      return { cert: build(names[0] ?? '', publicKey, days, [alternatives]), key }
    },
  }
}

interface Content {
  readonly issuer: string
  readonly subject: string
  readonly key: KeyObject
  readonly days: number
  readonly extensions: readonly Buffer[]
}

function certificate({ issuer, subject, key, days, extensions }: Content, signer: KeyObject): Buffer {
  const day = 86_400_000
  const until = Date.now() + days * day
  const ecdsaWithSha256 = sequence(oid([1, 2, 840, 10_045, 4, 3, 2]))
  const content = sequence(
    der(0xa0, integer(Buffer.from([2]))),
    integer(Buffer.concat([Buffer.from([1]), randomBytes(8)])),
    ecdsaWithSha256,
    commonName(issuer),
    sequence(time(Math.min(Date.now(), until) - day), time(until)),
    commonName(subject),
    key.export({ type: 'spki', format: 'der' }),
    der(0xa3, sequence(...extensions)),
  )
  return sequence(content, ecdsaWithSha256, bits(sign('sha256', content, signer)))
}

// ASN.1 in DER form (ITU-T X.690), as much as that takes.

function der(tag: number, ...parts: readonly Buffer[]): Buffer {
  const body = Buffer.concat(parts)
  const { length } = body
  const size = length < 128 ? [length] : length < 256 ? [0x81, length] : [0x82, length >> 8, length & 255]
  return Buffer.concat([Buffer.from([tag, ...size]), body])
}
const sequence = (...parts: readonly Buffer[]): Buffer => der(0x30, ...parts)
const integer = (bytes: Buffer): Buffer => der(0x02, bytes)
const boolean = (value: boolean): Buffer => der(0x01, Buffer.from([value ? 255 : 0]))
const bits = (bytes: Buffer): Buffer => der(0x03, Buffer.from([0]), bytes)
const commonName = (name: string): Buffer =>
  sequence(der(0x31, sequence(oid([2, 5, 4, 3]), der(0x0c, Buffer.from(name)))))
const extension = (id: readonly number[], value: Buffer): Buffer => sequence(oid(id), der(0x04, value))
const alternativeName = (name: string): Buffer =>
  /^[\d.]+$/.test(name) ? der(0x87, Buffer.from(name.split('.').map(Number))) : der(0x82, Buffer.from(name))
/** UTCTime, which has two digits for the year. */
const time = (at: number): Buffer =>
  der(0x17, Buffer.from(`${new Date(at).toISOString().replaceAll(/\D/g, '').slice(2, 14)}Z`))

function oid([first = 0, second = 0, ...rest]: readonly number[]): Buffer {
  const groups = (value: number): number[] =>
    value < 128 ? [value] : [...groups(Math.floor(value / 128)).map((group) => group | 128), value % 128]
  return der(0x06, Buffer.from([first * 40 + second, ...rest.flatMap(groups)]))
}

const pem = (what: string, bytes: Buffer): string =>
  `-----BEGIN ${what}-----\n${bytes.toString('base64').replaceAll(/.{64}/g, '$&\n')}\n-----END ${what}-----\n`
