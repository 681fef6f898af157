import { ok } from '../../result.ts'
import type { Result } from '../../result.ts'
import type { Review, ReviewFailure, ReviewFilter, Timeline, Within } from '../../review/review.ts'

/** How many of the most active people a timeline names. */
const named = 10

/** How many people the records are of: those whom the timeline names, or, where there are more, all that the list has. */
export async function countPeople(
  review: Review,
  filter: ReviewFilter,
  { within, signal, timeline }: { readonly within: Within; readonly signal: AbortSignal; readonly timeline: Timeline },
): Promise<Result<number, ReviewFailure>> {
  if (timeline.people.length < named) return ok(timeline.people.length)
  const people = new Set<string>()
  let after: string | null = null
  do {
    const page: Awaited<ReturnType<Review['search']>> = await review.search(
      filter,
      within,
      { after, limit: 1_000 },
      signal,
    )
    if (!page.ok) return page
    for (const { subject, name } of page.value.rows) people.add(subject ?? name ?? '')
    after = page.value.next
  } while (after !== null)
  people.delete('')
  return ok(people.size)
}
