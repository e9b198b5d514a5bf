/**
 * The OpenAPI document, made from the routes as they are declared: what checks a request and what is said about it are
 * one thing. Schemas with an `id` are components; a type that leads elsewhere is said once.
 */
import { z } from 'zod'
import { EVENT_PAYLOADS } from '../core/event-payloads.ts'
import { envelopeSchema } from '../core/event-schema.ts'
import { failureSchema } from '../core/failure-schema.ts'
import { headerName } from './headers.ts'
import type { DeclaredRoute } from './zod-routes.ts'

type Json = Record<string, unknown>

const COMPONENTS = '#/components/schemas/'
const COOKIE = 'drover_token'

/** Of the routes that have a `summary`. */
export function openApiDocument(routes: readonly DeclaredRoute[], version: string): Json {
  const schemas = new Map<string, Json>()
  const write = (schema: z.ZodType, io: 'input' | 'output'): Json => schemaOf(schema, io, schemas)
  const failure = {
    description: 'Refused or failed; the status is that of its code (docs/errors.md).',
    content: { 'application/json': { schema: write(failureSchema, 'output') } },
  }
  const described = routes.filter(({ method, schema }) => method !== 'HEAD' && schema?.summary !== undefined)
  const paths: Record<string, Json> = {}
  for (const route of described) {
    const path = route.url.replaceAll(/:(\w+)/g, '{$1}')
    ;(paths[path] ??= {})[route.method.toLowerCase()] = operationOf(route, write)
  }
  describeEvents(schemas, write)
  return {
    openapi: '3.1.0',
    info: {
      title: 'Drover',
      version,
      description:
        'Runs Claude Code sessions as durable jobs. What the routes mean is in docs/http-api.md, who may ask in docs/security.md.',
      license: { name: 'MIT', identifier: 'MIT' },
    },
    servers: [{ url: '/', description: 'The board that this document is from.' }],
    tags: [...new Set(described.flatMap(({ schema }) => schema?.tags ?? []))].map((name) => ({ name })),
    paths,
    components: {
      schemas: Object.fromEntries([...schemas].toSorted(([a], [b]) => (a < b ? -1 : 1))),
      responses: { Failure: failure },
      securitySchemes: {
        token: {
          type: 'http',
          scheme: 'bearer',
          description: 'From `drover tokens create`. Not needed on a board without tokens.',
        },
        login: { type: 'apiKey', in: 'cookie', name: COOKIE, description: 'Set by a login at /login.' },
      },
    },
  }
}

/** A schema cannot say that a payload goes by its event's type: it names them all, and a table says which. */
function describeEvents(schemas: Map<string, Json>, write: Write): void {
  write(envelopeSchema, 'output')
  const payloads = Object.entries(EVENT_PAYLOADS).map(
    ([type, schema]) => [type, write(schema, 'output')] as const,
  )
  const event = schemas.get('Event') as { properties: Json }
  schemas.set('Event', {
    ...event,
    properties: {
      ...event.properties,
      payload: {
        description:
          "Of `claude.*` the CLI's line verbatim; of Drover's own what `x-payloads` says for the event's `type`.",
        anyOf: [...new Set(payloads.map(([, payload]) => JSON.stringify(payload)))]
          .map((text) => JSON.parse(text) as Json)
          .concat({ description: "The CLI's line." }),
      },
    },
    'x-payloads': Object.fromEntries(payloads),
  })
}

type Write = (schema: z.ZodType, io: 'input' | 'output') => Json

function operationOf({ method, url, schema, scope, texts }: DeclaredRoute, write: Write): Json {
  const parameters = [
    ...parametersOf('path', schema?.params, write),
    ...parametersOf('query', schema?.querystring, write),
    ...parametersOf('header', schema?.headers, write),
  ]
  const isOpen = scope === 'open'
  return {
    operationId: operationIdOf(method, url),
    tags: schema?.tags,
    summary: schema?.summary,
    description: [schema?.description, isOpen ? 'Needs no token.' : `Scope: \`${scope}\`.`]
      .filter((text) => text !== undefined)
      .join(' '),
    security: isOpen ? [] : [{ token: [scope] }, { login: [scope] }],
    ...(parameters.length === 0 ? {} : { parameters }),
    ...(schema?.body instanceof z.ZodType ? { requestBody: bodyOf(schema.body, write) } : {}),
    responses: responsesOf(schema?.response, texts, write),
  }
}

