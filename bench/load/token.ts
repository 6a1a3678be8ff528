/** Session tokens as an operator's login server would make them: HS256, signed with the secret that the bench gives the engine. */
import { createHmac } from 'node:crypto'

const part = (value: object): string => Buffer.from(JSON.stringify(value)).toString('base64url')

export function signToken(secret: string, user: { sub: string; name: string; ttlMs: number }, nowMs: number): string {
  const iat = Math.floor(nowMs / 1000)
  const claims = { sub: user.sub, name: user.name, aud: 'livehouse', iat, exp: iat + Math.ceil(user.ttlMs / 1000) }
  const body = `${part({ alg: 'HS256', typ: 'JWT' })}.${part(claims)}`
  return `${body}.${createHmac('sha256', secret).update(body).digest('base64url')}`
}
