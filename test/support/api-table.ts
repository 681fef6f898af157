import { endpoints } from '../../src/prometheus/endpoints.ts'
import type { Endpoint } from '../../src/prometheus/endpoints.ts'

/** The table of `docs/api.md`, line by line, as the code has it. */
export function apiTable(): readonly string[] {
  return Object.entries<Endpoint>(endpoints).map(([path, endpoint]) => {
    const params = Object.keys(endpoint.params).map((name) => `\`${name}\``)
    const methods = endpoint.methods.join(', ')
    return `| \`${path}\` | ${methods} | ${params.join(', ') || 'none'} | ${whatHappens(endpoint)} | ${rightNeeded(endpoint)} |`
  })
}

function whatHappens({ treatment }: Endpoint): string {
  switch (treatment.scope) {
    case 'query':
      return 'every selector in `query` carries the scope'
    case 'text':
      return '`query` is printed anew; no series is read'
    case 'selectors': {
      const absent =
        treatment.whenAbsent === 'refuse' ? 'at least one is needed' : 'without one, the scope is sent as one'
      return `every \`match[]\` carries the scope; ${absent}`
    }
    case 'read':
      return 'every query in the body carries the scope'
    case 'filter':
      return 'what lies outside the scope is taken out of the answer'
    case 'public':
      return `passed on: ${treatment.because}`
    case 'grant':
      return 'passed on to those with the right to every series under this action'
    case 'refuse':
      return `refused to everybody: ${treatment.because}`
  }
}

function rightNeeded({ treatment }: Endpoint): string {
  if (treatment.scope === 'refuse') return 'none helps'
  return 'action' in treatment ? `\`${treatment.action}\`` : 'none, but known'
}
