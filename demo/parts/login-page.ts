import type { Person } from './people.ts'

/**
 * The identity provider's whole login: choose who to be. There are no passwords, so it belongs on a loopback address.
 * @param action where the form posts the chosen person's id, as `as`
 * @returns an HTML document that works without a script
 */
export function loginPage(people: readonly Person[], action: string): string {
  const buttons = people.map(
    (person) => `<li><button name="as" value="${escaped(person.id)}">${escaped(person.name)}</button>
      <p>${escaped(person.about)}<br><small>${escaped(person.groups.join(', '))}</small></p></li>`,
  )
  return `<!doctype html>
<html lang="en">
<head>
  <meta charset="utf-8">
  <meta name="viewport" content="width=device-width, initial-scale=1">
  <title>Log in to the demo</title>
  <style>
    body { font: 1rem/1.5 system-ui, sans-serif; max-width: 34rem; margin: 4rem auto; padding: 0 1rem }
    ul { list-style: none; padding: 0 }
    li { margin: 1rem 0 }
    button { font: inherit; padding: .5rem 1rem; width: 100%; text-align: left; cursor: pointer }
    p { margin: .25rem 1rem }
  </style>
</head>
<body>
  <h1>Who are you?</h1>
  <p>This identity provider is part of the demo: it asks for no password.</p>
  <form method="post" action="${escaped(action)}"><ul>
    ${buttons.join('\n    ')}
  </ul></form>
</body>
</html>
`
}

/**
 * The page that asks whether somebody wants to leave the identity provider too.
 * @param form the provider's own form, which has an id and no button
 */
export const logoutPage = (form: string): string => `<!doctype html>
<html lang="en">
<head>
  <meta charset="utf-8">
  <meta name="viewport" content="width=device-width, initial-scale=1">
  <title>Log out of the demo</title>
</head>
<body>
  <h1>Log out of the identity provider as well?</h1>
  ${form}
  <p><button form="op.logoutForm" name="logout" value="yes">Log out</button></p>
</body>
</html>
`

const entities: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
}

function escaped(text: string): string {
  return text.replace(/[&<>"']/g, (character) => entities[character] ?? character)
}
