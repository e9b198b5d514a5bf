/** The page that asks for a token. */
import { escaped, plainPage } from './plain-page.ts'

/** Asks for a token. `next` is where it leads; `problem` is why the last one was refused. */
export function loginPage({
  next,
  problem,
}: {
  readonly next: string
  readonly problem: string | null
}): string {
  return plainPage(
    'log in',
    `<form method="post" action="/login">
      <p>This Drover asks for a token.</p>
      ${problem === null ? '' : `<p class="problem" role="alert">${escaped(problem)}</p>`}
      <input type="hidden" name="next" value="${escaped(next)}">
      <label for="token">Token</label>
      <input id="token" name="token" type="password" autocomplete="current-password" required autofocus>
      <button>Log in</button>
      <p class="quiet"><code>drover tokens create</code> makes one.</p>
    </form>`,
  )
}

/** Says who is logged in, and offers to end it. */
export function loggedInPage(name: string, scopes: readonly string[]): string {
  return plainPage(
    'log in',
    `<form method="post" action="/logout">
      <p>Logged in as <b>${escaped(name)}</b> (${escaped(scopes.join(', '))}).</p>
      <button>Log out</button>
      <p class="quiet"><a href="/">Sessions</a></p>
    </form>`,
  )
}
