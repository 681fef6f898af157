/** A Postgres of this machine, in a directory of its own, on a port of the loopback interface. */
import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { chmodSync, chownSync, existsSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { Client, type QueryResult } from 'pg'
import { run } from '../../demo/parts/command.ts'
import { makeAuthority } from './certificates.ts'
import { freePort } from './free-port.ts'

/** What a test says that is skipped for want of one. */
export const noPostgres = 'no Postgres below /usr/lib/postgresql: apt-get install postgresql to run this'

const debian = '/usr/lib/postgresql'

/** The directory of Postgres' programs; as root on Debian it is installed where there is none. Null where that did not help. */
export async function findPostgres(): Promise<string | null> {
  const found = programs()
  if (found !== null || process.getuid?.() !== 0) return found
  for (const words of [['update'], ['install', '--yes', '--no-install-recommends', 'postgresql']]) {
    const done = await run('apt-get', ['-q', ...words], { seconds: 240 })
    if (done.code !== 0 && words[0] === 'install') return null
  }
  return programs()
}

function programs(): string | null {
  const versions = existsSync(debian) ? readdirSync(debian).toSorted((one, other) => Number(other) - Number(one)) : []
  const dirs = versions.map((version) => join(debian, version, 'bin'))
  return dirs.find((dir) => existsSync(join(dir, 'initdb'))) ?? null
}

// Postgres refuses to run as root: a user that owns nothing else will do.
const root = process.getuid?.() === 0
const nobody = { uid: 65_534, gid: 65_534 }
const asUser = root ? nobody : {}

const password = 'correct horse: 100% of it'

export class TestPostgres {
  readonly port: number
  /** PEM of the authority that its certificate is of. */
  readonly ca: string
  readonly #programs: string
  readonly #dir: string
  #server: ChildProcess | null = null

  private constructor(bin: string, dir: string, port: number, ca: string) {
    this.#programs = bin
    this.#dir = dir
    this.port = port
    this.ca = ca
  }

  static async start(bin: string): Promise<TestPostgres> {
    const dir = mkdtempSync(join(tmpdir(), 'bailiwick-postgres-'))
    const give = (file: string, content: string): void => {
      writeFileSync(file, content, { mode: 0o600 })
      if (root) chownSync(file, nobody.uid, nobody.gid)
    }
    if (root) chownSync(dir, nobody.uid, nobody.gid)
    chmodSync(dir, 0o700)
    give(join(dir, 'password'), password)
    const data = join(dir, 'data')
    const words = ['-D', data, '-U', 'owner', '-A', 'scram-sha-256', '--pwfile', join(dir, 'password'), '-E', 'UTF8']
    const made = spawn(join(bin, 'initdb'), [...words, '--no-sync', '--locale=C'], {
      ...asUser,
      cwd: dir,
      stdio: 'ignore',
    })
    const [code] = await once(made, 'exit')
    if (code !== 0) throw new Error(`initdb ended with ${String(code)}`)
    const authority = makeAuthority()
    const { cert, key } = authority.issue(['localhost', '127.0.0.1'])
    give(join(data, 'server.crt'), cert)
    give(join(data, 'server.key'), key)
    const postgres = new TestPostgres(bin, dir, await freePort(), authority.cert)
    await postgres.up()
    return postgres
  }

  url(user = 'owner', secret = password, database = 'postgres'): string {
    return `postgres://${user}:${encodeURIComponent(secret)}@127.0.0.1:${this.port}/${database}?sslmode=disable`
  }

  async up(): Promise<void> {
    const settings = { listen_addresses: '127.0.0.1', unix_socket_directories: '', fsync: 'off', ssl: 'on' }
    const words = Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`])
    const args = ['-D', join(this.#dir, 'data'), '-p', String(this.port), ...words]
    const server = spawn(join(this.#programs, 'postgres'), args, { ...asUser, cwd: this.#dir, stdio: 'ignore' })
    this.#server = server
    // A test that dies must not leave it behind.
    const kill = (): void => void server.kill('SIGQUIT')
    process.once('exit', kill)
    server.once('exit', () => process.off('exit', kill))
    for (;;) {
      try {
        await this.query('select 1')
        return
      } catch {
        if (server.exitCode !== null) throw new Error(`postgres ended with ${server.exitCode}`)
        await delay(50)
      }
    }
  }

  /** Ends it at once, as a failing machine would: connections break. */
  async down(): Promise<void> {
    const server = this.#server
    this.#server = null
    if (server === null || server.exitCode !== null) return
    server.kill('SIGQUIT')
    await once(server, 'exit')
  }

  async remove(): Promise<void> {
    await this.down()
    rmSync(this.#dir, { recursive: true, force: true, maxRetries: 3 })
  }

  /** Asks as its owner, over a connection of its own. */
  async query(text: string, values: readonly unknown[] = []): Promise<QueryResult<Record<string, unknown>>> {
    const client = await this.connect()
    try {
      // A text with several statements takes no values.
      return await (values.length === 0 ? client.query(text) : client.query(text, [...values]))
    } finally {
      await client.end()
    }
  }

  async connect(): Promise<Client> {
    const client = new Client(this.url())
    client.on('error', () => {})
    await client.connect()
    return client
  }
}
