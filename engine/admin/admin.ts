/**
 * The admin port: HTTP for operators, loopback by default. The only part that sees Fastify.
 *
 * Every route under /admin/v1 wants a bearer token with scope `operator` (`livehouse token --user ops --scope operator`), those of money,
 * of the audit and of backups one of their own (`audit.ts`). Each is checked against its schema and shown on the OpenAPI page at /docs.
 * /healthz and /metrics are open to whoever reaches the port. A write may carry `Idempotency-Key`, one of money must, and on a room or
 * on settings `If-Match` with the ETag of the last GET. Under `/admin/v1/<plugin>` stand the routes of each plugin.
 */
import swagger from '@fastify/swagger'
import swaggerUi from '@fastify/swagger-ui'
import Fastify, { type FastifyReply, type FastifyRequest } from 'fastify'
import type { Clock } from '../base/clock.ts'
import { folderMark } from '../base/folder-mark.ts'
import type { Log } from '../base/log.ts'
import type { Metrics } from '../base/metrics.ts'
import type { IdSource } from '../base/random.ts'
import type { EngineBilling } from '../billing.ts'
import type { Config } from '../config.ts'
import type { Edge } from '../edge/edge.ts'
import { verifyToken } from '../edge/tokens.ts'
import type { OpenLedger } from '../ledger/open.ts'
import type { Media } from '../media/media.ts'
import type { PluginHost } from '../plugin/host/host.ts'
import type { Remote } from '../plugin/remote/attach-remote.ts'
import type { DeliveryAccounts } from '../room/account.ts'
import type { Actor } from '../room/call.ts'
import type { Homes } from '../room/homes.ts'
import type { Store } from '../room/store.ts'
import { Once, refusalFor } from './answers.ts'
import { AdminAudit, adminScopes, hasScope, registerAudit } from './audit.ts'
import { registerBackups } from './backups.ts'
import { registerMedia } from './media.ts'
import { registerMoney } from './money.ts'
import { registerPluginEvents } from './plugin-events.ts'
import { registerPluginRoutes } from './plugin-routes.ts'
import { registerPlugins } from './plugins.ts'
import { registerRooms } from './rooms.ts'
import { compileOnce } from './schemas.ts'

export interface AdminParts {
  config: Config
  clock: Clock
  secret: Uint8Array
  homes: Homes
  edge: Edge
  accounts: DeliveryAccounts
  metrics: Metrics
  store: Store
  log: Log
  newId: IdSource
  host: PluginHost
  remote: Remote
  /** Undefined without `money`, and so is `billing`. */
  ledger: OpenLedger | undefined
  billing: EngineBilling | undefined
  /** Undefined with `media` off. */
  media: Media | undefined
}

export interface Admin {
  url: string
  close(): Promise<void>
}

declare module 'fastify' {
  interface FastifyRequest {
    actor: Actor
  }
}

const scopeList = Object.entries(adminScopes)
  .map(([scope, doc]) => `\`${scope}\`: ${doc}`)
  .join(' ')
const bodyBytesMax = 65_536
const urlCharsMax = 4_096
/** Whatever writes JSON does so by recursion: a body of brackets alone must not reach the end of the stack. */
const depthMax = 32

