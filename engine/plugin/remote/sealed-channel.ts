/**
 * A `Channel` over two NATS subjects: sealed texts, heartbeats, a goodbye. Both ends of a remote attachment use it (`remote.ts`,
 * `remote-client.ts`).
 *
 * - Each end sends something at least every 250 ms (`beat`), so that a silent peer is noticed (`silentMs`).
 * - A cut line makes `send` answer false at once. The attachment lives through it: subjects and counters go on when the line is back,
 *   and what was on the way is counted as lost.
 * - `close` says goodbye to the other end. `onClose` tells of an end that came from the other side, never of one's own `close`.
 */
import type { Clock } from '../../base/clock.ts'
import type { Log } from '../../base/log.ts'
import type { NatsLink } from '../../base/nats.ts'
import type { Channel, ChannelEvents } from '../places/channel.ts'
import { type Opened, Sealer } from './sealed.ts'

/** What went through all attachments of one end, and what did not. */
export interface AttachCounts {
  attached: number
  /** Handshakes that ended with a no. */
  refused: number
  /** Messages and handshakes without the right proof. */
  forged: number
  /** Genuine messages that came again, late or back. */
  replayed: number
  /** Gaps: messages of the other end that never came. */
  lost: number
  /** Messages that no server would take, not sent. */
  oversized: number
  /** Handshakes over the rate or the bounds, not answered. */
  ignored: number
}
export const newCounts = (): AttachCounts => ({
  attached: 0,
  refused: 0,
  forged: 0,
  replayed: 0,
  lost: 0,
  oversized: 0,
  ignored: 0,
})

export interface SealedChannelOptions {
  link: NatsLink
  clock: Clock
  log: Log
  sealer: Sealer
  /** The subject to listen to, and the one to write to. */
  hear: string
  say: string
  counts: AttachCounts
  /** Texts wait until the other end has shown that it listens. */
  waitsForPeer: boolean
  /** After the end, whoever made it. */
  onEnd(): void
}

/** Kinds of sealed messages. */
const kindText = 0
const kindBeat = 1
const kindBye = 2

export const beatEveryMs = 250
export const silentMsMax = 10_000
/** Texts that wait for `open` on one side, or for the other end on the other. */
const waitingMax = 256
const waitingCharactersMax = 4_194_304

export class SealedChannel implements Channel {
  readonly #options: SealedChannelOptions
  readonly #stops: (() => void)[]
  #events: ChannelEvents | undefined
  /** Came before `open`. */
  #came = new TextQueue()
  /** To be sent once the other end listens; undefined from then on. */
  #early: TextQueue | undefined
  #closeReason: string | undefined
  #ended = false
  #heardAt: number
  #saidSinceBeat = false
  #complained = false

  constructor(options: SealedChannelOptions) {
    this.#options = options
    this.#heardAt = options.clock.now()
    this.#early = options.waitsForPeer ? new TextQueue() : undefined
    this.#stops = [
      options.link.subscribe(options.hear, (bytes) => this.#hear(bytes)),
      options.link.watch((isUp) => this.#onState(isUp)),
    ]
  }

  /** Since the other end was last heard of. */
  silentMs(): number {
    return this.#options.clock.now() - this.#heardAt
  }

  get isEnded(): boolean {
    return this.#ended
  }

  /** Silent for too long over a line that is there. */
  get isGone(): boolean {
    return this.#options.link.isUp && this.silentMs() >= silentMsMax
  }

  open(events: ChannelEvents): void {
    this.#events = events
    for (const text of this.#came.take()) events.onText(text)
    if (this.#closeReason !== undefined) events.onClose(this.#closeReason)
    else if (!this.#ended && !this.#options.link.isUp) events.onCut(true)
  }

  send(text: string): boolean {
    if (this.#ended || !this.#options.link.isUp) return false
    const { maxPayload } = this.#options.link
    // Three bytes a character at most: most texts need no counting.
    if (text.length * 3 + 64 > maxPayload && Sealer.size(text) > maxPayload) return this.#refuseLarge(text)
    return this.#early ? this.#early.add(text) : this.#say(text, kindText)
  }

  /** Tells the other end and ends here; `onClose` is not called. */
  close(reason: string): void {
    if (this.#ended) return
    this.#say(reason.slice(0, 256), kindBye)
    this.#end()
  }

  /** The other end is gone, as somebody else has found out. */
  drop(reason: string): void {
    if (this.#ended) return
    this.#say(reason, kindBye)
    this.#end()
    this.#tellClosed(reason)
  }

  /** Every 250 ms, from whoever holds the channel: something is said, if nothing was. */
  beat(): void {
    // Nobody listens yet: it would only count as lost.
    if (this.#early) return
    if (!this.#saidSinceBeat) this.#say('', kindBeat)
    this.#saidSinceBeat = false
  }

  #say(text: string, kind: number): boolean {
    const { link, sealer, say } = this.#options
    if (!link.isUp) return false
    this.#saidSinceBeat = link.publish(say, sealer.seal(text, kind))
    return this.#saidSinceBeat
  }

  #hear(bytes: Uint8Array): void {
    const { sealer, counts, clock } = this.#options
    const opened = sealer.open(bytes)
    if (typeof opened === 'string') {
      counts[opened]++
      return
    }
    counts.lost += opened.lost
    this.#heardAt = clock.now()
    this.#sendEarly()
    this.#take(opened)
  }

  #take({ kind, text }: Opened): void {
    if (kind === kindText && this.#events) this.#events.onText(text)
    else if (kind === kindText) this.#options.counts.lost += this.#came.add(text) ? 0 : 1
    else if (kind === kindBye) {
      this.#end()
      this.#tellClosed(text)
    }
  }

  #sendEarly(): void {
    const early = this.#early
    if (!early) return
    this.#early = undefined
    for (const text of early.take()) this.#say(text, kindText)
  }

  #onState(isUp: boolean): void {
    // A peer cannot be heard over a line that is cut; its time begins anew.
    if (isUp) this.#heardAt = this.#options.clock.now()
    if (isUp) this.beat()
    this.#events?.onCut(!isUp)
  }

  #tellClosed(reason: string): void {
    this.#closeReason = reason
    this.#events?.onClose(reason)
  }

  #end(): void {
    if (this.#ended) return
    this.#ended = true
    for (const stop of this.#stops) stop()
    this.#options.onEnd()
  }

  #refuseLarge(text: string): false {
    this.#options.counts.oversized++
    if (!this.#complained) this.#options.log.warn({ characters: text.length }, 'a message is larger than the NATS server takes')
    this.#complained = true
    return false
  }
}

class TextQueue {
  #texts: string[] = []
  #characters = 0

  add(text: string): boolean {
    if (this.#texts.length >= waitingMax || this.#characters + text.length > waitingCharactersMax) return false
    this.#characters += text.length
    this.#texts.push(text)
    return true
  }

  take(): string[] {
    return this.#texts.splice(0)
  }
}
