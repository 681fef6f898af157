import { z } from 'zod'
import type { Address } from './config.ts'
import { settings, text, url } from './values.ts'

const label = '[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?'
const loopback = /^(localhost|127(\.\d+){3}|\[?::1\]?)$/

const selfTest = url
  .refine((written) => URL.parse(written)?.protocol === 'http:', 'must be http: the proxy cannot look into https')
  .refine(
    (written) => URL.parse(written)?.pathname === '/',
    'must have no path: the gateway has one of its own for this',
  )
  .refine(
    (written) => !loopback.test(URL.parse(written)?.hostname ?? ''),
    'is on the loopback interface, where nothing passes the proxy: see docs/mesh.md',
  )

/** `identity.mesh`: Linkerd's word on who calls. */
export const mesh = settings({
  trustDomain: text.regex(
    new RegExp(`^(?=.{1,253}$)${label}(\\.${label})*$`),
    "must be Linkerd's trust domain, such as cluster.local",
  ),
  controlPlaneNamespace: text.regex(new RegExp(`^${label}$`), 'must be the name of a namespace').default('linkerd'),
  selfTest,
  subjects: z.enum(['none', 'all'], { error: 'must be none or all' }).default('none'),
})

/** Where clients are awaited on the loopback interface alone, no request ever counts. */
export const checkMesh = ({ host }: Address): readonly string[] =>
  loopback.test(host)
    ? ['identity.mesh: listen is an address of the loopback interface, where nothing comes from the mesh: use 0.0.0.0']
    : []