export async function startAdmin(parts: AdminParts): Promise<Admin> {
  const { config, metrics, log } = parts
  const app = Fastify({
    logger: false,
    bodyLimit: bodyBytesMax,
    // As long as a line of a request may be; the router gives up at 100 unless told.
    routerOptions: { maxParamLength: urlCharsMax },
    frameworkErrors: (error, _request, reply) => sendInvalid(reply as FastifyReply, error.message),
    ajv: { customOptions: { removeAdditional: false, coerceTypes: 'array' } },
    schemaController: { compilersFactory: compileOnce() },
  })
  app.setErrorHandler((error: Error & { statusCode?: number; validation?: unknown }, _request, reply) => {
    const refused = refusalFor(error)
    if (refused) return reply.status(refused.status).send(refused.body)
    const status = error.statusCode ?? 500
    if (status >= 500) log.error({ err: error }, 'admin request failed')
    const code = status >= 500 ? 'server.internal' : 'request.invalid'
    return reply.status(status).send({ code, msg: status >= 500 ? 'Our fault; it is logged.' : error.message })
  })
  app.setNotFoundHandler((_request, reply) =>
    reply.status(404).send({ code: 'request.unknown_command', msg: 'No such route; see /docs.' }),
  )

  // Many HTTP clients name a content type although they send nothing.
  app.addContentTypeParser('application/json', { parseAs: 'string' }, (_request, body, done) => {
    if (body === '') return done(null, undefined)
    const refuse = (msg: string) => done(Object.assign(new Error(msg), { statusCode: 400 }))
    try {
      const value: unknown = JSON.parse(body as string)
      if (isDeep(value)) refuse(`The body is nested deeper than ${depthMax}.`)
      else done(null, value)
    } catch {
      refuse('The body is no JSON.')
    }
  })
  await app.register(swagger, {
    openapi: {
      info: {
        title: 'Livehouse admin API',
        version: '1',
        description: `Rooms, moderation, plugins, money, the room log and the delivery account.

Scopes of a token, several with a space between them: ${scopeList}

Amounts of money are whole minor units. In answers they are decimal strings, always; in a body a number up to 2^53 - 1 is taken as well.`,
      },
      components: { securitySchemes: { operator: { type: 'http', scheme: 'bearer' } } },
    },
  })
  await app.register(swaggerUi, { routePrefix: '/docs' })

  const open = { schema: { hide: true } }
  app.get('/', open, (_request, reply) => reply.redirect('/docs'))
  app.get('/healthz', open, () => ({
    ...{ ok: true, connections: parts.edge.connections, rooms: parts.homes.loaded },
    dataFolder: folderMark(config.dataDir),
  }))
  app.get('/metrics', open, async (_request, reply) => reply.type(metrics.contentType).send(await metrics.text()))

  await app.register(
    async (scope) => {
      scope.decorateRequest('actor', null as unknown as Actor)
      scope.addHook('onRequest', (request, reply) => authorize(parts, request, reply))
      registerRooms(scope, parts)
      const once = new Once(parts.clock, config.idemEntriesMax)
      const audit = new AdminAudit(parts, once)
      scope.addHook('onSend', (request, reply) => audit.note(request, reply))
      registerAudit(scope, parts)
      registerMedia(scope, parts)
      registerMoney(scope, parts, audit)
      registerBackups(scope, parts, once)
      registerPlugins(scope, parts, once)
      registerPluginEvents(scope, parts, once)
      // Last, and behind all others: what stands under the name of a plugin is that plugin's.
      registerPluginRoutes(scope, parts)
    },
    { prefix: '/admin/v1' },
  )
  const url = await app.listen({ host: config.adminHost, port: config.adminPort })
  return { url, close: () => app.close() }
}

/** Everything an operator does is done in their name: the user of the token. */
async function authorize({ secret, clock }: AdminParts, request: FastifyRequest, reply: FastifyReply): Promise<void> {
  const token = request.headers.authorization?.match(/^Bearer (\S{1,4096})$/)?.[1]
  const identity = token === undefined ? undefined : await verifyToken(secret, token, clock.now())
  if (!identity) {
    await reply
      .status(401)
      .header('www-authenticate', 'Bearer')
      .send({ code: 'auth.invalid', msg: 'Send a bearer token: livehouse token --help.' })
    return
  }
  const { scope = 'operator' } = request.routeOptions.config
  if (!hasScope(identity.scope, scope)) {
    await reply.status(403).send({ code: 'perm.denied', msg: `The token lacks scope ${scope}.` })
    return
  }
  request.actor = { userId: identity.userId, name: identity.name, anonymous: false, scope: identity.scope }
}

function isDeep(value: unknown): boolean {
  let level: object[] = typeof value === 'object' && value !== null ? [value] : []
  for (let depth = 0; level.length > 0; depth++) {
    if (depth >= depthMax) return true
    level = level.flatMap((one) => Object.values(one).filter((inner) => typeof inner === 'object' && inner !== null))
  }
  return false
}

const sendInvalid = (reply: FastifyReply, msg: string): void => void reply.status(400).send({ code: 'request.invalid', msg })
