/**
 * The in-process bus: messages between the parts of the engine under subjects, with the matching rules of NATS
 * (`*` is one token, `>` the rest and at least one). On one machine it is the bus; with many it stands in front of the network.
 *
 * A message is a small plain `head` and opaque byte `parts`; nobody may change either after publishing. Delivery is in a microtask,
 * in the order of publishing over all subjects, so that code behaves as it would over a network, and an answer that was published
 * before a frame arrives before that frame.
 *
 *     const stop = bus.subscribe('lh.room.*.frames', ({ subject, head, parts }) => ...)
 *     bus.request('lh.room.demo.cmd', { head: { t: 'room.join' } }, { timeoutMs: 5000 }, (answer) => ...)
 */
import type { Clock, Timer } from './clock.ts'

export interface BusMessage {
  readonly head: unknown
  readonly parts?: readonly Uint8Array[]
}
export interface Delivery extends BusMessage {
  readonly subject: string
  /** Present on requests: answers once. */
  readonly reply?: (message: BusMessage) => void
}
export type Handler = (delivery: Delivery) => void
/** `undefined`: nobody answered in time, or nobody listens. */
export type OnAnswer = (answer: BusMessage | undefined) => void

export interface Bus {
  publish(subject: string, message: BusMessage): void
  subscribe(pattern: string, handler: Handler): () => void
  request(subject: string, message: BusMessage, options: { timeoutMs: number }, onAnswer: OnAnswer): void
  close(): void
}

interface Node {
  handlers: Handler[]
  rest: Handler[] // `>` here
  children: Map<string, Node>
}
const newNode = (): Node => ({ handlers: [], rest: [], children: new Map() })

interface Pending {
  deadlineAt: number
  onAnswer: OnAnswer
}

const matchCacheMax = 10_000
const sweepEveryMs = 100

export class LocalBus implements Bus {
  readonly #clock: Clock
  readonly #onError: (error: unknown, subject: string) => void
  #root = newNode()
  #matches = new Map<string, readonly Handler[]>()
  #queue: (() => void)[] = []
  #draining = false
  #pending = new Set<Pending>()
  #sweep: Timer | undefined
  #closed = false

  constructor(clock: Clock, onError: (error: unknown, subject: string) => void) {
    this.#clock = clock
    this.#onError = onError
  }

  /** Requests that wait for their answer. */
  get pending(): number {
    return this.#pending.size
  }

  publish(subject: string, message: BusMessage): void {
    if (this.#closed) return
    const handlers = this.#match(subject)
    if (handlers.length > 0) this.#enqueue(() => this.#deliver(handlers, { subject, ...message }))
  }

  subscribe(pattern: string, handler: Handler): () => void {
    checkPattern(pattern)
    const tokens = pattern.split('.')
    const rest = tokens.at(-1) === '>'
    let node = this.#root
    for (const token of rest ? tokens.slice(0, -1) : tokens) {
      let child = node.children.get(token)
      if (!child) {
        child = newNode()
        node.children.set(token, child)
      }
      node = child
    }
    const list = rest ? node.rest : node.handlers
    let stopped = false
    const entry: Handler = (delivery) => {
      if (!stopped) handler(delivery) // what is on the way when a subscription ends is not delivered, as in NATS
    }
    list.push(entry)
    this.#matches.clear()
    return () => {
      stopped = true
      const at = list.indexOf(entry)
      if (at < 0) return
      list.splice(at, 1)
      this.#matches.clear()
      prune(this.#root, rest ? tokens.slice(0, -1) : tokens, 0)
    }
  }

  request(subject: string, message: BusMessage, options: { timeoutMs: number }, onAnswer: OnAnswer): void {
    const pending: Pending = { deadlineAt: this.#clock.now() + options.timeoutMs, onAnswer }
    const handlers = this.#closed ? [] : this.#match(subject)
    if (handlers.length === 0) {
      this.#enqueue(() => onAnswer(undefined))
      return
    }
    this.#pending.add(pending)
    this.#armSweep()
    const reply = (answer: BusMessage) => {
      if (this.#pending.delete(pending)) this.#enqueue(() => onAnswer(answer))
    }
    this.#enqueue(() => this.#deliver(handlers, { subject, ...message, reply }))
  }

  close(): void {
    this.#closed = true
    this.#sweep?.cancel()
    for (const pending of this.#pending) this.#giveUp(pending)
    this.#pending.clear()
    this.#root = newNode()
    this.#matches.clear()
  }

  #deliver(handlers: readonly Handler[], delivery: Delivery): void {
    for (const handler of handlers) {
      try {
        handler(delivery)
      } catch (error) {
        this.#onError(error, delivery.subject)
      }
    }
  }

  #enqueue(job: () => void): void {
    this.#queue.push(job)
    if (this.#draining) return
    this.#draining = true
    queueMicrotask(() => this.#drain())
  }

  #drain(): void {
    for (let i = 0; i < this.#queue.length; i++) {
      try {
        ;(this.#queue[i] as () => void)()
      } catch (error) {
        this.#onError(error, 'answer')
      }
    }
    this.#queue = []
    this.#draining = false
  }

  /** One timer for all requests: they are many and almost never late. */
  #armSweep(): void {
    this.#sweep ??= this.#clock.after(sweepEveryMs, () => {
      this.#sweep = undefined
      const now = this.#clock.now()
      for (const pending of this.#pending) {
        if (pending.deadlineAt > now) continue
        this.#pending.delete(pending)
        this.#giveUp(pending)
      }
      if (this.#pending.size > 0) this.#armSweep()
    })
  }

  #giveUp(pending: Pending): void {
    try {
      pending.onAnswer(undefined)
    } catch (error) {
      this.#onError(error, 'answer')
    }
  }

  #match(subject: string): readonly Handler[] {
    const known = this.#matches.get(subject)
    if (known) return known
    checkSubject(subject)
    const found: Handler[] = []
    collect(this.#root, subject.split('.'), 0, found)
    if (this.#matches.size >= matchCacheMax) this.#matches.clear()
    this.#matches.set(subject, found)
    return found
  }
}

function collect(node: Node, tokens: readonly string[], depth: number, found: Handler[]): void {
  if (depth === tokens.length) {
    found.push(...node.handlers)
    return
  }
  found.push(...node.rest)
  const exact = node.children.get(tokens[depth] as string)
  if (exact) collect(exact, tokens, depth + 1, found)
  const any = node.children.get('*')
  if (any) collect(any, tokens, depth + 1, found)
}

/** Forget the branches that nobody listens on: rooms come and go by the hundred thousand. */
function prune(node: Node, tokens: readonly string[], depth: number): boolean {
  const token = tokens[depth]
  const child = token === undefined ? undefined : node.children.get(token)
  if (token !== undefined && child && prune(child, tokens, depth + 1)) node.children.delete(token)
  return node.handlers.length === 0 && node.rest.length === 0 && node.children.size === 0
}

const badToken = /[\s*>]/
function checkSubject(subject: string): void {
  if (subject.split('.').some((token) => token === '' || badToken.test(token))) throw new Error(`bad subject: ${subject}`)
}

function checkPattern(pattern: string): void {
  const tokens = pattern.split('.')
  const bad = (token: string, at: number) =>
    token === '' || (token === '>' ? at !== tokens.length - 1 : token !== '*' && badToken.test(token))
  if (tokens.some(bad)) throw new Error(`bad pattern: ${pattern}`)
}
