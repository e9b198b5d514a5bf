/** `/api/v1/openapi.json`: what the API is, for programs. */
import { z } from 'zod'
import { openApiDocument } from '../openapi.ts'
import type { BoardApp, DeclaredRoute } from '../zod-routes.ts'

export interface OpenApiRoutesParts {
  readonly version: string
  readonly routes: readonly DeclaredRoute[]
}

/** Declares it. */
export function openApiRoutes(app: BoardApp, { version, routes }: OpenApiRoutesParts): void {
  let document: ReturnType<typeof openApiDocument> | null = null

  app.get(
    '/api/v1/openapi.json',
    {
      config: { scope: 'read' },
      schema: {
        tags: ['Operation'],
        summary: 'This document: OpenAPI 3.1 of the API',
        response: { 200: z.looseObject({ openapi: z.literal('3.1.0') }) },
      },
    },
    // When it is first asked for, all routes are there.
    async () => (document ??= openApiDocument(routes, version)) as { openapi: '3.1.0' },
  )
}
