import { LineCounter, isAlias, isMap, isScalar, isSeq, parseDocument } from 'yaml'
import type { Document, Node } from 'yaml'
import type { Written } from '../policy/policy-tests.ts'
import { fail, ok } from '../result.ts'
import type { Result } from '../result.ts'

const quotes = 'a text that begins with * needs quotes'

/** Reads YAML as it is written: every value a text, each with its line. For files without secrets: problems quote them. */
export function readYamlTree(file: string, text: string): Result<Written, readonly string[]> {
  const counter = new LineCounter()
  // Nothing is turned into a number or a moment: whoever reads the texts knows what they are to be.
  const document: Document = parseDocument(text, {
    schema: 'failsafe',
    prettyErrors: false,
    logLevel: 'error',
    lineCounter: counter,
  })
  const problems = [...document.errors, ...document.warnings].map(({ pos, code, message }) => {
    return `${file}:${counter.linePos(pos[0]).line}: ${code === 'BAD_ALIAS' ? quotes : message}`
  })
  if (problems.length > 0) return fail(problems)
  const tree = treeOf(document.contents, counter)
  return typeof tree === 'string' ? fail([`${file}:${tree}`]) : ok(tree)
}

/** Or the place and name of what cannot be read. */
function treeOf(node: Node | null, counter: LineCounter): Written | string {
  const at = lineOf(node, counter)
  if (node === null) return { at, value: '' }
  if (isScalar(node)) return { at, value: typeof node.value === 'string' ? node.value : '' }
  if (isSeq<Node>(node)) {
    const items = node.items.map((item) => treeOf(item, counter))
    return (
      items.find((item) => typeof item === 'string') ?? { at, value: items.filter((item) => typeof item !== 'string') }
    )
  }
  if (isAlias(node) || !isMap<Node, Node | null>(node)) return `${at}: an alias stands for something else: ${quotes}`
  const entries = new Map<string, Written>()
  for (const { key, value } of node.items) {
    const tree = isScalar(key) ? treeOf(value, counter) : `${at}: a name must be a text`
    if (typeof tree === 'string') return tree
    entries.set(isScalar<string>(key) ? key.value : '', { ...tree, at: lineOf(key, counter) })
  }
  return { at, value: entries }
}

const lineOf = (node: Node | null, counter: LineCounter): number => counter.linePos(node?.range?.[0] ?? 0).line
