/** The page that asks for a token. It needs nothing beside itself: whoever sees it may not read the assets yet. */
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
export const CONTENT_POLICY = [
  "default-src 'none'",
  `style-src 'sha256-${hash('sha256', STYLE, 'base64')}'`,
  "form-action 'self'",
  "base-uri 'none'",
  "frame-ancestors 'none'",
].join('; ')

/** Asks for a token. `next` is where it leads; `problem` is why the last one was refused. */
export function loginPage({
  next,
  problem,
}: {
  readonly next: string
  readonly problem: string | null
}): string {
  return frame(`<form method="post" action="/login">
      <p>This Drover asks for a token.</p>
      ${problem === null ? '' : `<p class="problem" role="alert">${escaped(problem)}</p>`}
      <input type="hidden" name="next" value="${escaped(next)}">
      <label for="token">Token</label>
      <input id="token" name="token" type="password" autocomplete="current-password" required autofocus>
      <button>Log in</button>
      <p class="quiet"><code>drover tokens create</code> makes one.</p>
    </form>`)
}

/** Says who is logged in, and offers to end it. */
export function loggedInPage(name: string, scopes: readonly string[]): string {
  return frame(`<form method="post" action="/logout">
      <p>Logged in as <b>${escaped(name)}</b> (${escaped(scopes.join(', '))}).</p>
      <button>Log out</button>
      <p class="quiet"><a href="/">Sessions</a></p>
    </form>`)
}

function frame(content: string): string {
  return `<!doctype html>
<html lang="en">
  <head>
    <meta charset="utf-8">
    <meta name="viewport" content="width=device-width, initial-scale=1">
    <title>Drover: log in</title>
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

function escaped(text: string): string {
  return text
    .replaceAll('&', '&amp;')
    .replaceAll('<', '&lt;')
    .replaceAll('>', '&gt;')
    .replaceAll('"', '&quot;')
    .replaceAll("'", '&#39;')
}
