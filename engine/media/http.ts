/**
 * WHIP (RFC 9725) and WHEP on the public port: `/whip/<room>` and `/whep/<room>`, and below them the resource of each client.
 *
 *     POST    /whip/demo?line=backup    an offer as application/sdp; 201 with the answer, Location, ETag, Link
 *     PATCH   /whip/demo/<resource>     trickle or restart of ICE
 *     DELETE  /whip/demo/<resource>     the end
 *
 * The bearer token is that of the WebSocket. WHIP asks for one always; WHEP takes viewers without, as the room does, and knows them by
 * their address. What is asked goes to the home of the room as a command (`live/stream-signals.ts`); this file is HTTP alone: methods,
 * types, sizes, rates, CORS, and the status of each refusal.
 */
import { createHmac } from 'node:crypto'
import type { ErrorBody } from '../../schemas/errors.ts'
import { idPattern } from '../../schemas/messages.ts'
import type { SignalAnswer } from '../../schemas/sfu.ts'
import { KeyedBuckets } from '../base/bucket.ts'
import type { Clock } from '../base/clock.ts'
import type { IceServer } from '../config.ts'
import type { Gateway, HttpRequest, HttpResponse } from '../edge/gateway.ts'
import { verifyToken } from '../edge/tokens.ts'
import type { Actor, Answer } from '../room/call.ts'
import { signalCommands } from '../room/commands.ts'
import type { CommandHead } from '../room/homes.ts'

export interface SignalHttpParts {
  clock: Clock
  secret: Uint8Array
  iceServers: readonly IceServer[]
  /** To the home of a room; answers in any case. */
  command(roomId: string, head: CommandHead): Promise<Answer>
}
type Via = 'whip' | 'whep'
interface Target {
  via: Via
  room: string
  resource: string | undefined
}

const bodyBytesMax = 65_536
const sdpType = 'application/sdp'
const fragmentType = 'application/trickle-ice-sdpfrag'
const etagCharsMax = 256
const bucketsMax = 10_000
/** Offers are dear, candidates come by the dozen. The first also bounds how often a stranger can have a token checked. */
const perAddress = { perS: 50, burst: 200 }
const offersPerUser = { perS: 1, burst: 10 }
const patchesPerUser = { perS: 20, burst: 100 }
const id = new RegExp(idPattern)
const resourcePattern = /^[A-Za-z0-9_-]{1,128}$/

const cors = {
  'access-control-allow-origin': '*',
  'access-control-expose-headers': 'Location, Link, ETag, Accept-Patch, Retry-After',
}
const statuses: Readonly<Record<string, number>> = {
  'auth.invalid': 401,
  'auth.required': 401,
  'room.not_found': 404,
  'stream.gone': 404,
  'room.closed': 409,
  'room.live_banned': 403,
  'stream.line_taken': 409,
  'stream.bad_params': 422,
  'stream.codec': 422,
  'rate.limited': 429,
  'stream.unavailable': 503,
  'stream.no_capacity': 503,
  'room.unavailable': 503,
  'room.full': 503,
  'content.unavailable': 503,
  'plugin.unavailable': 503,
  'server.busy': 503,
  'server.internal': 500,
}

export class SignalHttp {
  readonly #parts: SignalHttpParts
  readonly #buckets = new KeyedBuckets(bucketsMax)
  readonly #links: string

  constructor(parts: SignalHttpParts) {
    this.#parts = parts
    this.#links = parts.iceServers.flatMap(linksOf).join(', ')
  }

