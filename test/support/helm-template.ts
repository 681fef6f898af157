// Renders the part of Go's template language, with Helm's functions, that the chart uses. Whatever it does not know, and
// every value that is not there, it throws at: it never guesses.
import { createHash } from 'node:crypto'
import { stringify } from 'yaml'

/** Templates by file name, and what they are rendered with. */
export interface Chart {
  readonly files: Readonly<Record<string, string>>
  /** What `.` is at first: Values, Release, Chart. */
  readonly root: unknown
}

/** A template that uses what this renderer lacks, or a value that is not there. */
export class TemplateError extends Error {}

/** Renders every file that defines more than named templates (`_*.tpl`). */
export function renderChart({ files, root }: Chart): ReadonlyMap<string, string> {
  const named = new Map<string, readonly Node[]>()
  const parsed = Object.entries(files).map(([name, text]) => [name, parse(text, name, named)] as const)
  const renderable = parsed.filter(([name]) => !name.startsWith('_'))
  return new Map(renderable.map(([name, nodes]) => [name, render(nodes, { root, dot: root, named, name })]))
}

type Node =
  | { readonly kind: 'text'; readonly text: string }
  | { readonly kind: 'print'; readonly pipe: Pipe }
  | { readonly kind: Block; readonly pipe: Pipe; readonly body: readonly Node[]; readonly otherwise: readonly Node[] }
type Block = 'if' | 'with' | 'range'

/** Calls, each given the result of the one before as its last argument. */
type Pipe = readonly Call[]
/** A function with arguments, or a lone value. */
interface Call {
  readonly name: string | null
  readonly args: readonly Argument[]
}
type Argument =
  | { readonly kind: 'literal'; readonly value: string | number | boolean }
  | { readonly kind: 'field'; readonly from: 'root' | 'dot'; readonly path: readonly string[] }
  | { readonly kind: 'pipe'; readonly pipe: Pipe }

interface Token {
  readonly text: string
  readonly action: boolean
}

/** Text and actions, with the white space gone that `{{-` and `-}}` take. */
function tokenize(source: string, name: string): readonly Token[] {
  const tokens: Token[] = []
  let trim = false
  let rest = source
  for (;;) {
    const start = rest.indexOf('{{')
    const text = start < 0 ? rest : rest.slice(0, start)
    const cut = start >= 0 && /^\{\{-\s/.test(rest.slice(start))
    const left = trim ? text.trimStart() : text
    tokens.push({ text: cut ? left.trimEnd() : left, action: false })
    if (start < 0) return tokens
    const action = /^\{\{(?:-\s)?((?:"(?:[^"\\]|\\.)*"|\/\*[^]*?\*\/|[^"}])*?)(\s-)?\}\}/.exec(rest.slice(start))
    if (action === null) throw new TemplateError(`${name}: an action has no end: ${rest.slice(start, start + 40)}`)
    tokens.push({ text: (action[1] ?? '').trim(), action: true })
    trim = action[2] !== undefined
    rest = rest.slice(start + action[0].length)
  }
}

