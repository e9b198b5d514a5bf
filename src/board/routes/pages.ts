/** `/` and `/sessions/:id`: pages that show what the API says, and what they are made of. */
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { HOME_SCRIPT } from '../pages/home-script.ts'
import { ICON } from '../pages/icon.ts'
import { OVERVIEW_SCRIPT } from '../pages/overview-script.ts'
import { homePage, sessionPage, type PageFacts } from '../pages/page.ts'
import { PODS_SCRIPT } from '../pages/pods-script.ts'
import { SESSION_SCRIPT } from '../pages/session-script.ts'
import { SHARED_SCRIPT } from '../pages/shared-script.ts'
import { STYLE } from '../pages/style.ts'
import { TALK_SCRIPT } from '../pages/talk-script.ts'

/** Whatever an agent printed, nothing of it can run here or call elsewhere. */
const CONTENT_POLICY = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "img-src 'self'",
  "connect-src 'self'",
  "base-uri 'none'",
  // To log out.
  "form-action 'self'",
  "frame-ancestors 'none'",
].join('; ')

const read = { config: { scope: 'read' } } as const

export function pageRoutes(app: FastifyInstance, board: Omit<PageFacts, 'loggedInAs'>): void {
  const asset = (path: string, type: string, text: string): void => {
    app.get(path, read, (_request, reply) => reply.type(type).header('cache-control', 'no-cache').send(text))
  }
  const page =
    (make: (facts: PageFacts) => string) =>
    ({ principal }: FastifyRequest, reply: FastifyReply): FastifyReply =>
      reply
        .type('text/html; charset=utf-8')
        .header('content-security-policy', CONTENT_POLICY)
        // With `no-referrer` a browser sends the form with `Origin: null`.
        .header('referrer-policy', 'same-origin')
        // It says who is logged in.
        .header('cache-control', 'no-store')
        .send(make({ ...board, loggedInAs: principal?.kind === 'token' ? principal.name : null }))

  app.get('/', read, page(homePage))
  // The same for every id: the script asks for the session, and shows what the answer is.
  app.get('/sessions/:id', read, page(sessionPage))
  asset('/assets/board.css', 'text/css; charset=utf-8', STYLE)
  asset('/assets/icon.svg', 'image/svg+xml; charset=utf-8', ICON)
  asset('/assets/shared.js', 'text/javascript; charset=utf-8', SHARED_SCRIPT)
  asset('/assets/home.js', 'text/javascript; charset=utf-8', HOME_SCRIPT)
  asset('/assets/pods.js', 'text/javascript; charset=utf-8', PODS_SCRIPT)
  asset('/assets/overview.js', 'text/javascript; charset=utf-8', OVERVIEW_SCRIPT)
  asset('/assets/talk.js', 'text/javascript; charset=utf-8', TALK_SCRIPT)
  asset('/assets/session.js', 'text/javascript; charset=utf-8', SESSION_SCRIPT)
}
