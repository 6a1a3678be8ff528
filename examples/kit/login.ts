/**
 * Who is at the page. In development the engine gives tokens for the asking (`POST /dev/token`); elsewhere a token is pasted.
 * A token lives in this tab's sessionStorage only: never in the address, never in a cookie.
 */
export interface Login {
  token: string
  name: string
}
export type As = 'viewer' | 'owner'

const keyOf = (as: As) => `livehouse.${as}`

export function storedLogin(as: As): Login | undefined {
  try {
    const value = JSON.parse(sessionStorage.getItem(keyOf(as)) ?? 'null') as Login | null
    return typeof value?.token === 'string' ? value : undefined
  } catch {
    return undefined // somebody else's value under our name: as good as none
  }
}

export function storeLogin(as: As, login: Login | undefined): void {
  if (login) sessionStorage.setItem(keyOf(as), JSON.stringify({ token: login.token, name: login.name }))
  else sessionStorage.removeItem(keyOf(as))
}

/** Development only gives tokens away; everywhere else this says so. */
export class NoDevLoginError extends Error {
  override name = 'NoDevLoginError'
}

/** With a token that is still good, or ran out a few minutes ago, the new one is for the same user. */
export async function devLogin(as: As, name: string, room: string, token?: string): Promise<Login> {
  const response = await fetch('/dev/token', {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...(token ? { authorization: `Bearer ${token}` } : {}) },
    body: JSON.stringify({ as, name, room }),
  })
  if (response.status === 404) throw new NoDevLoginError('This engine gives no tokens here.')
  const body = (await response.json().catch(() => ({}))) as { token?: unknown; name?: unknown; error?: unknown }
  if (!response.ok || typeof body.token !== 'string')
    throw new Error(typeof body.error === 'string' ? body.error : `Signing in failed (${response.status}).`)
  return { token: body.token, name: typeof body.name === 'string' ? body.name : name }
}

/** A fresh clone has nobody in its demo room: where the engine offers a crowd for a first look, ask it in. */
export async function callCrowd(room: string): Promise<void> {
  if (room !== demoRoom) return
  const health = await fetch('/healthz')
  const { dev } = (await health.json()) as { dev?: { crowd?: boolean } }
  if (dev?.crowd) await fetch('/dev/crowd', { method: 'POST' })
}

/**
 * The room of this page, from `?room=`; ids are checked here because they come from the address. Without one it is the demo room;
 * undefined: no room can have such an id.
 */
export const demoRoom = 'demo'
export function roomFromAddress(): string | undefined {
  const id = new URLSearchParams(location.search).get('room') ?? demoRoom
  return /^[A-Za-z0-9_-]{1,64}$/.test(id) ? id : undefined
}