function parse(source: string, name: string, named: Map<string, readonly Node[]>): readonly Node[] {
  const tokens = tokenize(source, name)
  let at = 0
  const { nodes, end } = body()
  if (end !== '') throw new TemplateError(`${name}: "${end}" without a beginning`)
  return nodes

  function body(): { nodes: readonly Node[]; end: string } {
    const nodes: Node[] = []
    for (;;) {
      const token = tokens[at]
      at += 1
      if (token === undefined) return { nodes, end: '' }
      if (!token.action) {
        nodes.push({ kind: 'text', text: token.text })
        continue
      }
      const [word = ''] = token.text.split(/\s/, 1)
      const rest = token.text.slice(word.length).trim()
      if (word === 'end' || word === 'else') {
        if (rest !== '') throw new TemplateError(`${name}: cannot render "${token.text}"`)
        return { nodes, end: word }
      }
      if (token.text.startsWith('/*') && token.text.endsWith('*/')) continue
      if (word === 'define') define(rest)
      else if (word === 'if' || word === 'with' || word === 'range') nodes.push(block(word, rest))
      else nodes.push({ kind: 'print', pipe: parsePipe(token.text, name) })
    }
  }

  function define(quoted: string): void {
    const title = /^"([\w.]+)"$/.exec(quoted)?.[1]
    if (title === undefined || named.has(title)) throw new TemplateError(`${name}: cannot define ${quoted}`)
    const { nodes, end } = body()
    if (end !== 'end') throw new TemplateError(`${name}: define ${quoted} has no end`)
    named.set(title, nodes)
  }

  function block(kind: Block, condition: string): Node {
    const pipe = parsePipe(condition, name)
    const then = body()
    const otherwise = then.end === 'else' ? body() : { nodes: [], end: then.end }
    if (otherwise.end !== 'end') throw new TemplateError(`${name}: ${kind} ${condition} has no end`)
    return { kind, pipe, body: then.nodes, otherwise: otherwise.nodes }
  }
}

function parsePipe(source: string, name: string): Pipe {
  const words = source.match(/"(?:[^"\\]|\\.)*"|[()|]|[^\s()|"]+/g) ?? []
  let at = 0
  const pipe = calls()
  if (at < words.length) throw new TemplateError(`${name}: cannot render "${source}"`)
  return pipe

  function calls(): Pipe {
    const found: Call[] = [call()]
    while (words[at] === '|') {
      at += 1
      found.push(call())
    }
    return found
  }

  function call(): Call {
    const word = words[at] ?? ''
    const isFunction = /^[a-zA-Z]\w*$/.test(word) && word !== 'true' && word !== 'false'
    if (isFunction && !Object.hasOwn(functions, word) && word !== 'include') {
      throw new TemplateError(`${name}: cannot render the function ${word}`)
    }
    if (isFunction) at += 1
    const args: Argument[] = []
    while (at < words.length && words[at] !== '|' && words[at] !== ')') args.push(argument())
    if (!isFunction && args.length !== 1) throw new TemplateError(`${name}: cannot render "${source}"`)
    return { name: isFunction ? word : null, args }
  }

  function argument(): Argument {
    const word = words[at] ?? ''
    at += 1
    if (word === '(') {
      const pipe = calls()
      if (words[at] !== ')') throw new TemplateError(`${name}: a bracket is open in "${source}"`)
      at += 1
      return { kind: 'pipe', pipe }
    }
    if (word.startsWith('"')) return { kind: 'literal', value: String(JSON.parse(word)) }
    if (/^\d+$/.test(word)) return { kind: 'literal', value: Number(word) }
    if (word === 'true' || word === 'false') return { kind: 'literal', value: word === 'true' }
    if (!/^\$?(\.|(\.[A-Za-z_]\w*)+)$|^\$$/.test(word)) throw new TemplateError(`${name}: cannot render "${word}"`)
    return {
      kind: 'field',
      from: word.startsWith('$') ? 'root' : 'dot',
      path: word.split('.').slice(1).filter(Boolean),
    }
  }
}

interface Scene {
  readonly root: unknown
  readonly dot: unknown
  readonly named: ReadonlyMap<string, readonly Node[]>
  readonly name: string
}

const render = (nodes: readonly Node[], scene: Scene): string => nodes.map((node) => renderNode(node, scene)).join('')

function renderNode(node: Node, scene: Scene): string {
  if (node.kind === 'text') return node.text
  const value = run(node.pipe, scene)
  if (node.kind === 'print') return print(value)
  if (!isTrue(value)) return render(node.otherwise, scene)
  if (node.kind === 'if') return render(node.body, scene)
  if (node.kind === 'with') return render(node.body, { ...scene, dot: value })
  if (!Array.isArray(value)) throw new TemplateError(`${scene.name}: range over what is no list`)
  return value.map((dot: unknown) => render(node.body, { ...scene, dot })).join('')
}

