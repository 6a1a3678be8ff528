/**
 * A bus that loses, delays and repeats, around the real `LocalBus`.
 *
 * Every part of the simulation (`homes`, each edge) has a node of its own; between two nodes lies a link in each direction. A link keeps
 * the order of what it carries, as NATS does on one connection: a delayed message holds back those behind it, a repeated one comes twice
 * in a row. While `health` says so, all links are perfect and add no time.
 *
 *     const bus = new FaultyBus(new LocalBus(clock, onError), clock, random)
 *     bus.faults = { drop: 0.1, repeat: 0.1, delay: 0.3, delayMsMax: 200 }
 *     bus.node('e1').request('lh.room.r1.cmd', ...)
 */
import type { Bus, BusMessage, Delivery, Handler, OnAnswer } from '../base/bus.ts'
import type { Clock } from '../base/clock.ts'
import { type Random, randomInt } from '../base/random.ts'

export interface BusFaults {
  /** Probabilities for each message. */
  drop: number
  repeat: number
  delay: number
  delayMsMax: number
}
export const noFaults: BusFaults = { drop: 0, repeat: 0, delay: 0, delayMsMax: 0 }

/** On purpose wrong, for the test that the simulation notices: what a message becomes; `undefined`: it vanishes. */
export type Tamper = (subject: string, head: unknown) => unknown

interface Sent {
  from: string
  head: unknown
}

const hopSubject = 'hop'

interface Link {
  waiting: number
  lastAt: number
}

export class FaultyBus {
  faults: BusFaults = noFaults
  readonly counts = { carried: 0, dropped: 0, repeated: 0, delayed: 0 }
  readonly #inner: Bus
  readonly #clock: Clock
  readonly #random: Random
  readonly #links = new Map<string, Link>()
  readonly #tamper: Tamper | undefined

  constructor(inner: Bus, clock: Clock, random: Random, tamper?: Tamper) {
    this.#inner = inner
    this.#clock = clock
    this.#random = random
    this.#tamper = tamper
    inner.subscribe(hopSubject, ({ head }) => (head as () => void)())
  }

  node(name: string): Bus {
    return {
      publish: (subject, message) => this.#inner.publish(subject, this.#sent(name, message)),
      request: (subject, message, options, onAnswer: OnAnswer) =>
        this.#inner.request(subject, this.#sent(name, message), options, onAnswer),
      subscribe: (pattern, handler) => this.#subscribe(name, pattern, handler),
      close: () => {},
    }
  }

  #sent(from: string, message: BusMessage): BusMessage {
    return { ...message, head: { from, head: message.head } satisfies Sent }
  }

  #subscribe(to: string, pattern: string, handler: Handler): () => void {
    let stopped = false
    const stop = this.#inner.subscribe(pattern, (delivery) => {
      const { from, head: original } = delivery.head as Sent
      const head = this.#tamper ? this.#tamper(delivery.subject, original) : original
      if (head === undefined) return
      const arrived: Delivery = { ...delivery, head, ...this.#replyBy(to, from, delivery) }
      this.#carry(`${from}>${to}`, () => this.#hop(() => stopped || handler(arrived)))
    })
    return () => {
      stopped = true
      stop()
    }
  }

  #replyBy(from: string, to: string, { reply }: Delivery): Pick<Delivery, 'reply'> {
    return reply ? { reply: (answer) => this.#hop(() => this.#carry(`${from}>${to}`, () => reply(answer))) } : {}
  }

  /** Once through the queue of the inner bus: answers and publications take as many turns each, or one would overtake the other. */
  #hop(job: () => void): void {
    this.#inner.publish(hopSubject, { head: job })
  }

  #carry(name: string, deliver: () => void): void {
    const { drop, repeat, delay, delayMsMax } = this.faults
    this.counts.carried++
    if (drop > 0 && this.#random.float() < drop) {
      this.counts.dropped++
      return
    }
    const again = repeat > 0 && this.#random.float() < repeat
    const delayMs = delay > 0 && this.#random.float() < delay ? 1 + randomInt(this.#random, delayMsMax) : 0
    if (again) this.counts.repeated++
    if (delayMs > 0) this.counts.delayed++
    this.#pass(name, delayMs, deliver)
    if (again) this.#pass(name, 0, deliver)
  }

  #pass(name: string, delayMs: number, deliver: () => void): void {
    let link = this.#links.get(name)
    if (!link) this.#links.set(name, (link = { waiting: 0, lastAt: 0 }))
    const way = link
    const now = this.#clock.now()
    way.lastAt = Math.max(way.lastAt, now + delayMs)
    if (way.waiting === 0 && way.lastAt === now) return deliver()
    way.waiting++
    this.#clock.after(way.lastAt - now, () => {
      way.waiting--
      deliver()
    })
  }
}
