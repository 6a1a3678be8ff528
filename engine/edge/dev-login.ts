/**
 * `POST /dev/token`: a token for whoever asks, so that a fresh clone has a page that can speak. It exists only with `devLogin`, which by
 * default means: the public port is loopback, NODE_ENV is not production and no secret was given.
 *
 * Host must be ours and Origin, when there is one, the same: a page of another site, or a name that resolves to loopback, gets nothing.
 *
 *     -> {"as":"viewer","name":"Ann"}                      <- {"token":"...","userId":"u_...","name":"Ann"}
 *     -> the same with `Authorization: Bearer <token>`     a fresh token for that user, up to ten minutes after its expiry
 *     -> {"as":"owner","room":"demo"}                      the owner of the demo room
 */
import type { Clock } from '../base/clock.ts'
import type { IdSource } from '../base/random.ts'
import { type Config, isLoopback } from '../config.ts'
import type { HttpHandler, HttpRequest, HttpResponse } from './gateway.ts'
import { signToken, verifyToken } from './tokens.ts'

const ttlMs = 3_600_000
const nameLengthMax = 64
const renewGraceMs = 600_000
export const demoOwnerId = 'demo_owner'

export function devLoginAllowed(config: Config, env: NodeJS.ProcessEnv): boolean {
  if (config.devLogin !== 'auto') return config.devLogin === 'on'
  return isLoopback(config.host) && config.trustedProxyHops === 0 && env['NODE_ENV'] !== 'production' && config.secret === ''
}

export interface DevLoginParts {
  config: Config
  clock: Clock
  newId: IdSource
  secret: Uint8Array
}

export function devLogin(parts: DevLoginParts): HttpHandler {
  return async (request) => {
    if (!isOurs(request)) return json(403, { error: 'Host and Origin must be this server.' })
    const wanted = readBody(request.body)
    if (!wanted) return json(400, { error: 'Send {"as":"viewer"|"owner","name"?:"...","room"?:"..."}.' })
    const isOwner = wanted.as === 'owner'
    if (isOwner && wanted.room !== parts.config.demoRoom) return json(403, { error: `Owner of "${parts.config.demoRoom}" only.` })
    const now = parts.clock.now()
    const known = isOwner ? undefined : await verifyToken(parts.secret, bearer(request), now - renewGraceMs)
    const userId = isOwner ? demoOwnerId : (known?.userId ?? `u_${parts.newId(now).toLowerCase()}`)
    const name = wanted.name || (isOwner ? 'Host' : `Viewer ${userId.slice(-4)}`)
    const token = await signToken(parts.secret, { sub: userId, name, ttlMs, ...(isOwner ? { scope: 'streamer' } : {}) }, now)
    return json(200, { token, userId, name })
  }
}

const bearer = (request: HttpRequest) => request.header('authorization').replace(/^Bearer /, '')

const proxied = ['forwarded', 'x-forwarded-for', 'x-forwarded-host', 'x-real-ip']

export function isOurs(request: HttpRequest): boolean {
  // A proxy may have put our own name into Host: whoever comes through one is not on this machine.
  if (proxied.some((name) => request.header(name) !== '')) return false
  if (request.header('sec-fetch-site') === 'cross-site') return false
  const host = request.header('host')
  // The whole name: `127.0.0.1.example.org` belongs to whoever owns the domain.
  if (!isLoopback(host.replace(/:\d+$/, ''))) return false
  const origin = request.header('origin')
  return origin === '' || origin === `http://${host}` || origin === `https://${host}`
}

function readBody(body: Uint8Array): { as: 'viewer' | 'owner'; name: string; room: string } | undefined {
  try {
    const value: unknown = JSON.parse(Buffer.from(body).toString())
    if (typeof value !== 'object' || value === null || Array.isArray(value)) return undefined
    const { as = 'viewer', name = '', room = '' } = value as Record<string, unknown>
    if ((as !== 'viewer' && as !== 'owner') || typeof name !== 'string' || typeof room !== 'string') return undefined
    return { as, name: [...name].slice(0, nameLengthMax).join(''), room }
  } catch {
    return undefined
  }
}

export const json = (status: number, value: unknown): HttpResponse => ({
  status,
  headers: { 'content-type': 'application/json', 'cache-control': 'no-store' },
  body: JSON.stringify(value),
})