  /** Before the gateway listens. */
  offer(gateway: Pick<Gateway, 'route'>): void {
    for (const via of ['whip', 'whep'] as const) {
      const path = `/${via}/*`
      const on = (
        method: Parameters<Gateway['route']>[0],
        run: (request: HttpRequest, target: Target) => ReturnType<typeof this.post>,
      ) => gateway.route(method, path, { bodyBytesMax }, (request) => this.#serve(via, request, run))
      on('post', (request, target) => this.post(request, target))
      on('patch', (request, target) => this.patch(request, target))
      on('del', (request, target) => this.delete(request, target))
      gateway.route('options', path, { bodyBytesMax }, () => options)
      for (const method of ['get', 'head', 'any'] as const) gateway.route(method, path, { bodyBytesMax }, () => notAllowed)
    }
  }

  async #serve(
    via: Via,
    request: HttpRequest,
    run: (request: HttpRequest, target: Target) => Promise<HttpResponse>,
  ): Promise<HttpResponse> {
    const waitMs = this.#buckets.take(`address ${request.address}`, this.#parts.clock.now(), perAddress)
    const target = targetOf(via, request.path)
    if (waitMs > 0) return refused({ code: 'rate.limited', msg: 'Too many requests.', retryAfterMs: waitMs })
    if (!target) return refused({ code: 'room.not_found', msg: 'No such room.' })
    return run(request, target)
  }

  async post(request: HttpRequest, { via, room, resource }: Target): Promise<HttpResponse> {
    if (resource !== undefined) return notAllowed
    if (!hasType(request, sdpType))
      return { status: 415, headers: { ...cors, 'accept-post': sdpType }, body: `Send ${sdpType}.\n` }
    const line = new URLSearchParams(request.query).get('line') ?? undefined
    if (line !== undefined && line !== 'primary' && line !== 'backup') return text(400, 'line: primary or backup')
    const actor = await this.#actor(request, via)
    if (!actor) return unauthorized
    const sdp = Buffer.from(request.body).toString()
    const d = via === 'whip' ? { sdp, ...(line === undefined ? {} : { line }) } : { sdp }
    return this.#command(room, via === 'whip' ? signalCommands.whip : signalCommands.whep, d, actor, (answer) =>
      this.#opened(answer, via, room),
    )
  }

  async patch(request: HttpRequest, { via, room, resource }: Target): Promise<HttpResponse> {
    if (resource === undefined) return notAllowed
    if (!hasType(request, fragmentType))
      return { status: 415, headers: { ...cors, 'accept-patch': fragmentType }, body: `Send ${fragmentType}.\n` }
    const actor = await this.#actor(request, via)
    if (!actor) return unauthorized
    const etag = request.header('if-match').slice(0, etagCharsMax)
    const d = { resource, via, fragment: Buffer.from(request.body).toString(), ...(etag === '' ? {} : { etag }) }
    return this.#command(room, signalCommands.patch, d, actor, plain)
  }

  async delete(request: HttpRequest, { via, room, resource }: Target): Promise<HttpResponse> {
    if (resource === undefined) return notAllowed
    const actor = await this.#actor(request, via)
    if (!actor) return unauthorized
    return this.#command(room, signalCommands.close, { resource, via }, actor, plain)
  }

  async #command(
    room: string,
    t: string,
    d: object,
    actor: Actor,
    show: (answer: SignalAnswer) => HttpResponse,
  ): Promise<HttpResponse> {
    const rate = t === signalCommands.patch ? patchesPerUser : offersPerUser
    const waitMs = this.#buckets.take(`${t} ${actor.userId}`, this.#parts.clock.now(), rate)
    if (waitMs > 0) return refused({ code: 'rate.limited', msg: 'Too many requests.', retryAfterMs: waitMs })
    const answer = await this.#parts.command(room, { t, d, actor })
    return answer.ok ? show(answer.d as SignalAnswer) : refused(answer.err)
  }

  #opened(answer: SignalAnswer, via: Via, room: string): HttpResponse {
    if (answer.resource === undefined) return plain(answer)
    const response = plain(answer)
    const headers = {
      ...response.headers,
      location: `/${via}/${room}/${answer.resource}`,
      'accept-patch': fragmentType,
      ...(this.#links === '' ? {} : { link: this.#links }),
    }
    return { ...response, headers }
  }

  /** Undefined: no token where one is needed, or one that is not valid. */
  async #actor(request: HttpRequest, via: Via): Promise<Actor | undefined> {
    const { secret, clock } = this.#parts
    const authorization = request.header('authorization')
    if (authorization === '') return via === 'whep' ? this.#anonymous(request.address) : undefined
    const token = /^Bearer (\S{1,4096})$/i.exec(authorization)?.[1]
    const identity = token === undefined ? undefined : await verifyToken(secret, token, clock.now())
    return identity && { userId: identity.userId, name: identity.name, anonymous: false, scope: identity.scope }
  }

  #anonymous(address: string): Actor {
    const key = createHmac('sha256', this.#parts.secret).update(`whep ${address}`).digest('base64url').slice(0, 22)
    return { userId: `anon_${key}`, name: 'Guest', anonymous: true, scope: [] }
  }
}

