import type { IncomingMessage } from 'node:http'

/** Does the caller take gzip (RFC 9110 §12.5.3)? By name, or by `*`, and not with a weight of zero. */
export function takesGzip({ headers }: IncomingMessage): boolean {
  const codings = (headers['accept-encoding']?.toString() ?? '').split(',').map((coding) => {
    const [name = '', ...parameters] = coding.split(';').map((part) => part.trim().toLowerCase())
    return { name, refused: parameters.some((parameter) => /^q=0(\.0{0,3})?$/.test(parameter)) }
  })
  const said =
    codings.find(({ name }) => name === 'gzip' || name === 'x-gzip') ?? codings.find(({ name }) => name === '*')
  return said !== undefined && !said.refused
}
