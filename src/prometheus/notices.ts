import { Transform } from 'node:stream'

/** So much of an answer's end is held back until it is known to be the end; Prometheus's own notices are in it. */
const held = 64 * 1024

/** Prometheus's own `infos`, the last member of an answer. */
const ownInfos = /,"infos":\[((?:"(?:[^"\\]|\\.)*",?)*)\]\}\s*$/
const end = /\}\s*$/

/**
 * Adds sentences to the `infos` of a JSON answer as it passes through; Grafana shows them on the panel. Only the end of
 * the answer is held back, so memory does not grow with it. An answer that does not end as JSON does passes unchanged.
 */
export function addInfos(sentences: readonly string[]): Transform {
  let tail: Buffer = Buffer.alloc(0)
  return new Transform({
    transform(chunk: Buffer, _, done) {
      const all = Buffer.concat([tail, chunk])
      const out = Math.max(0, all.length - held)
      tail = all.subarray(out)
      done(null, all.subarray(0, out))
    },
    flush(done) {
      // One byte, one character: nothing is decoded, and the seam may lie within a character.
      done(null, Buffer.from(withInfos(tail.toString('latin1'), sentences), 'latin1'))
    },
  })
}

function withInfos(text: string, sentences: readonly string[]): string {
  const added = Buffer.from(sentences.map((sentence) => JSON.stringify(sentence)).join(',')).toString('latin1')
  const own = ownInfos.exec(text)
  if (own !== null) return `${text.slice(0, own.index)},"infos":[${own[1] === '' ? '' : `${own[1]},`}${added}]}`
  return end.test(text) ? text.replace(end, () => `,"infos":[${added}]}`) : text
}
