import { isNavigation } from '../../identity/fetch-metadata.ts'
import { refuse } from '../answer.ts'
import type { PageAnswer, PageParts, PageRequest } from '../answer.ts'
import type { Visit } from '../pages.ts'
import { paths } from '../paths.ts'
import { plain, redirect } from '../reply.ts'
import { beginExport, showExport, takeExport } from './export.ts'
import { openExports } from './exports.ts'
import { showPerson } from './person.ts'
import { downloadProof } from './proof-file.ts'
import { showRecord } from './record.ts'
import { listReviews, saveReview } from './reviews.ts'
import { script } from './script.ts'
import { search } from './search.ts'
import { showReviewToSign, signReview } from './sign.ts'
import { answerSql, askSql } from './sql.ts'

/** The pages about the record, by path and method. */
export function reviewPages(parts: PageParts): Readonly<Record<string, Readonly<Record<string, Visit>>>> {
  const exports = openExports(parts)
  return {
    [paths.review]: { GET: search },
    [paths.review.slice(0, -1)]: { GET: toReview },
    [paths.reviewRecord]: { GET: showRecord },
    [paths.reviewProof]: { GET: downloadProof },
    [paths.reviewPerson]: { GET: showPerson },
    [paths.reviews]: { GET: listReviews, POST: saveReview },
    [paths.reviewSign]: { GET: showReviewToSign, POST: signReview },
    [paths.reviewExport]: {
      GET: (parts, request) => showExport(parts, request, exports),
      POST: (parts, request) => beginExport(parts, request, exports),
    },
    [paths.reviewFile]: { GET: (parts, request) => takeExport(parts, request, exports) },
    [paths.reviewSql]: { GET: askSql, POST: answerSql },
    [paths.reviewScript]: { GET: showScript },
  }
}

/** Only a browser that asks for a page is sent anywhere. */
function toReview(parts: PageParts, { credentials, method }: PageRequest): PageAnswer {
  return isNavigation(credentials, method)
    ? redirect(parts, parts.origin + paths.review)
    : refuse({ is: 'unknown_path' })
}

function showScript(parts: PageParts): PageAnswer {
  const answer = plain(parts, {}, { type: 'text/javascript; charset=utf-8', body: script })
  return { ...answer, headers: { ...answer.headers, 'cache-control': 'max-age=3600' } }
}
