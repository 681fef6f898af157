import { hash } from 'node:crypto'

/**
 * The Merkle tree of RFC 6962 §2.1 (the same in RFC 9162 §2.1), over the lines of one segment. A leaf is a line without
 * its newline: sha256(0x00 ‖ line). A node is sha256(0x01 ‖ left ‖ right).
 */
export const leafHash = (line: Uint8Array): Buffer =>
  hash('sha256', Buffer.concat([Buffer.from([0]), line]), { outputEncoding: 'buffer' })

/** The same for text without lone surrogates; spares a copy. */
export const leafHashOfText = (line: string): Buffer => hash('sha256', `\0${line}`, { outputEncoding: 'buffer' })

const nodeHash = (left: Uint8Array, right: Uint8Array): Buffer =>
  hash('sha256', Buffer.concat([Buffer.from([1]), left, right]), { outputEncoding: 'buffer' })

/** A tree that only grows, kept as the roots of its whole subtrees, the largest first: one for each bit of its size. */
export class GrowingTree {
  #size = 0
  #roots: Buffer[] = []

  /** Goes on with a tree of this size; `null` when the roots cannot be those of such a tree. */
  static from(size: number, roots: readonly Buffer[]): GrowingTree | null {
    if (!Number.isSafeInteger(size) || size < 0 || roots.length !== bitsIn(size)) return null
    if (roots.some((root) => root.length !== 32)) return null
    const tree = new GrowingTree()
    tree.#size = size
    tree.#roots = [...roots]
    return tree
  }

  get size(): number {
    return this.#size
  }

  /** The roots of the whole subtrees, the largest first. */
  get roots(): readonly Buffer[] {
    return [...this.#roots]
  }

  append(leaf: Buffer): void {
    let right = leaf
    for (let rest = this.#size; rest % 2 === 1; rest = Math.floor(rest / 2)) {
      right = nodeHash(this.#roots.pop() ?? right, right)
    }
    this.#roots.push(right)
    this.#size++
  }

  root(): Buffer {
    const last = this.#roots.at(-1)
    if (last === undefined) return hash('sha256', '', { outputEncoding: 'buffer' })
    return this.#roots.slice(0, -1).reduceRight((right, left) => nodeHash(left, right), last)
  }
}

function bitsIn(size: number): number {
  let count = 0
  for (let rest = size; rest > 0; rest = Math.floor(rest / 2)) count += rest % 2
  return count
}

interface Range {
  readonly from: number
  readonly to: number
}

/** The subtrees whose roots prove a leaf, from the leaf upwards (PATH of RFC 6962 §2.1.1). */
function siblings(index: number, { from, to }: Range): readonly Range[] {
  if (to - from <= 1) return []
  let half = 1
  while (half * 2 < to - from) half *= 2
  const middle = from + half
  return index < middle
    ? [...siblings(index, { from, to: middle }), { from: middle, to }]
    : [...siblings(index, { from: middle, to }), { from, to: middle }]
}

/** Makes the path of one leaf while all the leaves pass by once, in order. */
export class PathBuilder {
  readonly #index: number
  readonly #parts: readonly { readonly range: Range; readonly tree: GrowingTree }[]
  #seen = 0

  constructor(index: number, size: number) {
    this.#index = index
    this.#parts = siblings(index, { from: 0, to: size }).map((range) => ({ range, tree: new GrowingTree() }))
  }

  append(leaf: Buffer): void {
    const at = this.#seen++
    if (at === this.#index) return
    this.#parts.find(({ range }) => at >= range.from && at < range.to)?.tree.append(leaf)
  }

  path(): readonly Buffer[] {
    return this.#parts.map(({ tree }) => tree.root())
  }
}

/** The root that a leaf and its path lead to (RFC 9162 §2.1.3.2); `null` when the path has another length than it must. */
export function rootOfPath(index: number, size: number, leaf: Buffer, path: readonly Buffer[]): Buffer | null {
  if (!Number.isSafeInteger(index) || !Number.isSafeInteger(size) || index < 0 || index >= size) return null
  const ranges = siblings(index, { from: 0, to: size })
  if (ranges.length !== path.length) return null
  return ranges.reduce((root, { from }, at) => {
    const sibling = path[at] ?? root
    return from > index ? nodeHash(root, sibling) : nodeHash(sibling, root)
  }, leaf)
}