// ------------------------------------------------------------------ HTTP

/** `/whip/<room>` or `/whip/<room>/<resource>`. */
function targetOf(via: Via, path: string): Target | undefined {
  const [room = '', resource, ...rest] = path.slice(via.length + 2).split('/')
  if (rest.length > 0 || !id.test(room) || (resource !== undefined && !resourcePattern.test(resource))) return undefined
  return { via, room, resource }
}

const hasType = (request: HttpRequest, wanted: string) =>
  request.header('content-type').split(';')[0]?.trim().toLowerCase() === wanted

const text = (status: number, msg: string, headers: Record<string, string> = {}): HttpResponse => ({
  status,
  headers: { ...cors, 'content-type': 'text/plain', ...headers },
  body: `${msg}\n`,
})

const allowed = 'POST, PATCH, DELETE, OPTIONS'
const notAllowed = text(405, `One of ${allowed}.`, { allow: allowed })
const unauthorized = text(401, 'Send a valid bearer token.', { 'www-authenticate': 'Bearer' })
const options: HttpResponse = {
  status: 204,
  headers: {
    ...cors,
    'access-control-allow-methods': allowed,
    'access-control-allow-headers': 'Authorization, Content-Type, If-Match',
    'access-control-max-age': '86400',
    'accept-post': sdpType,
    'accept-patch': fragmentType,
  },
}

function plain({ status, body, contentType, etag, retryAfterS }: SignalAnswer): HttpResponse {
  const headers = {
    ...cors,
    ...(contentType === undefined ? {} : { 'content-type': contentType }),
    ...(etag === undefined ? {} : { etag }),
    ...(retryAfterS === undefined ? {} : { 'retry-after': String(retryAfterS) }),
  }
  return { status, headers, ...(body === undefined ? {} : { body }) }
}

/** What guards refuse with, a plugin's own words too, is 403. */
function refused({ code, msg, retryAfterMs, d }: ErrorBody): HttpResponse {
  const status = statuses[code] ?? 403
  const retry = retryAfterMs === undefined ? {} : { 'retry-after': String(Math.max(1, Math.ceil(retryAfterMs / 1_000))) }
  const authenticate = status === 401 ? { 'www-authenticate': 'Bearer' } : {}
  return {
    status,
    headers: { ...cors, 'content-type': 'application/problem+json', ...retry, ...authenticate },
    body: JSON.stringify({ title: code, status, detail: msg, ...(d === undefined ? {} : { d }) }),
  }
}

/** A server as RFC 9725 names it: one link a URL. Quotes and control characters cannot be in it (`config.ts`). */
function linksOf({ urls, username, credential }: IceServer): string[] {
  const words = [
    ...(username === undefined ? [] : [`username="${username}"`]),
    ...(credential === undefined ? [] : [`credential="${credential}"`, 'credential-type="password"']),
  ]
  return urls.map((url) => [`<${url}>`, 'rel="ice-server"', ...words].join('; '))
}
