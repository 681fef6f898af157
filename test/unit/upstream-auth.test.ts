// What the gateway shows a Prometheus of itself, and how it follows files that change.
import assert from 'node:assert/strict'
import { mkdirSync, mkdtempSync, renameSync, rmSync, symlinkSync, unlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, describe, it } from 'node:test'
import { openCredentials } from '../../src/prometheus/upstream-auth.ts'
import { makeAuthority } from '../support/certificates.ts'

const scratch = mkdtempSync(join(tmpdir(), 'bailiwick-auth-'))
after(() => rmSync(scratch, { recursive: true, force: true }))
let files = 0
function fileWith(content: string): string {
  const file = join(scratch, `${(files += 1)}`)
  writeFileSync(file, content)
  return file
}
const silent = (): void => assert.fail('nothing is to be told')

describe('the headers', () => {
  const headersOf = (...[auth]: Parameters<typeof openCredentials>) => openCredentials(auth).headers(silent)

  it('are none where nothing is set', () => assert.deepEqual(headersOf({}), {}))
  it('are a bearer token', () => {
    assert.deepEqual(headersOf({ bearerToken: 'abc' }), { authorization: 'Bearer abc' })
  })
  it('are a user name and a password, in UTF-8', () => {
    // RFC 7617 §2.1 has this example: user "test", password 123 and a pound sign.
    assert.deepEqual(headersOf({ basic: { username: 'test', password: '123£' } }), {
      authorization: 'Basic dGVzdDoxMjPCow==',
    })
  })
  it('are a tenant, also beside a token', () => {
    const tenant = { header: 'X-Scope-OrgID', value: 'a|b' }
    assert.deepEqual(headersOf({ tenant }), { 'x-scope-orgid': 'a|b' })
    assert.deepEqual(headersOf({ tenant, bearerToken: 't' }), { 'x-scope-orgid': 'a|b', authorization: 'Bearer t' })
  })
})

describe('a file that changes', () => {
  const bearerOf = (file: string, told: string[]) => {
    const credentials = openCredentials({ bearerToken: 'first', files: { bearerToken: file } })
    return (): unknown => credentials.headers((line) => told.push(line))['authorization']
  }

  it('is in use at once, without the line break at its end, and nothing is told', () => {
    const file = fileWith('first\n')
    const bearer = bearerOf(file, [])
    assert.equal(bearer(), 'Bearer first')
    for (const [content, expected] of [
      ['second\n', 'Bearer second'],
      ['third\r\n', 'Bearer third'],
      ['fourth', 'Bearer fourth'],
    ] as const) {
      writeFileSync(file, content)
      assert.equal(bearer(), expected)
    }
  })
  it('may be a link into a directory that is swapped, as Kubernetes does it', () => {
    const volume = mkdtempSync(join(scratch, 'volume-'))
    const publish = (name: string, content: string): void => {
      mkdirSync(join(volume, name))
      writeFileSync(join(volume, name, 'token'), content)
      symlinkSync(name, join(volume, 'new'))
      renameSync(join(volume, 'new'), join(volume, '..data'))
    }
    publish('one', 'first')
    symlinkSync('..data/token', join(volume, 'token'))
    const bearer = bearerOf(join(volume, 'token'), [])
    assert.equal(bearer(), 'Bearer first')
    publish('two', 'second')
    assert.equal(bearer(), 'Bearer second')
  })
  it('leaves the last good content in use while it is away, which is told once, and when it is back', () => {
    const file = fileWith('first')
    const told: string[] = []
    const bearer = bearerOf(file, told)
    writeFileSync(file, 'second')
    assert.equal(bearer(), 'Bearer second')
    unlinkSync(file)
    assert.equal(bearer(), 'Bearer second')
    assert.equal(bearer(), 'Bearer second')
    assert.deepEqual(told, ['bearerToken_file cannot be read (ENOENT): what was read before stays in use'])
    writeFileSync(file, 'third')
    assert.equal(bearer(), 'Bearer third')
    assert.deepEqual(told.slice(1), ['its files can be used again'])
  })
  for (const [what, content] of [
    ['empty', ''],
    ['two lines', 'a\nb'],
    ['a header of its own', 'a\r\nx-scope-orgid: other'],
    ['no ASCII', 'é'],
  ] as const) {
    it(`leaves the last good content in use where it is ${what}`, () => {
      const file = fileWith(content)
      const told: string[] = []
      assert.equal(bearerOf(file, told)(), 'Bearer first')
      assert.deepEqual(told, ['bearerToken_file holds no bearer token: what was read before stays in use'])
    })
  }
  it('may be the password', () => {
    const file = fileWith('new')
    const auth = { basic: { username: 'u', password: 'old' }, files: { 'basic.password': file } }
    const credentials = openCredentials(auth)
    assert.equal(credentials.headers(silent)['authorization'], `Basic ${btoa('u:new')}`)
    writeFileSync(file, '')
    const told: string[] = []
    assert.equal(credentials.headers((line) => told.push(line))['authorization'], `Basic ${btoa('u:new')}`)
    assert.deepEqual(told, ['basic.password_file holds no password: what was read before stays in use'])
  })
})

describe('TLS', () => {
  const authority = makeAuthority()
  const [one, other] = [authority.issue(['one']), authority.issue(['other'])]

  it('is as Node has it where nothing is set', () => assert.equal(openCredentials({}).secureContext(silent), null))
  it('is one and the same context for as long as nothing changes', () => {
    const files = { 'tls.cert': fileWith(one.cert), 'tls.key': fileWith(one.key) }
    const credentials = openCredentials({ tls: { ca: authority.cert, ...one }, files })
    const context = credentials.secureContext(silent)
    assert.notEqual(context, null)
    assert.equal(credentials.secureContext(silent), context)
    writeFileSync(files['tls.cert'], one.cert)
    assert.equal(credentials.secureContext(silent), context)
  })
  it('is a new context once certificate and key have both changed, and the old one in between', () => {
    const files = { 'tls.cert': fileWith(one.cert), 'tls.key': fileWith(one.key) }
    const credentials = openCredentials({ tls: { ...one }, files })
    const before = credentials.secureContext(silent)
    const told: string[] = []
    writeFileSync(files['tls.cert'], other.cert)
    assert.equal(
      credentials.secureContext((line) => told.push(line)),
      before,
    )
    assert.equal(told.length, 1)
    assert.match(told[0] ?? '', /key values mismatch: what was read before stays in use/)
    writeFileSync(files['tls.key'], other.key)
    assert.notEqual(
      credentials.secureContext((line) => told.push(line)),
      before,
    )
    assert.deepEqual(told.slice(1), ['its files can be used again'])
  })
  for (const [name, setting] of [
    ['ca', 'tls.ca'],
    ['cert', 'tls.cert'],
    ['key', 'tls.key'],
  ] as const) {
    // An empty `ca` would else mean: trust every public authority.
    for (const [what, content] of [
      ['empty', ''],
      ['no PEM', 'x'],
    ] as const) {
      it(`stays as it was where ${name} is ${what}`, () => {
        const auth = { tls: { ca: authority.cert, ...one }, files: { [setting]: fileWith(content) } }
        const told: string[] = []
        assert.notEqual(
          openCredentials(auth).secureContext((line) => told.push(line)),
          null,
        )
        assert.deepEqual(told, [`${setting}_file holds no PEM that can be used: what was read before stays in use`])
      })
    }
  }
})
