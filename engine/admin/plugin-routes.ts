/**
 * Routes of plugins: whatever stands under `/admin/v1/<plugin>` is answered by that plugin, wherever it runs.
 *
 *     routes: { 'GET /questions/:id': { summary: 'One question.', run: ({ params }) => ({ body: find(params.id) }) } }
 *     GET /admin/v1/trivia/questions/7
 *
 * The operator's token is checked before the plugin hears of the request. What it answers is taken apart and checked: a status from 200
 * to 599 and a JSON body, nothing else, and never as something that a browser would show as a page.
 */
import { Type } from '@sinclair/typebox'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { errors } from '../../schemas/errors.ts'
import { isPluginsCode } from '../plugin/checks/guards.ts'
import type { AdminParts } from './admin.ts'
import { idempotencyKey, refusals, security, statusOf } from './answers.ts'

export interface RouteSpec {
  index: number
  /** `GET /questions/:id` */
  spec: { on: string }
}
export type RouteMatch = { index: number; params: Record<string, string> } | { allow: string[] }

const methods = ['GET', 'POST', 'PUT', 'PATCH', 'DELETE'] as const
const prefix = '/admin/v1/'
export const replyBytesMax = 524_288
const msgMax = 500

/** Which route is meant: of several that fit, the one that names the most of the path, from the left. */
export function matchRoute(routes: readonly RouteSpec[], method: string, segments: readonly string[]): RouteMatch | undefined {
  const fitting = routes
    .map(({ index, spec }) => ({ index, ...partsOf(spec.on) }))
    .filter(({ pattern }) => fits(pattern, segments))
  if (fitting.length === 0) return undefined
  const ofMethod = fitting.filter((route) => route.method === method).sort((a, b) => order(a.pattern, b.pattern))
  const [best] = ofMethod
  if (!best) return { allow: [...new Set(fitting.map((route) => route.method))].sort() }
  const params = best.pattern.flatMap((part, at): [string, string][] =>
    part.startsWith(':') ? [[part.slice(1), segments[at] as string]] : [],
  )
  return { index: best.index, params: Object.fromEntries(params) }
}

function partsOf(on: string): { method: string; pattern: string[] } {
  const [method = '', path = ''] = on.split(' ')
  return { method, pattern: path === '/' ? [] : path.slice(1).split('/') }
}

function fits(pattern: readonly string[], segments: readonly string[]): boolean {
  if (pattern.length !== segments.length) return false
  return pattern.every((part, at) => (part.startsWith(':') ? segments[at] !== '' : part === segments[at]))
}

function order(a: readonly string[], b: readonly string[]): number {
  const at = a.findIndex((part, i) => part.startsWith(':') !== b[i]?.startsWith(':'))
  if (at < 0) return 0
  return a[at]?.startsWith(':') ? 1 : -1
}

/** The path as sent, decoded step by step: `%2F` is a character of a step and no end of it. Undefined: it cannot be decoded. */
export function segmentsOf(path: string): string[] | undefined {
  try {
    return path === '' ? [] : path.split('/').map(decodeURIComponent)
  } catch {
    return undefined
  }
}

/** A status and the text of a body; undefined when the plugin's answer is none. */
export function soundReply(answer: unknown): { status: number; text: string } | undefined {
  if (typeof answer !== 'object' || answer === null || Array.isArray(answer)) return undefined
  const { status = 200, body } = answer as { status?: unknown; body?: unknown }
  if (typeof status !== 'number' || !Number.isInteger(status) || status < 200 || status > 599) return undefined
  try {
    const text = JSON.stringify(body) ?? ''
    return Buffer.byteLength(text) <= replyBytesMax ? { status, text } : undefined
  } catch {
    return undefined // nested too deep to be written
  }
}