function run(pipe: Pipe, scene: Scene): unknown {
  let piped: readonly unknown[] = []
  for (const { name, args } of pipe) {
    const values = [...args.map((argument) => valueOf(argument, scene)), ...piped]
    piped = [name === null ? values[0] : name === 'include' ? include(values, scene) : functions[name]?.(...values)]
  }
  return piped[0]
}

function include([title, dot]: readonly unknown[], scene: Scene): string {
  const nodes = scene.named.get(text(title))
  if (nodes === undefined) throw new TemplateError(`${scene.name}: there is no template ${text(title)}`)
  return render(nodes, { ...scene, root: dot, dot })
}

function valueOf(argument: Argument, scene: Scene): unknown {
  if (argument.kind === 'literal') return argument.value
  if (argument.kind === 'pipe') return run(argument.pipe, scene)
  return argument.path.reduce<unknown>(
    (value, key) => {
      if (typeof value === 'object' && value !== null && Object.hasOwn(value, key)) return Reflect.get(value, key)
      throw new TemplateError(`${scene.name}: there is no ${key} in .${argument.path.join('.')}`)
    },
    argument.from === 'root' ? scene.root : scene.dot,
  )
}

/** Go's truth: what is empty is false. */
const isTrue = (value: unknown): boolean =>
  typeof value === 'object' && value !== null ? Object.keys(value).length > 0 : Boolean(value)

function text(value: unknown): string {
  if (typeof value === 'string') return value
  throw new TemplateError(`a text is needed, not ${JSON.stringify(value)}`)
}
function whole(value: unknown): number {
  if (typeof value === 'number' && Number.isSafeInteger(value) && value >= 0) return value
  throw new TemplateError(`a whole number is needed, not ${JSON.stringify(value)}`)
}

/** Helm's numbers are floating: from a million on Go prints them with an exponent. */
function print(value: unknown): string {
  if (typeof value === 'boolean') return String(value)
  if (typeof value === 'number' && whole(value) < 1_000_000) return String(value)
  return text(value)
}

type Function = (...args: unknown[]) => unknown

/** A function that takes exactly so many arguments. */
const exactly =
  (count: number, run: Function): Function =>
  (...args) => {
    if (args.length === count) return run(...args)
    throw new TemplateError(`${count} arguments are needed, not ${args.length}`)
  }

const functions: Readonly<Record<string, Function>> = {
  default: exactly(2, (fallback, value) => (isTrue(value) ? value : fallback)),
  eq: exactly(2, (a, b) => print(a) === print(b) && typeof a === typeof b),
  not: exactly(1, (value) => !isTrue(value)),
  nindent: exactly(2, (width, value) => `\n${text(value)}`.replaceAll('\n', `\n${' '.repeat(whole(width))}`)),
  or: (...args) => args.find(isTrue) ?? args.at(-1),
  printf: (format, ...args) => {
    const parts = text(format).split('%s')
    if (text(format).replaceAll('%s', '').includes('%') || parts.length !== args.length + 1) {
      throw new TemplateError(`cannot render the format ${text(format)}`)
    }
    return parts.map((part, index) => `${index === 0 ? '' : text(args[index - 1])}${part}`).join('')
  },
  quote: exactly(1, (value) => JSON.stringify(print(value))),
  regexFind: exactly(2, (pattern, value) => new RegExp(text(pattern)).exec(text(value))?.[0] ?? ''),
  sha256sum: exactly(1, (value) => createHash('sha256').update(text(value)).digest('hex')),
  // Kubernetes reads YAML 1.1, where a bare yes is true, so Helm quotes it.
  toYaml: exactly(1, (value) =>
    stringify(JSON.parse(JSON.stringify(value)), { lineWidth: 0, sortMapEntries: true, version: '1.1' }).trimEnd(),
  ),
  trimSuffix: exactly(2, (suffix, value) =>
    text(value).endsWith(text(suffix)) ? text(value).slice(0, text(value).length - text(suffix).length) : text(value),
  ),
  trunc: exactly(2, (length, value) => text(value).slice(0, whole(length))),
}
