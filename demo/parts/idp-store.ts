import type { Adapter, AdapterPayload } from 'oidc-provider'

/**
 * Where the demo's identity provider keeps sessions, logins and codes: in memory, gone when it stops. The provider's
 * built-in store does the same, but writes a warning for production onto the demo's screen.
 * @returns what the provider calls once for every kind of thing that it stores
 */
export function memoryStore(): (kind: string) => Adapter {
  const all = new Map<string, Kept>()
  return (kind) => adapter(all, kind)
}

interface Kept {
  readonly payload: AdapterPayload
  readonly until: number
}

function adapter(all: Map<string, Kept>, kind: string): Adapter {
  const key = (id: string): string => `${kind} ${id}`
  const alive = (kept: Kept | undefined): AdapterPayload | undefined =>
    kept !== undefined && kept.until > Date.now() ? kept.payload : undefined
  const findBy = (matches: (payload: AdapterPayload) => boolean): AdapterPayload | undefined =>
    alive([...all].find(([name, kept]) => name.startsWith(`${kind} `) && matches(kept.payload))?.[1])
  return {
    async upsert(id, payload, expiresIn = Infinity) {
      all.set(key(id), { payload, until: Date.now() + expiresIn * 1000 })
    },
    async find(id) {
      return alive(all.get(key(id)))
    },
    async findByUid(uid) {
      return findBy((payload) => payload.uid === uid)
    },
    async findByUserCode(userCode) {
      return findBy((payload) => payload.userCode === userCode)
    },
    async consume(id) {
      const payload = alive(all.get(key(id)))
      if (payload !== undefined) payload['consumed'] = Math.floor(Date.now() / 1000)
    },
    async destroy(id) {
      all.delete(key(id))
    },
    async revokeByGrantId(grantId) {
      for (const [name, kept] of all) if (kept.payload.grantId === grantId) all.delete(name)
    },
  }
}
