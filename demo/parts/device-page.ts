import type { Configuration } from 'oidc-provider'

type DeviceFlow = NonNullable<NonNullable<Configuration['features']>['deviceFlow']>

/** The provider's pages for a login on another device (RFC 8628 §3.3): type the code, compare it, done. */
export const devicePages: DeviceFlow = {
  enabled: true,
  mask: '****-****',
  userCodeInputSource(context, form, out, error) {
    const wrong = out === undefined && error === undefined ? '' : '<p>This code is not known, or no longer good.</p>'
    context.body = page('Type the code', `${wrong}${form}<button form="op.deviceInputForm">Go on</button>`)
  },
  userCodeConfirmSource(context, form, client, _device, code) {
    const text = `<p>Does the program that asked you show <code>${code}</code>? It is ${client.clientId}.</p>`
    context.body = page('Compare the code', `${text}${form}<button form="op.deviceConfirmForm">Yes</button>`)
  },
  successSource(context) {
    context.body = page('Logged in', '<p>Go back to the program that asked you.</p>')
  },
}

// The parts are the library's own forms, a code out of its alphabet, and the id of a configured client.
const page = (title: string, body: string): string =>
  `<!doctype html><html lang="en"><meta charset="utf-8"><title>${title}</title><h1>${title}</h1>${body}</html>`
