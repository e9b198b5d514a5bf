/** Pages that need nothing beside themselves: whoever sees one may not read the assets, or not yet. */
import { hash } from 'node:crypto'

const STYLE = `
:root { color-scheme: light dark; --line: #7d8a84; --accent: #2f6f5e; --bad: light-dark(#b3352b, #f08a80);
  --link: light-dark(#2f6f5e, #74c3aa); }
body { margin: 0; min-height: 100vh; display: grid; place-items: center; font: 15px/1.5 system-ui, sans-serif; }
main { width: min(24rem, calc(100vw - 3rem)); }
h1 { font-size: 1.3rem; margin: 0 0 .6rem; }
label { display: block; margin: 1rem 0 .3rem; }
input, button { width: 100%; box-sizing: border-box; padding: .5rem .7rem; font: inherit; border-radius: 8px;
  border: 1px solid var(--line); }
button { margin-top: .9rem; color: #fff; background: var(--accent); border-color: var(--accent); cursor: pointer; }
.problem { color: var(--bad); font-weight: 600; }
a { color: var(--link); }
.quiet { opacity: .75; font-size: .9rem; }
`

/** Nothing but the page's own style, and its form. */
export const PLAIN_CONTENT_POLICY = [
  "default-src 'none'",
  `style-src 'sha256-${hash('sha256', STYLE, 'base64')}'`,
  "form-action 'self'",
  "base-uri 'none'",
  "frame-ancestors 'none'",
].join('; ')

/** A page of one thing. `content` is HTML: texts in it are `escaped`. */
export function plainPage(title: string, content: string): string {
  return `<!doctype html>
<html lang="en">
  <head>
    <meta charset="utf-8">
    <meta name="viewport" content="width=device-width, initial-scale=1">
    <title>Drover: ${escaped(title)}</title>
    <style>${STYLE}</style>
  </head>
  <body>
    <main>
      <h1>Drover</h1>
      ${content}
    </main>
  </body>
</html>
`
}

/** Text as HTML, also within an attribute. */
export function escaped(text: string): string {
  return text.replace(/[&<>"']/g, (sign) => `&#${sign.codePointAt(0)};`)
}
