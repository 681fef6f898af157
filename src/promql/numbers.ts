const hex = /^0[xX]_?[0-9a-fA-F]+(?:_[0-9a-fA-F]+)*$/
const octal = /^0(?:_?[0-7])+$/
const decimal = /^(?:\d+(?:_\d+)*(?:\.(?:\d+(?:_\d+)*)?)?|\.\d+(?:_\d+)*)(?:[eE][+-]?\d+(?:_\d+)*)?$/
const unitsMs = [31_536_000_000, 604_800_000, 86_400_000, 3_600_000, 60_000, 1000, 1] as const
const milliseconds = 6
const unitNames: readonly string[] = ['y', 'w', 'd', 'h', 'm', 's', 'ms']

/** Go keeps durations as 64-bit nanoseconds. */
export const mostSeconds = 2 ** 63 / 1e9

/**
 * A number as Go's `ParseInt(text, 0, 64)` and then `ParseFloat` read it, which is what Prometheus does: `0x1f` is 31,
 * `017` is 15, `018` is 18.
 *
 * @returns `undefined` when the text is no number or too large for one
 */
export function parseNumber(text: string): number | undefined {
  const plain = parsePlain(text)
  if (plain >= 0) return plain
  if (octal.test(text)) {
    const value = Number.parseInt(text.replaceAll('_', ''), 8)
    if (value < 2 ** 63) return value
  }
  if (hex.test(text)) {
    const digits = text.slice(2).replaceAll('_', '').replace(/^0+/, '')
    return digits.length < 16 || (digits.length === 16 && digits < '8') ? Number(`0x0${digits}`) : undefined
  }
  if (!decimal.test(text)) return undefined
  const value = Number(text.includes('_') ? text.replaceAll('_', '') : text)
  return Number.isFinite(value) ? value : undefined
}

/** Up to 15 digits without a leading zero: no base and no rounding to think about. Else -1. */
function parsePlain(text: string): number {
  if (text.length > 15 || (text.length > 1 && text.charCodeAt(0) === 48)) return -1
  let value = 0
  for (let at = 0; at < text.length; at++) {
    const digit = digitAt(text, at)
    if (digit < 0) return -1
    value = value * 10 + digit
  }
  return text === '' ? -1 : value
}

/** Seconds of a duration such as `1h30m` (units in falling order, each once), or `undefined`. */
export function parseDuration(text: string): number | undefined {
  let ms = 0
  let next = 0
  let at = 0
  while (at < text.length) {
    const digits = at
    let count = 0
    for (let digit = digitAt(text, at); digit >= 0; digit = digitAt(text, ++at)) count = count * 10 + digit
    const index = unitAt(text, at)
    if (index < next || at === digits) return undefined
    ms += count * (unitsMs[index] ?? 0)
    at += index === milliseconds ? 2 : 1
    next = index + 1
  }
  return text !== '' && ms / 1000 <= mostSeconds ? ms / 1000 : undefined
}

/** Which of the units stands at an index, or -1. */
function unitAt(text: string, at: number): number {
  const letter = text.charAt(at)
  return letter === 'm' && text.charAt(at + 1) === 's' ? milliseconds : unitNames.indexOf(letter)
}

/** The digit at an index, or -1. */
function digitAt(text: string, at: number): number {
  const code = at < text.length ? text.charCodeAt(at) : 0
  return code >= 48 && code <= 57 ? code - 48 : -1
}

/** A number as PromQL writes it everywhere. */
export function printNumber(value: number): string {
  if (Number.isNaN(value)) return 'NaN'
  if (!Number.isFinite(value)) return value < 0 ? '-Inf' : 'Inf'
  return Object.is(value, -0) ? '-0' : String(value)
}

/**
 * Seconds as a duration, the way Prometheus prints one. A number of seconds is a duration only since Prometheus 3, a
 * duration works everywhere, so `[300]` becomes `[5m]`. What is not a whole number of milliseconds stays a number.
 */
export function printDuration(seconds: number): string {
  const nanoseconds = Math.round(Math.abs(seconds) * 1e9)
  if (nanoseconds % 1e6 !== 0 || !Number.isSafeInteger(nanoseconds / 1e6)) return printNumber(seconds)
  if (nanoseconds === 0) return '0s'
  let ms = nanoseconds / 1e6
  let text = seconds < 0 ? '-' : ''
  for (let index = 0; ms > 0; index++) {
    const unit = unitsMs[index] ?? 1
    // Years and weeks only where nothing remains: 8d reads better than 1w1d.
    if (index < 2 && ms % unit !== 0) continue
    const count = Math.floor(ms / unit)
    if (count > 0) text += `${count}${unitNames[index] ?? ''}`
    ms -= count * unit
  }
  return text
}
