/** Someone who can log in to the demo. */
export interface Person {
  /** What the identity provider calls them, in `sub`. */
  readonly id: string
  readonly name: string
  readonly email: string
  readonly groups: readonly string[]
  /** One sentence for whoever chooses a person to be. */
  readonly about: string
}

/** The four people of the demo's story. */
export const people: readonly Person[] = [
  {
    id: 'alice',
    name: 'Alice Arden',
    email: 'alice@example.com',
    groups: ['team-emojivoto'],
    about: 'Develops emojivoto and looks at her own namespace.',
  },
  {
    id: 'bob',
    name: 'Bob Berg',
    email: 'bob@example.com',
    groups: ['team-booksapp'],
    about: 'Runs booksapp and wants to know who called his authors service at 3 a.m.',
  },
  {
    id: 'carol',
    name: 'Carol Castro',
    email: 'carol@example.com',
    groups: ['platform'],
    about: 'Operates the cluster and its Linkerd, every namespace of it.',
  },
  {
    id: 'dana',
    name: 'Dana Diaz',
    email: 'dana@example.com',
    groups: ['auditors'],
    about: 'Audits who looked at what, and can trust the record.',
  },
]
