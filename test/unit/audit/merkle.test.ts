import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { GrowingTree, PathBuilder, leafHash, leafHashOfText, rootOfPath } from '../../../src/audit/merkle.ts'

const sha256 = (...parts: readonly Uint8Array[]): Buffer => createHash('sha256').update(Buffer.concat(parts)).digest()

/** RFC 6962 §2.1, written as it stands there. */
function naiveRoot(leaves: readonly Uint8Array[]): Buffer {
  const [first] = leaves
  if (first === undefined) return sha256()
  if (leaves.length === 1) return sha256(Buffer.of(0), first)
  let k = 1
  while (k * 2 < leaves.length) k *= 2
  return sha256(Buffer.of(1), naiveRoot(leaves.slice(0, k)), naiveRoot(leaves.slice(k)))
}

/** RFC 6962 §2.1.1, written as it stands there. */
function naivePath(index: number, leaves: readonly Uint8Array[]): readonly Buffer[] {
  if (leaves.length <= 1) return []
  let k = 1
  while (k * 2 < leaves.length) k *= 2
  return index < k
    ? [...naivePath(index, leaves.slice(0, k)), naiveRoot(leaves.slice(k))]
    : [...naivePath(index - k, leaves.slice(k)), naiveRoot(leaves.slice(0, k))]
}

function grown(leaves: readonly Uint8Array[]): GrowingTree {
  const tree = new GrowingTree()
  for (const leaf of leaves) tree.append(leafHash(leaf))
  return tree
}

// The inputs and roots of certificate-transparency's merkle_tree_test.cc, which other implementations use as well.
const inputs = [
  ...['', '00', '10', '2021', '3031', '40414243', '5051525354555657', '606162636465666768696a6b6c6d6e6f'],
].map((hex) => Buffer.from(hex, 'hex'))
const roots = [
  'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855',
  '6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d',
  'fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125',
  'aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77',
  'd37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7',
  '4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4',
  '76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef',
  'ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c',
  '5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328',
]

describe('the Merkle tree', () => {
  it('has the published roots', () => {
    for (const [size, root] of roots.entries()) {
      assert.equal(grown(inputs.slice(0, size)).root().toString('hex'), root, `size ${size}`)
    }
  })
  it('is the one of the RFC at any size, also when it is put down and taken up again', () => {
    fc.assert(
      fc.property(fc.array(fc.uint8Array({ maxLength: 8 }), { maxLength: 70 }), fc.nat(), (leaves, cut) => {
        const tree = grown(leaves)
        assert.deepEqual(tree.root(), naiveRoot(leaves))
        const half = cut % (leaves.length + 1)
        const { size, roots } = grown(leaves.slice(0, half))
        const again = GrowingTree.from(size, roots)
        for (const leaf of leaves.slice(half)) again?.append(leafHash(leaf))
        assert.deepEqual([again?.root(), again?.roots], [tree.root(), tree.roots])
      }),
    )
  })
  it('does not go on from roots that another size has', () => {
    const { roots } = grown(inputs)
    assert.equal(GrowingTree.from(7, roots), null)
    assert.equal(GrowingTree.from(-1, []), null)
    assert.equal(GrowingTree.from(8, [Buffer.alloc(31)]), null)
  })
  it('hashes text as its bytes', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme' }), (text) =>
        assert.deepEqual(leafHashOfText(text), leafHash(Buffer.from(text))),
      ),
    )
  })
})

describe('a path', () => {
  const tree = fc
    .array(fc.uint8Array({ maxLength: 8 }), { minLength: 1, maxLength: 70 })
    .chain((leaves) => fc.record({ leaves: fc.constant(leaves), index: fc.nat({ max: leaves.length - 1 }) }))
  const pathOf = (index: number, leaves: readonly Uint8Array[]): readonly Buffer[] => {
    const builder = new PathBuilder(index, leaves.length)
    for (const leaf of leaves) builder.append(leafHash(leaf))
    return builder.path()
  }

  it('is the one of the RFC, and leads to the root', () => {
    fc.assert(
      fc.property(tree, ({ leaves, index }) => {
        const path = pathOf(index, leaves)
        assert.deepEqual(path, naivePath(index, leaves))
        assert.deepEqual(
          rootOfPath(index, leaves.length, leafHash(leaves[index] ?? Buffer.of()), path),
          naiveRoot(leaves),
        )
      }),
    )
  })
  it('leads to no root from another leaf, or with one step changed, left out or added', () => {
    fc.assert(
      fc.property(tree, fc.nat(), ({ leaves, index }, at) => {
        const path = pathOf(index, leaves)
        const leaf = leafHash(leaves[index] ?? Buffer.of())
        const root = naiveRoot(leaves)
        const leads = (leaf: Buffer, path: readonly Buffer[]): boolean =>
          rootOfPath(index, leaves.length, leaf, path)?.equals(root) === true
        assert.ok(!leads(leafHash(Buffer.from('another leaf')), path))
        assert.ok(!leads(leaf, [...path, root]))
        if (path.length === 0) return
        assert.ok(!leads(leaf, path.slice(1)))
        assert.ok(!leads(leaf, path.with(at % path.length, Buffer.alloc(32))))
      }),
    )
  })
  it('does not exist outside of the tree', () => {
    for (const index of [-1, 3, 0.5]) assert.equal(rootOfPath(index, 3, leafHash(Buffer.of()), []), null)
  })
})
