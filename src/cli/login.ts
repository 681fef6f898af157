import { userFile } from '../config/user-files.ts'
import { isSecure } from '../config/values.ts'
import { beginDeviceLogin, revokeLogin } from '../identity/device.ts'
import { fetchMetadata } from '../identity/resource-metadata.ts'
import type { CliClient } from '../identity/resource-metadata.ts'
import { UsageError } from './command.ts'
import type { Command, Given, Terminal } from './command.ts'
import { changeLogins } from './token-store.ts'

/** Logs a person in on the command line, with a browser anywhere (RFC 8628). */
export const login: Command = {
  help: `Usage: bailiwick login --gateway URL [--client-id ID]

Prints a link and a code, waits until you have logged in with a browser (on any device), and keeps the login in a
file that only you can read. Then:

  curl -H "Authorization: Bearer $(bailiwick token)" URL/api/v1/query?query=up

Options:
  --gateway URL    the gateway's public URL; it says who issues tokens for it
  --client-id ID   another client of that issuer than the one that the gateway names
`,
  options: { gateway: { type: 'string' }, 'client-id': { type: 'string' } },
  words: 0,
  async run(given, terminal) {
    const gateway = gatewayOf(given)
    if (gateway === null) throw new UsageError('--gateway is missing: the URL at which you reach the gateway')
    const client = await clientOf(gateway, given.option('client-id'), terminal)
    if (client === null) return 1
    const begun = await beginDeviceLogin(client, Date.now)
    if (!begun.ok) return failed(terminal, begun.error)
    const { url, code, complete, expiresIn } = begun.value
    const minutes = Math.max(1, Math.round(expiresIn / 60))
    terminal.err(`Open ${url}\nand enter the code ${code} (good for ${minutes} min).\n`)
    if (complete !== null) terminal.err(`Or open this, and compare the code: ${complete}\n`)
    terminal.err('Waiting for you to log in …\n')
    // Ctrl-C ends the process, and with it the waiting.
    const tokens = await begun.value.wait(new AbortController().signal)
    if (!tokens.ok) return failed(terminal, tokens.error)
    await changeLogins(userFile('logins.json'), async (logins) => ({
      logins: { ...logins, [gateway]: { client, tokens: tokens.value } },
      value: undefined,
    }))
    const renewed =
      tokens.value.refreshToken === null ? ', and then has to be repeated (no refresh token)' : ', renewed as needed'
    terminal.err(`Logged in to ${gateway}. The token lasts until ${iso(tokens.value.expiresAt)}${renewed}.\n`)
    return 0
  },
}

/** Ends a login here and at the provider. */
export const logout: Command = {
  help: `Usage: bailiwick logout [--gateway URL]

Forgets a login, and tells its issuer that it is over.

Options:
  --gateway URL   which login; needed where there are several
`,
  options: { gateway: { type: 'string' } },
  words: 0,
  run: (given, terminal) =>
    changeLogins(userFile('logins.json'), async (logins) => {
      const gateway = gatewayOf(given) ?? onlyOne(Object.keys(logins))
      const kept = gateway === null ? undefined : logins[gateway]
      if (gateway === null || kept === undefined) {
        return { logins, value: failed(terminal, 'there is no such login: see bailiwick logout --help') }
      }
      const { [gateway]: gone, ...rest } = logins
      const failure = await revokeLogin(kept.client, gone?.tokens.refreshToken ?? kept.tokens.accessToken)
      if (failure !== null) terminal.err(`forgotten here, but not withdrawn: ${failure}\n`)
      terminal.err(`Logged out of ${gateway}.\n`)
      return { logins: rest, value: 0 }
    }),
}

/** The gateway's URL as the option says it, without a slash at its end; null where it is not given. */
export function gatewayOf(given: Given): string | null {
  const written = given.option('gateway')
  if (written === undefined) return null
  if (!/^https?:/.test(written) || !URL.canParse(written) || !isSecure(written)) {
    throw new UsageError('--gateway must be an https URL; plain http only for localhost, 127.0.0.1 and [::1]')
  }
  return written.replace(/\/+$/, '')
}

/** The one of a list that has just one. */
export const onlyOne = (names: readonly string[]): string | null => (names.length === 1 ? (names[0] ?? null) : null)

async function clientOf(gateway: string, clientId: string | undefined, terminal: Terminal): Promise<CliClient | null> {
  const metadata = await fetchMetadata(gateway)
  if (!metadata.ok) {
    failed(terminal, metadata.error)
    return null
  }
  const { cli, authorizationServers } = metadata.value
  if (cli !== null) return clientId === undefined ? cli : { ...cli, clientId }
  const [issuer] = authorizationServers
  if (clientId !== undefined && issuer !== undefined) {
    return { issuer, clientId, scopes: ['openid', 'profile', 'email'], parameters: {} }
  }
  failed(terminal, 'the gateway names no client for this: ask its operator for identity.cli, or for a --client-id')
  return null
}

function failed(terminal: Terminal, message: string): number {
  terminal.err(`${message}\n`)
  return 1
}

const iso = (seconds: number): string => `${new Date(seconds * 1000).toISOString().slice(0, 16)}Z`
