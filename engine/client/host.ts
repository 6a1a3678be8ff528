/**
 * What the client needs from where it runs: sockets, time, randomness and a place for faults that nobody listens to.
 *
 * There are two: the browser (`index.ts`) and Node (`node.ts`). Tests bring their own clock. The client may import schemas only, so
 * this file is its counterpart of `engine/base`: nothing else in the client reads a clock or draws a random number.
 */

/** The part of a WebSocket that the client uses; the browser's and the one of `ws` both have it. */
export interface Socket {
  binaryType: string
  onopen: (() => void) | null
  onmessage: ((message: { data: unknown }) => void) | null
  onclose: ((end: { code: number; reason: string }) => void) | null
  onerror: ((fault: unknown) => void) | null
  send(frame: string | Uint8Array): void
  close(code?: number, reason?: string): void
  /** Only `ws` has it: drops the connection without the closing handshake. */
  terminate?(): void
}

export interface Timer {
  cancel(): void
}

export interface Host {
  openSocket(url: string, subprotocol: string): Socket
  /** Epoch milliseconds. */
  now(): number
  /** In [0, 1). */
  random(): number
  after(ms: number, fn: () => void): Timer
  /** A fault that no 'error' listener took. */
  report(error: unknown): void
}

/** Longer waits overflow the timers of browsers and Node and would fire at once. */
export const timerMsMax = 2_147_483_647

export const surroundings: Pick<Host, 'now' | 'random' | 'after'> = {
  now: () => Date.now(),
  random: () => Math.random(),
  after(ms, fn) {
    const handle = setTimeout(fn, Math.min(ms, timerMsMax))
    return { cancel: () => clearTimeout(handle) }
  },
}

/**
 * An idempotency key: 48 bits of time, then 80 random ones. Keys that grow land side by side in the ledger's index: with random keys each
 * gift writes a page of its own there, twice the bytes. `crypto.randomUUID` is missing on plain-http pages, `getRandomValues` is not.
 */
export function newKey(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(10))
  const time = surroundings.now().toString(16).padStart(12, '0')
  return time + Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('')
}
