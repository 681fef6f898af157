import { userFile } from '../config/user-files.ts'
import { refreshTokens } from '../identity/device.ts'
import type { Command } from './command.ts'
import { gatewayOf, onlyOne } from './login.ts'
import { StoreError, changeLogins } from './token-store.ts'
import type { KeptLogins } from './token-store.ts'

/** Seconds that a token must be good for yet: what asks with it must be done by then. */
const leastLife = 60

/** Prints a fresh access token, and nothing else, on standard output. */
export const token: Command = {
  help: `Usage: bailiwick token [--gateway URL]

Prints an access token of the login that "bailiwick login" made, renewed where it is about to expire:

  curl -H "Authorization: Bearer $(bailiwick token)" URL/api/v1/query?query=up

Options:
  --gateway URL   which login; needed where there are several
`,
  options: { gateway: { type: 'string' } },
  words: 0,
  async run(given, terminal) {
    try {
      const printed = await changeLogins(userFile('logins.json'), (logins) => freshen(logins, gatewayOf(given)))
      if ('token' in printed) terminal.out(`${printed.token}\n`)
      else terminal.err(`${printed.failure}\n`)
      return 'token' in printed ? 0 : 1
    } catch (error) {
      if (!(error instanceof StoreError)) throw error
      terminal.err(`${error.message}\n`)
      return 1
    }
  },
}

type Freshened = {
  readonly logins: KeptLogins
  readonly value: { readonly token: string } | { readonly failure: string }
}

async function freshen(logins: KeptLogins, wanted: string | null): Promise<Freshened> {
  const failed = (failure: string, left = logins): Freshened => ({ logins: left, value: { failure } })
  const gateway = wanted ?? onlyOne(Object.keys(logins))
  const kept = gateway === null ? undefined : logins[gateway]
  if (gateway === null || kept === undefined) {
    const names = Object.keys(logins)
    if (gateway === null && names.length > 1) return failed(`which login? --gateway is one of ${names.join(', ')}`)
    return failed(`not logged in: bailiwick login --gateway ${wanted ?? 'URL'}`)
  }
  const { tokens, client } = kept
  if (tokens.expiresAt - Date.now() / 1000 > leastLife) return { logins, value: { token: tokens.accessToken } }
  if (tokens.refreshToken === null) return failed(`the login has ended: bailiwick login --gateway ${gateway}`)
  const fresh = await refreshTokens(client, tokens.refreshToken, Date.now)
  if (fresh.ok) {
    return {
      logins: { ...logins, [gateway]: { client, tokens: fresh.value } },
      value: { token: fresh.value.accessToken },
    }
  }
  if (!fresh.error.over) return failed(`${fresh.error.message}: try again soon`)
  const { [gateway]: _, ...rest } = logins
  return failed(`${fresh.error.message}\nbailiwick login --gateway ${gateway}`, rest)
}
