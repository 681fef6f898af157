/** A mark of the language. Each is its own kind of token. */
export type Mark =
  | ('(' | ')' | '{' | '}' | '[' | ']' | ',' | ':' | '@' | '+' | '-' | '*' | '/' | '%' | '^')
  | ('=' | '==' | '=~' | '!=' | '!~' | '<' | '<=' | '</' | '>' | '>=' | '>/')

const singles: Mark[] = ['(', ')', '{', '}', '[', ']', ',', ':', '@', '+', '-', '*', '/', '%', '^', '=', '<', '>']
const marks: (Mark | undefined)[] = Array.from({ length: 128 }, () => undefined)
for (const one of singles) marks[one.charCodeAt(0)] = one

/** The characters that a mark can begin with. */
export const beginnings: readonly string[] = [...singles, '!']

/** The longest mark at an index, where one of {@link beginnings} stands; undefined for a lone exclamation mark. */
export function markAt(text: string, at: number): Mark | undefined {
  const code = text.charCodeAt(at)
  // Only = ! < > begin longer marks, and they sit together in ASCII but for the exclamation mark.
  const two = code === 33 || (code >= 60 && code <= 62) ? longMark(code, text.charCodeAt(at + 1)) : undefined
  return two ?? marks[code]
}

function longMark(code: number, next: number): Mark | undefined {
  switch (next) {
    case 61: // =
      return code === 61 ? '==' : code === 33 ? '!=' : code === 60 ? '<=' : '>='
    case 126: // ~
      return code === 61 ? '=~' : code === 33 ? '!~' : undefined
    case 47: // /
      return code === 60 ? '</' : code === 62 ? '>/' : undefined
    default:
      return undefined
  }
}
