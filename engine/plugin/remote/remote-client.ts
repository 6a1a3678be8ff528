/**
 * The plugin's end of an attachment over NATS: finds engines, proves itself, and keeps one `Channel` to each of them.
 *
 * Flow: a beacon (asked for with `seek`) names an engine; `hello` makes that engine prove that it holds our key, so that nobody else can
 * pose as one; `attach` hands it the manifest with our own proof; the sealed answer is a refusal or the two subjects of a channel.
 * An engine that has been silent for 10 s is given up and looked for again. One that has restarted is attached anew.
 *
 *     const client = attachToEngines({
 *       link, clock, log, token, manifestText, sdk: '0.1.0',
 *       onAttached: ({ engine, instance, channel }) => serve(channel),
 *       onRefused: ({ code, msg }) => ...,               // tried again after 5 s: the operator may have approved it by then
 *     })
 *     client.close('stopped')
 */
import { subjects } from '../../../schemas/subjects.ts'
import type { Clock, Timer } from '../../base/clock.ts'
import type { Log } from '../../base/log.ts'
import type { NatsLink } from '../../base/nats.ts'
import { protocolVersions } from '../places/protocol.ts'
import { attachWords, fieldsOf, toBytes } from './remote.ts'
import { isNonce, isProof, newNonce, type PluginKey, proofOf, readPluginToken, Sealer, sessionKey } from './sealed.ts'
import { type AttachCounts, beatEveryMs, newCounts, SealedChannel } from './sealed-channel.ts'

export interface Attachment {
  /** Id of the engine. */
  engine: string
  instance: string
  protocol: number
  channel: SealedChannel
}
export interface RemoteClientOptions {
  link: NatsLink
  clock: Clock
  log: Log
  /** From `livehouse plugin token`. */
  token: string
  manifestText: string
  sdk: string
  protocols?: readonly number[]
  onAttached(attachment: Attachment): void
  onRefused?(refusal: { engine: string; code: string; msg: string }): void
}
export interface RemoteClient {
  readonly counts: AttachCounts
  /** Engines that we are attached to. */
  readonly size: number
  /** Says goodbye to all engines and looks for no more. */
  close(reason: string): void
}

/** Throws on a token that is none. */
export const attachToEngines = (options: RemoteClientOptions): RemoteClient => new Client(options)

const beaconBytesMax = 1_024
/** Engines that we keep in mind; of those that have proven nothing the oldest goes first. */
const enginesMax = 32
const helloMsMax = 2_000
const attachMsMax = 5_000
const againAfterMs = 1_000
const againAfterRefusalMs = 5_000

interface Engine {
  readonly id: string
  /** Of the attachment. */
  boot: string | undefined
  channel: SealedChannel | undefined
  /** Nothing is begun before this instant. */
  notBefore: number
  hasProven: boolean
}
/** What an engine has proven in its answer to `hello`. */
interface Greeting {
  boot: string
  pluginNonce: string
  engineNonce: string
  protocols: readonly unknown[]
}

class Client implements RemoteClient {
  readonly counts = newCounts()
  readonly #options: RemoteClientOptions
  readonly #protocols: readonly number[]
  readonly #plugin: PluginKey
  readonly #engines = new Map<string, Engine>()
  readonly #stops: (() => void)[]
  #beat: Timer | undefined
  #isClosed = false