export function registerPluginRoutes(app: FastifyInstance, parts: AdminParts): void {
  const params = Type.Object({ plugin: Type.String() })
  const schema = {
    summary: 'A route of a plugin; GET /plugins/{name} lists them.',
    security,
    params,
    response: refusals,
  }
  for (const url of ['/:plugin', '/:plugin/*'])
    app.route({
      method: [...methods],
      url,
      schema,
      exposeHeadRoute: false,
      handler: (request, reply) => passOn(parts, request, reply),
    })
}

async function passOn(parts: AdminParts, request: FastifyRequest, reply: FastifyReply): Promise<FastifyReply> {
  const { host } = parts
  const [path = ''] = (request.raw.url ?? '').slice(prefix.length).split('?')
  const [plugin = '', ...segments] = segmentsOf(path) ?? []
  const routes = host.routesOf(plugin)
  if (routes.length === 0) return sendNoRoutes(parts, reply, plugin)
  const match = matchRoute(routes, request.method, segments)
  if (!match)
    return reply
      .status(404)
      .send({ code: 'request.unknown_command', msg: `${plugin} has no such route; see /admin/v1/plugins/${plugin}.` })
  if ('allow' in match) {
    const msg = `Only ${match.allow.join(', ')} here.`
    return reply.status(405).header('allow', match.allow.join(', ')).send({ code: 'request.unknown_command', msg })
  }
  const ik = idempotencyKey(request)
  const asked = {
    params: match.params,
    query: request.query,
    body: request.body ?? null,
    actor: request.actor.userId,
    ...(ik === undefined ? {} : { ik }),
  }
  try {
    const answer = soundReply(await host.route(plugin, match.index, asked))
    if (answer) return sendSound(reply, answer)
    throw new Error('the answer is no {status, body} of at most 512 KB')
  } catch (error) {
    return sendFailure(parts, reply, { plugin, route: `${request.method} ${path}`, error })
  }
}

/** A known plugin without routes in force is one that does not work now, or has none. */
function sendNoRoutes({ host }: AdminParts, reply: FastifyReply, plugin: string): FastifyReply {
  const known = host.list().find(({ name }) => name === plugin)
  if (!known) return reply.status(404).send({ code: 'request.unknown_command', msg: 'No such route; see /docs.' })
  if (known.state === 'attached')
    return reply.status(404).send({ code: 'request.unknown_command', msg: `${plugin} has no routes.` })
  return sendUnavailable(reply, `${plugin} is ${known.state}.`)
}

function sendSound(reply: FastifyReply, { status, text }: { status: number; text: string }): FastifyReply {
  reply.status(status).header('cache-control', 'no-store').header('x-content-type-options', 'nosniff')
  const hasNoBody = text === '' || status === 204 || status === 205 || status === 304
  return hasNoBody ? reply.send() : reply.type('application/json; charset=utf-8').send(text)
}

function sendUnavailable(reply: FastifyReply, msg: string): FastifyReply {
  return reply.status(503).header('retry-after', '1').send({ code: 'plugin.unavailable', msg, retryAfterMs: 1_000 })
}

const absent = ['plugin.unavailable', 'plugin.late', 'plugin.lost']

function sendFailure(
  { host, log }: AdminParts,
  reply: FastifyReply,
  { plugin, route, error }: { plugin: string; route: string; error: unknown },
): FastifyReply {
  const { code, message, retryAfterMs } = error as Error & { code?: unknown; retryAfterMs?: unknown }
  if (absent.includes(code as string)) return sendUnavailable(reply, 'The plugin does not answer now.')
  if (code !== 'plugin.failed' && isPluginsCode(code, plugin, host.describe(plugin).domains)) {
    const retry = Number.isSafeInteger(retryAfterMs) ? { retryAfterMs } : {}
    return reply.status(statusOf(code)).send({ code, msg: message.slice(0, msgMax), ...retry })
  }
  log.warn({ plugin, route: route.slice(0, 200), err: error }, 'route of a plugin failed')
  return reply.status(500).send({ code: 'plugin.failed', msg: errors['plugin.failed'].doc })
}
