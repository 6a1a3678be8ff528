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

export async function devLogin(as: As, name: string, room: string): Promise<Login> {
  const response = await fetch('/dev/token', {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ as, name, room }),
  })
  if (response.status === 404) throw new NoDevLoginError('This engine gives no tokens here.')
  const body = (await response.json().catch(() => ({}))) as { token?: unknown; name?: unknown; error?: unknown }
  if (!response.ok || typeof body.token !== 'string')
    throw new Error(typeof body.error === 'string' ? body.error : `Signing in failed (${response.status}).`)
  return { token: body.token, name: typeof body.name === 'string' ? body.name : name }
}

/** The room of this page, from `?room=`; ids are checked here because they come from the address. */
export function roomFromAddress(fallback = 'demo'): string {
  const id = new URLSearchParams(location.search).get('room') ?? fallback
  return /^[A-Za-z0-9_-]{1,64}$/.test(id) ? id : fallback
}