  constructor(options: RemoteClientOptions) {
    const plugin = readPluginToken(options.token)
    if (!plugin) throw new Error('not a plugin token: it looks like lhp.<name>.<43 characters>')
    const { link } = options
    this.#options = options
    this.#plugin = plugin
    this.#protocols = options.protocols ?? protocolVersions
    this.#stops = [
      link.subscribe(subjects.pluginBeacon, (bytes) => this.#onBeacon(bytes)),
      link.watch((isUp) => this.#onState(isUp)),
    ]
    this.#seek()
    this.#armBeat()
  }

  get size(): number {
    return [...this.#engines.values()].filter(({ channel }) => channel).length
  }

  close(reason: string): void {
    this.#isClosed = true
    this.#beat?.cancel()
    for (const stop of this.#stops) stop()
    for (const { channel } of [...this.#engines.values()]) channel?.close(reason)
  }

  #armBeat(): void {
    this.#beat = this.#options.clock.after(beatEveryMs, () => {
      this.#armBeat()
      for (const { channel } of [...this.#engines.values()]) {
        if (channel?.isGone) channel.drop('gone')
        else channel?.beat()
      }
    })
  }

  #seek(): void {
    this.#options.link.publish(subjects.pluginSeek, toBytes({ plugin: this.#plugin.name }))
  }

  #onState(isUp: boolean): void {
    if (!isUp) return
    // What was under way when the line was cut has had its end.
    for (const engine of this.#engines.values()) engine.notBefore = 0
    this.#seek()
  }

  #onBeacon(bytes: Uint8Array): void {
    if (bytes.length > beaconBytesMax) return
    const { engine: id, boot } = fieldsOf(bytes)
    if (typeof id !== 'string' || !/^[\w-]{1,64}$/.test(id)) return
    const engine = this.#engines.get(id) ?? this.#meet(id)
    if (!engine) return
    const isNew = engine.channel === undefined || engine.boot !== boot
    if (isNew && this.#options.clock.now() >= engine.notBefore) this.#sayHello(engine)
  }

  /** Undefined: attached to as many engines as we keep in mind. */
  #meet(id: string): Engine | undefined {
    const engine: Engine = { id, boot: undefined, channel: undefined, notBefore: 0, hasProven: false }
    return this.#keep(engine) ? engine : undefined
  }

  #keep(engine: Engine): boolean {
    if (this.#engines.size >= enginesMax) {
      const idle = [...this.#engines.values()].filter(({ channel }) => !channel)
      const least = idle.find(({ hasProven }) => !hasProven) ?? idle[0]
      if (!least) return false
      this.#engines.delete(least.id)
    }
    this.#engines.set(engine.id, engine)
    return true
  }

  #sayHello(engine: Engine): void {
    const { link, clock } = this.#options
    const { name, key } = this.#plugin
    const nonce = newNonce()
    engine.notBefore = clock.now() + helloMsMax
    const hello = { plugin: name, nonce, protocol: this.#protocols, proof: proofOf(key, 'hello', [engine.id, nonce]) }
    let isGreeted = false
    link.request(subjects.pluginHello(engine.id), toBytes(hello), helloMsMax, (answer) => {
      if (isGreeted || this.#isClosed) return undefined
      const greeting = answer && this.#readGreeting(engine.id, nonce, answer)
      // Somebody else may answer first, or claim that nobody is there: the engine's own answer is still to come.
      if (!greeting) return 'wait'
      isGreeted = true
      this.#onGreeting(engine, greeting)
      return undefined
    })
  }

  #readGreeting(engineId: string, pluginNonce: string, bytes: Uint8Array): Greeting | undefined {
    const { boot, nonce, protocol, proof } = fieldsOf(bytes)
    const isWhole = typeof boot === 'string' && isNonce(nonce)
    if (isWhole && isProof(proof, this.#plugin.key, 'engine', [pluginNonce, nonce, engineId, boot]))
      return { boot, pluginNonce, engineNonce: nonce, protocols: Array.isArray(protocol) ? protocol : [] }
    this.counts.forged++
    return undefined
  }

  #onGreeting(engine: Engine, greeting: Greeting): void {
    engine.hasProven = true
    const known = this.#engines.get(engine.id)
    // False beacons may have pushed it out while it was asked.
    if (known !== engine && (known?.channel || !this.#keep(engine))) return
    engine.notBefore = this.#options.clock.now() + againAfterMs
    // A false beacon made us ask an engine that we are attached to.
    if (engine.channel && engine.boot === greeting.boot) return
    this.#attach(engine, greeting)
  }

  #attach(engine: Engine, greeting: Greeting): void {
    const { link, clock, log, manifestText: manifest, sdk } = this.#options
    const { key } = this.#plugin
    const served = this.#protocols.filter((one) => greeting.protocols.includes(one))
    // Nothing in common: the refusal says what is served.
    const protocol = Math.max(...(served.length > 0 ? served : this.#protocols))
    const proof = proofOf(key, 'plugin', attachWords({ manifest, sdk, protocol }, greeting))
    const bytes = toBytes({ nonce: greeting.engineNonce, manifest, sdk, protocol, proof })
    if (bytes.length > link.maxPayload) {
      this.counts.oversized++
      log.error({ bytes: bytes.length, max: link.maxPayload }, 'the manifest is larger than the NATS server takes')
      return
    }
    const { pluginNonce, engineNonce, boot } = greeting
    const sealer = new Sealer(sessionKey(key, [pluginNonce, engineNonce, engine.id, boot]), 'plugin')
    engine.notBefore = clock.now() + attachMsMax
    link.request(subjects.pluginAttach(engine.id), bytes, attachMsMax, (answer) => {
      const opened = answer && sealer.open(answer)
      if (typeof opened === 'string') this.counts.forged++
      if (this.#isClosed || typeof opened !== 'object') return 'wait'
      if (this.#engines.get(engine.id) !== engine) return undefined // forgotten meanwhile; its next beacon begins anew
      this.#onVerdict(engine, greeting, sealer, fieldsOf(Buffer.from(opened.text)))
      return undefined
    })
  }

  /** Sealed, so what is in it was written by the engine. */
  #onVerdict(engine: Engine, { boot }: Greeting, sealer: Sealer, verdict: Record<string, unknown>): void {
    const { clock, log } = this.#options
    if (verdict.ok !== true) {
      const { code, msg } = verdict as { code: string; msg: string }
      this.counts.refused++
      engine.notBefore = clock.now() + againAfterRefusalMs
      log.warn({ engine: engine.id, code, reason: msg }, 'the engine refuses this plugin')
      this.#options.onRefused?.({ engine: engine.id, code, msg })
      return
    }
    const { instance, up, down, protocol } = verdict as { instance: string; up: string; down: string; protocol: number }
    engine.channel?.drop('the engine has restarted')
    const channel = this.#openChannel(engine, { sealer, up, down })
    engine.boot = boot
    engine.channel = channel
    engine.notBefore = 0
    this.counts.attached++
    log.info({ engine: engine.id, instance }, 'attached')
    channel.beat()
    this.#options.onAttached({ engine: engine.id, instance, protocol, channel })
  }

  #openChannel(engine: Engine, { sealer, up, down }: { sealer: Sealer; up: string; down: string }): SealedChannel {
    const { link, clock, log } = this.#options
    const channel: SealedChannel = new SealedChannel({
      link,
      clock,
      log: log.child({ engine: engine.id }),
      sealer,
      hear: down,
      say: up,
      counts: this.counts,
      waitsForPeer: false,
      onEnd: () => this.#onEnd(engine, channel),
    })
    return channel
  }

  #onEnd(engine: Engine, channel: SealedChannel): void {
    if (engine.channel !== channel) return
    engine.channel = undefined
    engine.boot = undefined
    engine.notBefore = this.#options.clock.now() + againAfterMs
    if (!this.#isClosed) this.#seek()
  }
}
