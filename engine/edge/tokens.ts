/**
 * Session tokens: signed JWTs (HS256), audience `livehouse`, with an expiry. Claims: `sub` user, `name`, `scope` (space-separated:
 * `streamer` may create rooms, `patrol` moderates everywhere, `operator` may use the admin API but for money, the audit and backups, which
 * have scopes of their own: `admin/audit.ts`).
 *
 *     const token = await signToken(secret, { sub: 'ann', name: 'Ann', ttlMs: 3_600_000 }, clock.now())
 *     const who = await verifyToken(secret, token, clock.now())      // undefined when it is not valid
 */
import { randomBytes } from 'node:crypto'
import { chmod, mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { jwtVerify, SignJWT } from 'jose'
import { idPattern } from '../../schemas/messages.ts'

const audience = 'livehouse'
const secretBytes = 32
const nameLengthMax = 64
/** The year 2100: an expiry beyond it was meant in another unit. */
const expiryMaxS = 4_102_444_800
const id = new RegExp(idPattern)
/** Ids that only the engine gives: viewers without a token, bots of plugins, plugins themselves. */
export const reservedIdPrefixes = ['anon_', 'bot_', 'plugin_'] as const
/** And the one in whose name the engine itself acts. */
const reservedIds = ['engine']
export const isReservedId = (userId: string): boolean =>
  reservedIds.includes(userId) || reservedIdPrefixes.some((prefix) => userId.startsWith(prefix))

export interface TokenClaims {
  sub: string
  name?: string | undefined
  scope?: string | undefined
  ttlMs: number
}
export interface Identity {
  userId: string
  name: string
  scope: string[]
  expiresAt: number
}

export function signToken(secret: Uint8Array, claims: TokenClaims, nowMs: number): Promise<string> {
  const { sub, name, scope, ttlMs } = claims
  const issuedAt = Math.floor(nowMs / 1000)
  return new SignJWT({ ...(name === undefined ? {} : { name }), ...(scope === undefined ? {} : { scope }) })
    .setProtectedHeader({ alg: 'HS256' })
    .setSubject(sub)
    .setAudience(audience)
    .setIssuedAt(issuedAt)
    .setExpirationTime(issuedAt + Math.ceil(ttlMs / 1000))
    .sign(secret)
}

/** A token that claims an id which only the engine gives is refused, and so is one without an expiry. */
export async function verifyToken(secret: Uint8Array, token: string, nowMs: number): Promise<Identity | undefined> {
  try {
    const { payload } = await jwtVerify(token, secret, {
      algorithms: ['HS256'],
      audience,
      requiredClaims: ['sub', 'exp', 'iat'],
      currentDate: new Date(nowMs),
    })
    const { sub = '', name, scope, exp = 0 } = payload
    // An expiry in milliseconds or microseconds by mistake is no expiry: it would also not fit the wire.
    if (!id.test(sub) || isReservedId(sub) || !Number.isSafeInteger(exp) || exp > expiryMaxS) return undefined
    return {
      userId: sub,
      name: shownName(name, sub),
      scope: typeof scope === 'string' ? scope.split(' ').filter(Boolean) : [],
      expiresAt: exp * 1000,
    }
  } catch {
    // Every reason is the same to the sender: a stranger learns nothing about our keys.
    return undefined
  }
}

function shownName(name: unknown, fallback: string): string {
  if (typeof name !== 'string') return fallback
  const clean = name
    .toWellFormed()
    .replace(/[\p{Cc}\p{Cf}]/gu, '')
    .trim()
  return [...clean].slice(0, nameLengthMax).join('') || fallback
}

/** The configured secret, or the one in the data folder; made on the first start, readable by its owner only. */
export async function loadSecret(config: { secret: string; dataDir: string }): Promise<Uint8Array> {
  if (config.secret !== '') return new TextEncoder().encode(config.secret)
  const file = join(config.dataDir, 'secret')
  await mkdir(config.dataDir, { recursive: true })
  try {
    await writeFile(file, randomBytes(secretBytes).toString('base64url'), { mode: 0o600, flag: 'wx' })
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error
    await chmod(file, 0o600)
  }
  return new TextEncoder().encode((await readFile(file, 'utf8')).trim())
}