function bodyOf(schema: z.ZodType, write: Write): Json {
  // What takes nothing at all need not be sent.
  return {
    required: !schema.safeParse({}).success,
    content: { 'application/json': { schema: write(schema, 'input') } },
  }
}

function responsesOf(declared: unknown, texts: Readonly<Record<string, string>>, write: Write): Json {
  const documents = Object.entries(declared ?? {}).filter(
    (entry): entry is [string, z.ZodType] => entry[1] instanceof z.ZodType,
  )
  const others = Object.entries(texts).map(([type, description]) => [
    type,
    { schema: { type: 'string', description } },
  ])
  const answers = documents.map(([status, schema]) => [
    status,
    {
      description: DESCRIPTIONS[status] ?? 'Done.',
      content: {
        'application/json': { schema: write(schema, 'output') },
        ...(status === '200' ? Object.fromEntries(others) : {}),
      },
    },
  ])
  const refused = { $ref: '#/components/responses/Failure' }
  return {
    ...(documents.length === 0 ? { 200: { description: 'Done.', content: Object.fromEntries(others) } } : {}),
    ...Object.fromEntries(answers),
    '4XX': refused,
    '5XX': refused,
  }
}

const DESCRIPTIONS: Readonly<Record<string, string>> = {
  200: 'Done, or found.',
  202: 'Accepted.',
  503: 'Not at the moment.',
}

function parametersOf(place: 'path' | 'query' | 'header', schema: unknown, write: Write): Json[] {
  if (!(schema instanceof z.ZodType)) return []
  const { properties = {}, required = [] } = write(schema, 'input') as {
    properties?: Record<string, Json>
    required?: readonly string[]
  }
  return Object.entries(properties).map(([name, { description, ...of }]) => ({
    in: place,
    name: place === 'header' ? headerName(name) : name,
    required: place === 'path' || required.includes(name),
    ...(description === undefined ? {} : { description }),
    schema: of,
  }))
}

/** `post /api/v1/sessions/:id/kill` as `postSessionsByIdKill`. */
function operationIdOf(method: string, url: string): string {
  const words = url
    .replace(/^\/api\/v1/, '')
    .replaceAll(':', 'by-')
    .split(/[/_-]+/)
    .filter((word) => word !== '')
  return method.toLowerCase() + words.map((word) => word.charAt(0).toUpperCase() + word.slice(1)).join('')
}

/** As OpenAPI has it; what has an `id` goes into `schemas`, and a reference is left. */
function schemaOf(schema: z.ZodType, io: 'input' | 'output', schemas: Map<string, Json>): Json {
  const {
    $schema: _,
    $defs = {},
    ...written
  } = z.toJSONSchema(schema, {
    io,
    unrepresentable: 'any',
    override({ jsonSchema }) {
      // TypeScript's word, which means something else here.
      delete jsonSchema.readOnly
      // Answers may get more members: who reads them must not mind.
      if (io === 'output' && jsonSchema.additionalProperties === false) delete jsonSchema.additionalProperties
      // The largest number that JavaScript knows is no rule of ours.
      if (jsonSchema.maximum === Number.MAX_SAFE_INTEGER) delete jsonSchema.maximum
      if (jsonSchema.minimum === Number.MIN_SAFE_INTEGER) delete jsonSchema.minimum
    },
  }) as Json & { $defs?: Record<string, Json> }
  for (const [id, { id: _id, ...component }] of Object.entries($defs)) schemas.set(id, pointed(component))
  return pointed(written)
}

/** References to components, wherever they are in it. */
function pointed<Value>(value: Value): Value {
  const text = JSON.stringify(value).replaceAll('"$ref":"#/$defs/', `"$ref":"${COMPONENTS}`)
  return JSON.parse(text) as Value
}
