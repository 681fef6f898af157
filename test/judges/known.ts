/** What Prometheus reads and we refuse on purpose, each with its reason. `info()` is apart: it is a matter of rights. */
export const refusedOnPurpose: ReadonlyMap<string, { readonly because: string; readonly on: readonly string[] }> =
  new Map([
    [
      'foo[5s s 5s]',
      { because: 'the lexer of Prometheus 2 takes any letter between brackets for a colon', on: ['prometheus'] },
    ],
    [
      'foo[5s x 5s]',
      { because: 'the lexer of Prometheus 2 takes any letter between brackets for a colon', on: ['prometheus'] },
    ],
    [
      'foo @ end()[1s]',
      {
        because: 'a range after @ or offset; the documented order is the other one',
        on: ['prometheus', 'prometheus3'],
      },
    ],
    [
      'some_metric offset step()[5m]',
      { because: 'a range after @ or offset; the documented order is the other one', on: ['prometheus3'] },
    ],
  ])

/** What only an older Prometheus reads: it is accepted, and a newer one says itself that it does not know it. */
export const onlyOnTwo: readonly string[] = ['holt_winters(process_resident_memory_bytes[10m], 0.5, 0.5)']

/**
 * Answers that differ from those of the filtered database, by scope: PromQL has no union of ranges, so a range selector
 * that no function takes is answered for the first alternative only, and the answer says so in a note.
 */
export const narrower: Readonly<Record<string, readonly string[]>> = {
  'a namespace or a job': ['up[1m]', 'up[5m] offset 1m'],
}
