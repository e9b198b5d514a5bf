/** The look of the pages: light and dark, from a phone's width on. */
export const STYLE = `:root {
  --bg: #f6f7f6; --card: #ffffff; --line: #dfe4e1; --text: #17211d; --quiet: #5d6b65; --accent: #2f6f5e;
  --good: #1f7a4d; --bad: #b3352b; --busy: #1f5fa8; --wait: #8a6100; --code: #eef1ef; --shadow: 0 1px 2px #0000000d;
  --edge: #7d8a84;
}
@media (prefers-color-scheme: dark) {
  :root {
    --bg: #111614; --card: #19201d; --line: #2c3632; --text: #e3e9e6; --quiet: #93a19b; --accent: #74c3aa;
    --good: #62c48f; --bad: #f08a80; --busy: #80b6f0; --wait: #e0b457; --code: #212a26; --shadow: none;
    --edge: #6f7d77;
  }
}
* { box-sizing: border-box; }
html { -webkit-text-size-adjust: 100%; }
body { margin: 0; background: var(--bg); color: var(--text); font: 15px/1.5 system-ui, sans-serif; }
a { color: var(--accent); text-decoration: none; }
a:hover { text-decoration: underline; }
a:focus-visible, button:focus-visible, summary:focus-visible { outline: 2px solid var(--accent); outline-offset: 2px; }
h1 { font-size: 1.35rem; margin: 0; overflow-wrap: anywhere; }
h2 { font-size: 1rem; margin: 0; }
.mono { font-family: ui-monospace, monospace; font-size: .86em; }
.quiet { color: var(--quiet); }
.top { display: flex; align-items: center; gap: .8rem; padding: .6rem 1.2rem; background: var(--card);
  border-bottom: 1px solid var(--line); }
.brand { display: flex; align-items: center; gap: .55rem; font-weight: 650; color: var(--text); }
.brand:hover { text-decoration: none; }
.top nav { display: flex; gap: 1.1rem; margin-left: .6rem; }
.version { margin-left: auto; font-size: .85rem; }
.logout { margin: 0; }
.logout .button { white-space: nowrap; }
.badge { padding: .05rem .5rem; border: 1px solid var(--line); border-radius: 99px; color: var(--quiet);
  font-size: .8rem; }
main { max-width: 72rem; margin: 0 auto; padding: 1.4rem 1.2rem 4rem; }
section { margin-top: 1.8rem; }
main > section:first-child, main > [hidden]:first-child + section, main > [hidden]:first-child + [hidden] + section {
  margin-top: 0; }
.bar { display: flex; align-items: center; justify-content: space-between; gap: 1rem; flex-wrap: wrap; }
.search { flex: 1 1 12rem; max-width: 24rem; margin-left: auto; padding: .3rem .7rem; font: inherit; font-size: .88rem;
  color: var(--text); background: var(--card); border: 1px solid var(--edge); border-radius: 8px; min-width: 0; }
.search:focus-visible { outline: 2px solid var(--accent); outline-offset: 1px; }
.pick { max-width: 14rem; padding: .3rem .5rem; font: inherit; font-size: .88rem; color: var(--text);
  background: var(--card); border: 1px solid var(--edge); border-radius: 8px; min-width: 0; }
.pick:focus-visible { outline: 2px solid var(--accent); outline-offset: 1px; }
.hit { display: grid; grid-template-columns: 1fr auto; gap: .1rem 1rem; padding: .6rem 1rem; color: inherit; }
.hit:hover { background: var(--code); text-decoration: none; }
.hit .type { font-weight: 550; min-width: 0; overflow-wrap: anywhere; }
.hit .numbers { color: var(--quiet); font-size: .86rem; }
.hit .said { grid-column: 1 / -1; color: var(--quiet); font-size: .9rem; overflow-wrap: anywhere; }
mark { background: none; color: var(--accent); font-weight: 650; }
.tabs { display: inline-flex; border: 1px solid var(--line); border-radius: 8px; overflow: hidden;
  background: var(--card); }
.tabs button { border: 0; background: none; color: var(--quiet); font: inherit; font-size: .88rem;
  padding: .25rem .8rem; cursor: pointer; }
.tabs button[aria-pressed="true"] { background: var(--code); color: var(--text); font-weight: 600; }
.cards { display: grid; grid-template-columns: repeat(auto-fill, minmax(15rem, 1fr)); gap: .8rem; margin-top: .7rem; }
.card { background: var(--card); border: 1px solid var(--line); border-radius: 10px; padding: .8rem 1rem;
  box-shadow: var(--shadow); min-width: 0; }
.card h3 { margin: 0; font-size: .95rem; overflow-wrap: anywhere; }
.card p { margin: .25rem 0 .5rem; color: var(--quiet); font-size: .87rem; }
.card .row { display: flex; justify-content: space-between; gap: .5rem; font-size: .84rem; }
.rows { list-style: none; margin: .7rem 0 0; padding: 0; background: var(--card); border: 1px solid var(--line);
  border-radius: 10px; box-shadow: var(--shadow); overflow: hidden; }
/* The list cuts what is outside of it. */
.rows a:focus-visible, .tabs button:focus-visible { outline-offset: -3px; }
.rows > li + li { border-top: 1px solid var(--line); }
.session { display: grid; grid-template-columns: 8.5rem 12rem 1fr auto; gap: .2rem 1rem; align-items: baseline;
  padding: .6rem 1rem; color: inherit; }
.session:hover { background: var(--code); text-decoration: none; }
.session .what { min-width: 0; overflow: hidden; text-overflow: ellipsis; white-space: nowrap; color: var(--quiet); }
.session .type { overflow: hidden; text-overflow: ellipsis; white-space: nowrap; font-weight: 550; }
.session .numbers { color: var(--quiet); font-size: .86rem; white-space: nowrap; text-align: right;
  font-variant-numeric: tabular-nums; }
.state { display: inline-flex; align-items: center; gap: .45rem; font-size: .86rem; font-weight: 600;
  color: var(--quiet); white-space: nowrap; }
.state::before { content: ""; width: .55rem; height: .55rem; border-radius: 50%; background: currentColor;
  flex: none; }
.state.completed, .state.healthy { color: var(--good); }
.state.failed, .state.stalled, .state.killed, .state.dead { color: var(--bad); }
.state.starting, .state.running, .state.spawned { color: var(--busy); }
.state.restarting, .state.paused_limit, .state.waiting_input, .state.waiting_workspace { color: var(--wait); }
.live { display: grid; grid-template-columns: 8.5rem 12rem 1fr auto; gap: 0 1rem; padding: .65rem 1rem; color: inherit;
  align-items: center; }
.live:hover { background: var(--code); text-decoration: none; }
.live .state { grid-row: 1 / span 2; }
.live .type { grid-column: 2; font-weight: 550; overflow-wrap: anywhere; }
.live .mono { grid-column: 2; grid-row: 2; font-size: .76rem; overflow-wrap: anywhere; }
.live .doing { grid-column: 3; grid-row: 1 / span 2; min-width: 0; display: -webkit-box; -webkit-line-clamp: 2;
  -webkit-box-orient: vertical; overflow: hidden; overflow-wrap: anywhere; font-size: .92rem; }
.live .gauges { grid-column: 4; grid-row: 1 / span 2; }
.gauges { display: flex; gap: 1.1rem; font-variant-numeric: tabular-nums; }
.gauge { display: flex; flex-direction: column; min-width: 3.4rem; }
.gauge .quiet { font-size: .72rem; }
.gauge .figure { font-size: .88rem; white-space: nowrap; }
.bar-of { height: 3px; border-radius: 2px; background: var(--line); overflow: hidden; }
.bar-of span { display: block; height: 100%; background: var(--accent); }
.health { display: inline-flex; gap: .9rem; font-size: .88rem; }
.live .state.stalled, .health .state.stalled { color: var(--wait); }
.pod { margin: .5rem 0 0; font-size: .87rem; overflow-wrap: anywhere; }
.empty, .problem { margin: .7rem 0 0; padding: .8rem 1rem; border-radius: 10px; border: 1px dashed var(--line);
  color: var(--quiet); }
.problem { border: 1px solid var(--bad); color: var(--bad); background: var(--card); overflow-wrap: anywhere; }
.problem.late { border-color: var(--wait); color: var(--wait); }
body > .problem { margin: .8rem auto 0; max-width: 69.6rem; }
.empty code { background: var(--code); padding: .1rem .35rem; border-radius: 4px; font-size: .88em; }
.asks { margin: .9rem 0 0; }
.asks .rows { margin: 0; border-color: var(--wait); }
.question { padding: .8rem 1rem; }
/* Whole, however long: what is out of sight would be allowed unread. */
.input { margin: .5rem 0; }
.question pre { margin: .2rem 0 .5rem; padding: .6rem .8rem; background: var(--code); border-radius: 8px; font: .82rem/1.45 ui-monospace, monospace; white-space: pre-wrap; overflow-wrap: anywhere; }
.choices { display: flex; gap: .5rem; align-items: center; flex-wrap: wrap; }
.bad { color: var(--bad); }
.button { padding: .3rem .9rem; font: inherit; font-size: .88rem; color: var(--text); background: var(--card);
  border: 1px solid var(--edge); border-radius: 8px; cursor: pointer; }
.button:hover { background: var(--code); }
.button:disabled { opacity: .6; cursor: default; }
.controls { margin-left: auto; display: inline-flex; gap: .5rem; }
.say { display: flex; gap: .5rem; align-items: flex-start; margin: .9rem 0 0; }
.say textarea { flex: 1; min-width: 0; min-height: 2.1rem; padding: .35rem .7rem; font: inherit; font-size: .88rem; resize: vertical;
  color: var(--text); background: var(--card); border: 1px solid var(--edge); border-radius: 8px; field-sizing: content;
  max-height: 20rem; }
.say textarea:focus-visible { outline: 2px solid var(--accent); outline-offset: 1px; }
.done { margin: .5rem 0 0; font-size: .88rem; overflow-wrap: anywhere; }
.done:empty { display: none; }
.prompt { margin: .8rem 0 0; padding: .8rem 1rem; background: var(--card); border: 1px solid var(--line); border-radius: 10px; }
.prompt .label { color: var(--quiet); font-size: .78rem; }
.prompt .text { white-space: pre-wrap; overflow-wrap: anywhere; }
.rest { margin: .7rem 0 0; }
.crumbs { margin: 0 0 .5rem; font-size: .87rem; color: var(--quiet); overflow-wrap: anywhere; }
.title { display: flex; align-items: center; gap: .9rem; flex-wrap: wrap; }
.facts { display: grid; grid-template-columns: repeat(auto-fill, minmax(9rem, 1fr)); gap: .8rem 1.2rem; margin: 1rem 0 0;
  background: var(--card); border: 1px solid var(--line); border-radius: 10px; padding: .9rem 1rem; }
.facts:empty { display: none; }
.facts .wide { grid-column: 1 / -1; }
dt { color: var(--quiet); font-size: .78rem; }
dd { margin: 0; overflow-wrap: anywhere; }
.lines { white-space: pre-wrap; }
.agent { display: flex; flex-wrap: wrap; gap: .2rem 1.2rem; padding: .55rem 1rem; align-items: baseline; }
.agent .quiet { font-size: .86rem; }
.events { list-style: none; margin: .7rem 0 0; padding: 0; }
.event { display: grid; grid-template-columns: 4.6rem 1fr; gap: .2rem .8rem; padding: .35rem 0; }
.event time { color: var(--quiet); font-size: .78rem; font-variant-numeric: tabular-nums; padding-top: .18rem; }
.event .body { min-width: 0; white-space: pre-wrap; overflow-wrap: anywhere; }
.event.target { box-shadow: -.4rem 0 0 -.2rem var(--accent); }
.event.own .body { color: var(--quiet); font-size: .88rem; }
.event.bad .body, .event.bad summary, .event.bad .quiet { color: var(--bad); }
.event.say .body { background: var(--card); border: 1px solid var(--line); border-radius: 10px; padding: .55rem .8rem; }
.event.tool .body { font-family: ui-monospace, monospace; font-size: .84rem; }
.event.tool .name { color: var(--accent); font-weight: 650; }
details summary { cursor: pointer; color: var(--quiet); font-size: .86rem; overflow-wrap: anywhere; }
details pre { margin: .3rem 0 0; max-height: 24rem; overflow: auto; background: var(--code); border-radius: 8px;
  padding: .6rem .8rem; font: .82rem/1.45 ui-monospace, monospace; white-space: pre-wrap; overflow-wrap: anywhere; }
[hidden] { display: none !important; }
@media (max-width: 900px) {
  .live { grid-template-columns: 1fr auto; gap: .2rem .8rem; padding: .65rem .8rem; }
  .live .state { grid-column: 2; grid-row: 1; justify-self: end; }
  .live .type { grid-column: 1; grid-row: 1; }
  .live .mono, .live .doing, .live .gauges { grid-column: 1 / -1; grid-row: auto; }
  .gauges { justify-content: space-between; gap: .4rem; }
  .gauge { min-width: 0; }
}
@media (max-width: 640px) {
  .top { padding: .55rem .9rem; gap: .6rem; flex-wrap: wrap; }
  /* The brand leads there too, and the button needs the room. */
  .top:has(.logout) nav a:first-child { display: none; }
  .top nav { gap: .9rem; margin-left: auto; }
  .version { display: none; }
  main { padding: 1rem .9rem 3rem; }
  .session { grid-template-columns: 1fr auto; padding: .6rem .8rem; }
  .session .what { grid-column: 1 / -1; }
  .session .state { order: 2; justify-self: end; }
  .session .numbers { grid-column: 1 / -1; text-align: left; order: 4; }
  .session .what { order: 3; }
  .facts { grid-template-columns: 1fr 1fr; }
  .event { grid-template-columns: 1fr; gap: 0; }
}
`
