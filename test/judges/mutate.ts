import { fragments } from './attacks.ts'
import type { Random } from './random.ts'

/** What the fuzzer takes for a token: words, strings, spaces, single marks. Rough on purpose, it only cuts texts up. */
const token = /\s+|"(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*'|`[^`]*`|[\p{L}_:][\p{L}\d_:]*|[\d.]+[a-z]*|[^]/gu

export const tokensOf = (text: string): string[] => text.match(token) ?? []

const mostCharacters = 2000

/** One to four changes to a text: to its tokens or its characters, also with pieces of another text. */
export function mutate(random: Random, text: string, others: readonly string[]): string {
  let mutant = text
  const changes = 1 + random.below(4)
  for (let change = 0; change < changes; change++) {
    // By UTF-16 unit, so that a pair of them can be torn apart.
    const pieces = random.below(3) === 0 ? mutant.split('') : tokensOf(mutant)
    mutate1(random, pieces, others)
    mutant = pieces.join('')
  }
  return mutant.slice(0, mostCharacters)
}

function mutate1(random: Random, pieces: string[], others: readonly string[]): void {
  const at = random.below(pieces.length + 1)
  const some = 1 + random.below(3)
  switch (random.below(10)) {
    case 0:
      pieces.splice(at, some)
      return
    case 1:
      pieces.splice(at, 0, ...pieces.slice(at, at + some))
      return
    case 2: {
      const other = random.below(pieces.length + 1)
      const [one, two] = [pieces[at], pieces[other]]
      if (one !== undefined && two !== undefined) [pieces[at], pieces[other]] = [two, one]
      return
    }
    case 3: {
      const other = tokensOf(random.pick(others))
      const from = random.below(other.length + 1)
      pieces.splice(at, random.below(2), ...other.slice(from, from + 1 + random.below(8)))
      return
    }
    case 4: {
      // Joined with a whole other expression, which leaves more mutants valid than splices do.
      pieces.push(
        random.pick([' or ', ' and ', ' + ', ' unless ', '\r+ ', ' # \r or ', ' == bool ']),
        random.pick(others),
      )
      return
    }
    case 5: {
      pieces.unshift(
        random.pick(['sum(', 'rate(', '(', 'absent(', 'topk(scalar(secret), ', 'timestamp((', '-', 'sum by (a) (']),
      )
      pieces.push(random.pick([')', '))', '[5m])', '[5m:1m])', ')', ')', ') by (b)', ')[5m:]', ' offset 5m)', ' @ 1)']))
      return
    }
    case 6:
      if (at < pieces.length) pieces[at] = (pieces[at] ?? '').toUpperCase()
      return
    default:
      pieces.splice(at, random.below(3) === 0 ? 1 : 0, random.pick(fragments))
  }
}

/**
 * Makes a failing text small: leaves out ever smaller runs of tokens, then of characters, as long as it still fails.
 * @param budget how often `fails` may be asked
 */
export async function shrink(text: string, fails: (text: string) => Promise<boolean>, budget = 600): Promise<string> {
  let asked = 0
  const shorter = async (pieces: readonly string[]): Promise<readonly string[]> => {
    let kept = pieces
    for (let run = Math.ceil(kept.length / 2); run >= 1; run = run === 1 ? 0 : Math.ceil(run / 2)) {
      for (let at = 0; at < kept.length && asked < budget;) {
        const tried = [...kept.slice(0, at), ...kept.slice(at + run)]
        asked++
        if (await fails(tried.join(''))) kept = tried
        else at += run
      }
    }
    return kept
  }
  const byTokens = (await shorter(tokensOf(text))).join('')
  return (await shorter(byTokens.split(''))).join('')
}
