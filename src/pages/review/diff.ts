import { maxPairs } from './limits.ts'

/** A piece of a text, and whether the other text has it as well. */
export interface Piece {
  readonly text: string
  readonly same: boolean
}

/** Two texts in pieces. */
export interface Difference {
  readonly before: readonly Piece[]
  readonly after: readonly Piece[]
  /** False where the texts are too long to be compared: then nothing is marked. */
  readonly compared: boolean
}

/** Words, numbers, strings, white space, operators: what a query is made of, near enough to compare two. */
const tokens = /"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'|`[^`]*`|[\p{L}\p{N}_:.$-]+|\s+|=~|!~|!=|==|>=|<=|[^]/gu

/**
 * What one text has and the other has not, word by word: the longest common subsequence of what is left after the same
 * beginning and the same end. Its cost is bounded; beyond the bound nothing is marked.
 */
export function differenceOf(before: string, after: string): Difference {
  if (before === after) return whole(before, after, true)
  const one = before.match(tokens) ?? []
  const other = after.match(tokens) ?? []
  let head = 0
  while (head < one.length && head < other.length && one[head] === other[head]) head++
  let tail = 0
  const most = Math.min(one.length, other.length) - head
  while (tail < most && one[one.length - 1 - tail] === other[other.length - 1 - tail]) tail++
  const left = one.slice(head, one.length - tail)
  const right = other.slice(head, other.length - tail)
  if (left.length * right.length > maxPairs) return whole(before, after, false)
  const [keptLeft, keptRight] = common(left, right)
  const marked = (all: readonly string[], kept: ReadonlySet<number>): readonly Piece[] =>
    joined(all.map((text, at) => ({ text, same: at < head || at >= all.length - tail || kept.has(at - head) })))
  return { before: marked(one, keptLeft), after: marked(other, keptRight), compared: true }
}

const whole = (before: string, after: string, compared: boolean): Difference => ({
  before: [{ text: before, same: true }],
  after: [{ text: after, same: true }],
  compared,
})

/** Places of a longest common subsequence in both. */
function common(
  left: readonly string[],
  right: readonly string[],
): readonly [ReadonlySet<number>, ReadonlySet<number>] {
  const columns = right.length + 1
  const longest = new Uint32Array((left.length + 1) * columns)
  const at = (row: number, column: number): number => longest[row * columns + column] ?? 0
  for (let row = left.length - 1; row >= 0; row--) {
    for (let column = right.length - 1; column >= 0; column--) {
      longest[row * columns + column] =
        left[row] === right[column] ? at(row + 1, column + 1) + 1 : Math.max(at(row + 1, column), at(row, column + 1))
    }
  }
  const keptLeft = new Set<number>()
  const keptRight = new Set<number>()
  for (let row = 0, column = 0; row < left.length && column < right.length;) {
    if (left[row] === right[column]) {
      keptLeft.add(row++)
      keptRight.add(column++)
    } else if (at(row + 1, column) >= at(row, column + 1)) row++
    else column++
  }
  return [keptLeft, keptRight]
}

/** Neighbours of the same sort in one piece. White space between two differences belongs to them. */
function joined(pieces: readonly Piece[]): readonly Piece[] {
  const found: Piece[] = []
  for (const [at, piece] of pieces.entries()) {
    const between = piece.text.trim() === '' && pieces[at - 1]?.same === false && pieces[at + 1]?.same === false
    const same = piece.same && !between
    const last = found.at(-1)
    if (last?.same === same) found[found.length - 1] = { text: last.text + piece.text, same }
    else found.push({ text: piece.text, same })
  }
  return found
}
