/** The frames of the pages. What they show is put in by their scripts, as text and never as HTML. */
import { escaped } from './plain-page.ts'

export interface PageFacts {
  readonly namespace: string
  readonly version: string
  /** Of whoever has logged in; null where nobody has to. */
  readonly loggedInAs: string | null
}

/** The landing page: what runs, what waits, what was. */
export function homePage(facts: PageFacts): string {
  return frame(
    facts,
    ['pods.js', 'overview.js', 'home.js'],
    `<div id="alarms" role="status" hidden></div>
    <section id="waiting-section" aria-labelledby="waiting-title" hidden>
      <h2 id="waiting-title">Waits for an answer</h2>
      <div id="waiting"></div>
    </section>
    <section aria-labelledby="live-title">
      <div class="bar">
        <h2 id="live-title">Running now</h2>
        <span id="health"></span>
      </div>
      <div id="live"></div>
      <div id="pods"></div>
    </section>
    <section aria-labelledby="cost-title">
      <h2 id="cost-title">Cost</h2>
      <dl id="cost" class="facts"></dl>
    </section>
    <section aria-labelledby="types-title">
      <h2 id="types-title">Agent types</h2>
      <div id="types" class="cards"></div>
    </section>
    <section aria-labelledby="sessions-title">
      <div class="bar">
        <h2 id="sessions-title">Sessions</h2>
        <input id="q" class="search" type="search" maxlength="500" placeholder="Search ids, prompts, what was said" aria-label="Search">
        <select id="type" class="pick" aria-label="Agent type"><option value="">All agent types</option></select>
        <div class="tabs" role="group" aria-label="Which sessions">
          <button type="button" data-show="all" aria-pressed="true">All</button>
          <button type="button" data-show="open" aria-pressed="false">Open</button>
          <button type="button" data-show="failed" aria-pressed="false">Failed</button>
        </div>
      </div>
      <div id="sessions"></div>
      <p class="rest"><button id="more" class="button" type="button" hidden>Show more</button></p>
      <p id="rest" class="quiet" hidden></p>
    </section>
    <section id="said-section" aria-labelledby="said-title" hidden>
      <h2 id="said-title">What was said</h2>
      <div id="said"></div>
    </section>`,
  )
}

/** The page of one session: its state, its agents, what they say. */
export function sessionPage(facts: PageFacts): string {
  return frame(
    facts,
    ['pods.js', 'talk.js', 'session.js'],
    `<p class="crumbs"><a href="/">Sessions</a> <span aria-hidden="true">/</span> <span id="crumb" class="mono"></span></p>
    <header class="title">
      <h1 id="title">Session</h1>
      <span id="state"></span>
      <span class="controls">
        <button id="restart" class="button" type="button" hidden>Restart</button>
        <button id="kill" class="button" type="button" hidden>End session</button>
      </span>
    </header>
    <p id="problem" class="problem" hidden></p>
    <div id="questions" class="asks" role="region" aria-label="Questions" aria-live="polite" hidden></div>
    <form id="say" class="say" hidden>
      <textarea id="say-text" rows="1" aria-label="Message to its agent"></textarea>
      <button class="button">Send</button>
    </form>
    <p id="done" class="done quiet" role="status"></p>
    <dl id="facts" class="facts"></dl>
    <div id="prompt" class="prompt" hidden></div>
    <section id="agents-section" aria-labelledby="agents-title" hidden>
      <h2 id="agents-title">Agents</h2>
      <div id="agents"></div>
    </section>
    <section id="events-section" aria-labelledby="events-title">
      <div class="bar">
        <h2 id="events-title">Transcript</h2>
        <span><a id="export">As Markdown</a> · <span id="live" class="quiet" role="status"></span></span>
      </div>
      <p id="cut" class="quiet" hidden></p>
      <ol id="events" class="events"></ol>
    </section>`,
  )
}

/** `scripts` are those of the page's own, in the order in which they need one another. */
function frame(
  { namespace, version, loggedInAs }: PageFacts,
  scripts: readonly string[],
  main: string,
): string {
  const own = scripts.map((script) => `<script src="/assets/${script}" defer></script>`).join('\n  ')
  return `<!doctype html>
<html lang="en">
<head>
  <meta charset="utf-8">
  <meta name="viewport" content="width=device-width, initial-scale=1">
  <meta name="color-scheme" content="light dark">
  <title>Drover</title>
  <link rel="icon" type="image/svg+xml" href="/assets/icon.svg">
  <link rel="stylesheet" href="/assets/board.css">
  <script src="/assets/shared.js" defer></script>
  ${own}
</head>
<body>
  <div class="top">
    <a class="brand" href="/"><img src="/assets/icon.svg" alt="" width="26" height="26">Drover</a>
    <span class="badge">${escaped(namespace)}</span>
    <nav><a href="/">Sessions</a><a href="/queues/">Queues</a></nav>
    <span class="quiet version">${escaped(version)}</span>${loggedInAs === null ? '' : logOut(loggedInAs)}
  </div>
  <p id="stale" class="problem late" role="status" hidden></p>
  <p id="offline" class="problem" role="status" hidden></p>
  <main>
    ${main}
    <noscript><p class="problem">This page needs JavaScript. The same is at /api/v1/sessions.</p></noscript>
  </main>
</body>
</html>
`
}

function logOut(name: string): string {
  return `
    <form class="logout" method="post" action="/logout">
      <button class="button" title="Logged in as ${escaped(name)}">Log out</button>
    </form>`
}
