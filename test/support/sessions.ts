import { randomBytes } from 'node:crypto'
import type { Credentials } from '../../src/identity/identity.ts'
import type { Login, Vouched } from '../../src/identity/login.ts'
import type { LoginFailure } from '../../src/identity/login-failure.ts'
import { openRevocations } from '../../src/identity/revocations.ts'
import { openSealer } from '../../src/identity/seal.ts'
import type { Session } from '../../src/identity/session.ts'
import { openSessions } from '../../src/identity/sessions.ts'
import { ok } from '../../src/result.ts'
import type { Result } from '../../src/result.ts'

export const minute = 60_000
export const hour = 60 * minute

/** What a provider vouches for, unless a test says otherwise. */
export const vouch = (others: Partial<Vouched> = {}): Vouched => ({
  person: { issuer: 'https://id.test', subject: 'alice', name: 'Alice', groups: ['team-a'] },
  sid: 'sid-1',
  issuedAt: 1_000,
  expiresIn: 7200,
  refreshToken: 'r-1',
  idToken: 'id-token',
  ...others,
})

/** A request with these cookies, as name and value, and these headers. */
export const asking = (
  cookies: string,
  headers: Readonly<Record<string, string>> = {},
): Pick<Credentials, 'header'> => ({
  header: (name) => (name === 'cookie' ? (cookies === '' ? [] : [cookies]) : [headers[name] ?? []].flat()),
})

/** Sessions with a clock and a provider that a test moves. Its keys open sessions of another such world as well. */
export function sessionWorld(
  login: Partial<Vouched> = {},
  keys: readonly Uint8Array[] = [new Uint8Array(randomBytes(32))],
) {
  let now = 1_800_000_000_000
  const clock = (): number => now
  const refreshes: string[] = []
  const provider: Pick<Login, 'issuer' | 'refresh'> = {
    issuer: 'https://id.test',
    async refresh(token) {
      refreshes.push(token)
      return world.answer()
    },
  }
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- the sessions ask for these two only
  const asked = provider as Login
  const revocations = openRevocations(12 * hour, clock)
  const limits = { idle: hour, absolute: 12 * hour }
  const sealer = openSealer(keys, clock)
  const open = (revoked = revocations) => openSessions({ login: asked, sealer, revocations: revoked, limits, clock })
  const sessions = open()
  const world = {
    now: clock,
    wait: (milliseconds: number) => void (now += milliseconds),
    refreshes,
    revocations,
    sealer,
    sessions,
    /** What the provider says when it is asked to vouch anew. */
    answer: (): Result<Vouched, LoginFailure> => ok(vouch({ ...login, refreshToken: `r-${refreshes.length + 1}` })),
    async begin(headers: Pick<Credentials, 'header'> = asking('')): Promise<string> {
      const begun = await sessions.begin(vouch(login), headers)
      if (begun === null) throw new Error('too large')
      return world.keep('', begun.cookies)
    },
    read: (cookies: string, headers: Readonly<Record<string, string>> = {}) => sessions.read(asking(cookies, headers)),
    async live(cookies: string): Promise<Session> {
      const state = await sessions.read(asking(cookies))
      if (state.is !== 'live') throw new Error(JSON.stringify(state))
      return state.session
    },
    /** The cookies of a browser after these lines. */
    keep(before: string, lines: readonly string[]): string {
      const jar = new Map(before.split('; ').map((pair) => [pair.split('=')[0] ?? '', pair] as const))
      for (const line of lines) {
        const [pair = ''] = line.split(';')
        jar.set(pair.split('=')[0] ?? '', pair)
      }
      return [...jar.values()].filter((pair) => pair !== '').join('; ')
    },
    /** The same gateway after a restart: what it kept in memory is gone. */
    restarted() {
      const later = open(openRevocations(12 * hour, clock))
      return { read: (cookies: string) => later.read(asking(cookies)) }
    },
  }
  return world
}
