/** Bounds per network address: open sockets and new sockets per second. Loopback is exempt: proxies and load tools live there. */
import { TokenBucket } from '../base/bucket.ts'
import type { Clock } from '../base/clock.ts'

interface Known {
  open: number
  bucket: TokenBucket
  lastAt: number
}

const keepMs = 10_000
const sweepSizeMin = 1_000

const loopback = /^(127\.|::1$|::ffff:127\.|0000:0000:0000:0000:0000:0000:0000:0001$|0000:0000:0000:0000:0000:ffff:7f)/
export const isLoopback = (address: string): boolean => address === 'localhost' || loopback.test(address)

export class Addresses {
  readonly #clock: Clock
  readonly #limits: { connectionsMax: number; connectsPerSMax: number }
  readonly #known = new Map<string, Known>()
  #sweepSize = sweepSizeMin
  refused = 0

  constructor(clock: Clock, limits: { connectionsMax: number; connectsPerSMax: number }) {
    this.#clock = clock
    this.#limits = limits
  }

  /** Count a new socket in, or say why not. */
  connect(address: string): { status: string; body: string } | undefined {
    if (isLoopback(address)) return undefined
    const now = this.#clock.now()
    const known = this.#of(address, now)
    const { connectionsMax, connectsPerSMax } = this.#limits
    const tooMany = connectionsMax > 0 && known.open >= connectionsMax
    const tooFast = connectsPerSMax > 0 && known.bucket.take(now, { perS: connectsPerSMax, burst: connectsPerSMax }) > 0
    if (tooMany || tooFast) {
      this.refused++
      return {
        status: '429 Too Many Requests',
        body: tooMany ? 'Too many connections from this address.' : 'Connecting too fast.',
      }
    }
    known.open++
    return undefined
  }

  disconnect(address: string): void {
    const known = this.#known.get(address)
    if (known && known.open > 0) known.open--
  }

  #of(address: string, now: number): Known {
    let known = this.#known.get(address)
    if (!known) this.#known.set(address, (known = { open: 0, bucket: new TokenBucket(), lastAt: now }))
    known.lastAt = now
    if (this.#known.size > this.#sweepSize) this.#sweep(now)
    return known
  }

  /** Addresses without sockets are forgotten after a while; the next sweep comes when the map has doubled. */
  #sweep(now: number): void {
    for (const [address, known] of this.#known) if (known.open === 0 && known.lastAt < now - keepMs) this.#known.delete(address)
    this.#sweepSize = Math.max(sweepSizeMin, this.#known.size * 2)
  }
}
