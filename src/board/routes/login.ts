/**
 * `/login` and `/logout`: a browser's way to show a token. The token becomes a cookie that no script reads and no other
 * site's request brings along; forms of other sites are refused by their `Origin` before they get here.
 */
import type { FastifyReply, FastifyRequest } from 'fastify'
import { LOGIN_COOKIE, sendLogin, type Auth } from '../auth.ts'
import { loggedInPage, loginPage } from '../pages/login-page.ts'
import type { BoardApp } from '../zod-routes.ts'

/** A token has some hundred characters. */
const FORM_LIMIT_BYTES = 16 * 1024

/** Declares them. */
export function loginRoutes(app: BoardApp, auth: Auth): void {
  const open = { config: { scope: 'open' } } as const
  const form = { ...open, bodyLimit: FORM_LIMIT_BYTES }

  app.get('/login', open, (request, reply) => {
    if (!auth.hasTokens) return reply.redirect('/', 303)
    const { principal } = request
    if (principal?.kind !== 'token') return sendLogin(reply, loginPage({ next: '/', problem: null }))
    return sendLogin(reply, loggedInPage(principal.name, principal.scopes), 200)
  })

  // Forms are read here alone: no other route takes what a page of another site can send without asking.
  app.register((scope, _options, done) => {
    scope.addContentTypeParser(
      'application/x-www-form-urlencoded',
      { parseAs: 'string', bodyLimit: FORM_LIMIT_BYTES },
      (_request, body, parsed) => parsed(null, Object.fromEntries(new URLSearchParams(String(body)))),
    )
    scope.post('/login', form, async (request, reply) => {
      if (!auth.hasTokens) return reply.redirect('/', 303)
      const token = memberOf(request.body, 'token').trim()
      const next = ownPath(memberOf(request.body, 'next'))
      const principal = token === '' ? null : await auth.checkToken(token)
      if (principal?.kind !== 'token') {
        const problem = token === '' ? 'Please enter a token.' : 'This is no token of this board.'
        return sendLogin(reply, loginPage({ next, problem }))
      }
      return setCookie(request, reply, token).redirect(next, 303)
    })
    scope.post('/logout', form, (request, reply) => {
      if (!auth.hasTokens) return reply.redirect('/', 303)
      if (request.principal === null) return sendLogin(reply, loginPage({ next: '/', problem: null }))
      return setCookie(request, reply, null).redirect('/login', 303)
    })
    done()
  })
}

/** For as long as the browser is open; null takes it away. */
function setCookie(request: FastifyRequest, reply: FastifyReply, token: string | null): FastifyReply {
  const attributes = {
    path: '/',
    httpOnly: true,
    sameSite: 'strict',
    // Behind a proxy only the browser knows that it is https.
    secure: request.headers.origin?.startsWith('https:') ?? false,
  } as const
  reply.header('cache-control', 'no-store')
  return token === null
    ? reply.clearCookie(LOGIN_COOKIE, attributes)
    : reply.setCookie(LOGIN_COOKIE, token, attributes)
}

function memberOf(body: unknown, name: string): string {
  if (typeof body !== 'object' || body === null) return ''
  const value: unknown = Object.hasOwn(body, name) ? Reflect.get(body, name) : ''
  return typeof value === 'string' ? value : ''
}

/** A path of this board, whatever was asked for. */
function ownPath(asked: string): string {
  const here = 'http://board.invalid'
  const url = URL.parse(asked, here)
  return url?.origin === here && !url.pathname.startsWith('//') ? url.pathname + url.search : '/'
}
