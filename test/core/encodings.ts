/** How a secret may be written in what an agent prints. */

/** The ways by name; each takes a text with a secret in it. */
export const ENCODINGS: Readonly<Record<string, (text: string) => string>> = {
  plain: (text) => text,
  json: quoted,
  'json in json': (text) => quoted(quoted(text)),
  'json in json in json': (text) => quoted(quoted(quoted(text))),
  'json, ASCII only': (text) =>
    quoted(text).replaceAll(
      /[^\x20-\x7e]/g,
      (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`,
    ),
  url: (text) => encodeURIComponent(text.toWellFormed()),
  'url, lower case': (text) =>
    encodeURIComponent(text.toWellFormed()).replaceAll(/%../g, (byte) => byte.toLowerCase()),
  form: (text) => new URLSearchParams({ q: text.toWellFormed() }).toString().slice(2),
  'base64 at 0': (text) => base64('', text),
  'base64 at 1': (text) => base64('a', text),
  'base64 at 2': (text) => base64('ab', text),
  'base64 without padding': (text) => base64('a', text).replaceAll('=', ''),
  'base64url at 1': (text) => base64('a', text, 'base64url'),
  'base64 in lines': (text) => base64('a', text).replaceAll(/.{76}/g, '$&\n'),
  'base64 in lines, in JSON': (text) => quoted(base64('ab', text).replaceAll(/.{64}/g, '$&\r\n')),
  hex: (text) => Buffer.from(text).toString('hex'),
  'hex, upper case': (text) => Buffer.from(text).toString('hex').toUpperCase(),
  'hex with colons': (text) => bytes(text).join(':'),
  'hex with spaces': (text) => bytes(text).join(' '),
  'hex as escapes': (text) =>
    bytes(text)
      .map((byte) => `\\x${byte}`)
      .join(''),
  'hex in lines': (text) => Buffer.from(text).toString('hex').replaceAll(/.{60}/g, '$&\n'),
}

function quoted(text: string): string {
  return JSON.stringify(text).slice(1, -1)
}

function base64(before: string, text: string, kind: 'base64' | 'base64url' = 'base64'): string {
  return Buffer.from(before + text).toString(kind)
}

function bytes(text: string): string[] {
  return Buffer.from(text).toString('hex').match(/../g) ?? []
}
