/**
 * The engine's end of plugins that run in processes of their own, over NATS.
 *
 * Flow: a beacon says each second, and to each who seeks at once, that this engine is there. A plugin process answers with `hello`, the
 * engine proves that it holds the plugin's key, the plugin proves the same with `attach` and hands over its manifest, `onAttach`
 * decides, and the sealed answer names the instance and its two subjects. From there on there is a `Channel`.
 *
 *     const remote = listenForPlugins({ link, clock, log, engineId, secret, onAttach: ({ name, channel }) => ({ ok: true }) })
 *     remote.close('engine stops')
 *
 * | on the bus | from a stranger | what becomes of it |
 * |---|---|---|
 * | hello or attach without the key | forged | dropped and counted; no state is kept for it |
 * | a hello, attach or message of somebody else, again | replayed | dropped and counted |
 * | a flood | more than 2,000 handshake messages a second, or 100 genuine hellos | dropped and counted (`ignored`) |
 *
 * A flood can still keep others from attaching, though it never touches who is attached: give strangers no right to publish here.
 */
import type { KeyObject } from 'node:crypto'
import { subjects } from '../../../schemas/subjects.ts'
import { TokenBucket } from '../../base/bucket.ts'
import type { Clock, Timer } from '../../base/clock.ts'
import type { Log } from '../../base/log.ts'
import type { NatsLink } from '../../base/nats.ts'
import { protocolVersions } from '../places/protocol.ts'
import {
  isNonce,
  isPluginName,
  isProof,
  newNonce,
  newSubjectToken,
  pluginKey,
  proofOf,
  Sealer,
  sessionKey,
  sha256,
} from './sealed.ts'
import { type AttachCounts, beatEveryMs, newCounts, SealedChannel } from './sealed-channel.ts'

export interface RemoteInstance {
  /** Proven: the name of the key, and of the manifest. */
  name: string
  manifestText: string
  protocol: number
  /** What the plugin's side calls its version of this package. */
  sdk: string
  instance: string
  /** `send` may be used at once: texts wait until the plugin listens. */
  channel: SealedChannel
}
export type AttachVerdict = { ok: true } | { ok: false; code: string; msg: string }

export interface RemoteOptions {
  link: NatsLink
  clock: Clock
  log: Log
  /** One token of a subject: `[A-Za-z0-9_-]{1,64}`. */
  engineId: string
  /** The engine's secret, from which the keys of all plugins follow. */
  secret: string
  /** What this engine serves. */
  protocols?: readonly number[]
  attachmentsMax?: number
  /** May this instance come in? Its channel ends by itself when the answer is no. */
  onAttach(instance: RemoteInstance): AttachVerdict | Promise<AttachVerdict>
}

export interface RemotePlugins {
  readonly counts: AttachCounts
  /** Instances that are attached. */
  readonly size: number
  /** Says goodbye to all of them. */
  close(reason: string): void
}

export const listenForPlugins = (options: RemoteOptions): RemotePlugins => new RemoteHost(options)

const helloBytesMax = 1_024
const attachBytesMax = 524_288
const pendingMax = 256
const pendingMsMax = 5_000
/** Nonces of hellos that are remembered, so that the same one is not answered again. */
const noncesMax = 4_096
const keysMax = 256
const allRate = { perS: 2_000, burst: 2_000 }
const helloRate = { perS: 100, burst: 100 }
const seekRate = { perS: 20, burst: 20 }
const beatsPerBeacon = 4

interface Pending {
  readonly name: string
  readonly key: KeyObject
  readonly pluginNonce: string
  readonly engineNonce: string
  readonly at: number
}
interface Attach {
  manifest: string
  sdk: string
  protocol: number
  pending: Pending
}

class RemoteHost implements RemotePlugins {
  readonly counts = newCounts()
  readonly #options: RemoteOptions
  readonly #protocols: readonly number[]
  readonly #boot = newNonce()
  readonly #channels = new Map<string, SealedChannel>()
  readonly #pending = new Map<string, Pending>()
  readonly #nonces = new Set<string>()
  readonly #keys = new Map<string, KeyObject>()
  readonly #all = new TokenBucket()
  readonly #hellos = new TokenBucket()
  readonly #seeks = new TokenBucket()
  readonly #stops: (() => void)[]
  #beats = 0
  #beat: Timer | undefined

  constructor(options: RemoteOptions) {
    const { link, engineId } = options
    this.#options = options
    this.#protocols = options.protocols ?? protocolVersions
    this.#stops = [
      link.subscribe(subjects.pluginSeek, () => this.#onSeek()),
      link.subscribe(subjects.pluginHello(engineId), (bytes, _, reply) => this.#onHello(bytes, reply)),
      link.subscribe(subjects.pluginAttach(engineId), (bytes, _, reply) => void this.#onAttach(bytes, reply)),
      link.watch((isUp) => isUp && this.#sendBeacon()),
    ]
    this.#sendBeacon()
    this.#armBeat()
  }

  get size(): number {
    return this.#channels.size
  }

  close(reason: string): void {
    this.#beat?.cancel()
    for (const stop of this.#stops) stop()
    for (const channel of [...this.#channels.values()]) channel.close(reason)
    this.#pending.clear()
  }

  #armBeat(): void {
    this.#beat = this.#options.clock.after(beatEveryMs, () => {
      this.#armBeat()
      if (++this.#beats % beatsPerBeacon === 0) this.#sendBeacon()
      for (const channel of [...this.#channels.values()]) {
        if (channel.isGone) channel.drop('gone')
        else channel.beat()
      }
      this.#forgetPending()
    })
  }

  #sendBeacon(): void {
    const { link, engineId } = this.#options
    link.publish(subjects.pluginBeacon, toBytes({ engine: engineId, boot: this.#boot, protocol: this.#protocols }))
  }

  #onSeek(): void {
    if (this.#seeks.take(this.#options.clock.now(), seekRate) === 0) this.#sendBeacon()
  }

  /** Fields of a message, unless it is too many, too large, unreadable, or wants its answer elsewhere than in an inbox. */
  #read(bytes: Uint8Array, reply: string | undefined, bytesMax: number): Record<string, unknown> | undefined {
    // An answer to any subject that a stranger names would be a message from the engine where strangers may not write.
    const isFit = reply?.startsWith('_INBOX.') && bytes.length <= bytesMax
    if (isFit && this.#all.take(this.#options.clock.now(), allRate) === 0) return fieldsOf(bytes)
    this.counts.ignored++
    return undefined
  }

  #onHello(bytes: Uint8Array, reply = ''): void {
    const { link, clock, engineId } = this.#options
    const hello = this.#read(bytes, reply, helloBytesMax)
    if (!hello) return
    const { plugin: name, nonce: pluginNonce, proof } = hello
    if (!isPluginName(name) || !isNonce(pluginNonce)) return void this.counts.forged++
    const key = this.#keyOf(name)
    if (!isProof(proof, key, 'hello', [engineId, pluginNonce])) return void this.counts.forged++
    if (this.#nonces.has(pluginNonce)) return void this.counts.replayed++
    if (this.#hellos.take(clock.now(), helloRate) > 0) return void this.counts.ignored++
    const { engineNonce } = this.#remember({ name, key, pluginNonce, engineNonce: newNonce(), at: clock.now() })
    const words = [pluginNonce, engineNonce, engineId, this.#boot]
    const answer = { engine: engineId, boot: this.#boot, nonce: engineNonce, protocol: this.#protocols }
    link.publish(reply, toBytes({ ...answer, proof: proofOf(key, 'engine', words) }))
  }

  /** Within the bounds the oldest goes first: at 100 genuine hellos a second that is one of 2.5 s ago. */
  #remember(pending: Pending): Pending {
    dropOldest(this.#nonces, noncesMax)
    this.#nonces.add(pending.pluginNonce)
    dropOldest(this.#pending, pendingMax)
    this.#pending.set(pending.engineNonce, pending)
    return pending
  }

  #forgetPending(): void {
    const tooOld = this.#options.clock.now() - pendingMsMax
    for (const { at, engineNonce } of this.#pending.values()) if (at <= tooOld) this.#pending.delete(engineNonce)
  }

  #keyOf(name: string): KeyObject {
    const known = this.#keys.get(name)
    if (known) return known
    const key = pluginKey(this.#options.secret, name)
    dropOldest(this.#keys, keysMax)
    this.#keys.set(name, key)
    return key
  }

  async #onAttach(bytes: Uint8Array, reply = ''): Promise<void> {
    const fields = this.#read(bytes, reply, attachBytesMax)
    const attach = fields && this.#check(fields)
    if (!attach) return
    const { pending } = attach
    this.#pending.delete(pending.engineNonce)
    const words = [pending.pluginNonce, pending.engineNonce, this.#options.engineId, this.#boot]
    const sealer = new Sealer(sessionKey(pending.key, words), 'engine')
    const fault = this.#faultOf(attach)
    if (fault) this.#refuse(reply, sealer, pending.name, fault)
    else await this.#attach(attach, sealer, reply)
  }

  /** A forged attach leaves what is pending as it was: whoever reads the bus knows its nonce. */
  #check({ nonce, manifest, sdk, protocol, proof }: Record<string, unknown>): Attach | undefined {
    const pending = isNonce(nonce) ? this.#pending.get(nonce) : undefined
    const isWhole = typeof manifest === 'string' && typeof sdk === 'string' && sdk.length <= 64 && Number.isSafeInteger(protocol)
    if (!pending || !isWhole) {
      this.counts.forged++
      return undefined
    }
    const attach: Attach = { manifest, sdk, protocol: protocol as number, pending }
    if (isProof(proof, pending.key, 'plugin', attachWords(attach, pending))) return attach
    this.counts.forged++
    return undefined
  }

  #faultOf({ manifest, protocol, pending }: Attach): { code: string; msg: string } | undefined {
    const max = this.#options.attachmentsMax ?? 256
    if (!this.#protocols.includes(protocol))
      return { code: 'plugin.version', msg: `protocol ${protocol} is not served here: ${this.#protocols.join(', ')}` }
    if (nameOf(manifest) !== pending.name)
      return { code: 'plugin.name', msg: `the manifest is not that of ${pending.name}, whose token this is` }
    if (this.#channels.size >= max) return { code: 'plugin.full', msg: `${max} instances are attached already` }
    return undefined
  }

  #refuse(reply: string, sealer: Sealer, name: string, { code, msg }: { code: string; msg: string }): void {
    this.counts.refused++
    this.#options.log.warn({ plugin: name, code, reason: msg }, 'plugin refused')
    this.#options.link.publish(reply, sealer.seal(JSON.stringify({ ok: false, code, msg })))
  }

  async #attach({ manifest, sdk, protocol, pending }: Attach, sealer: Sealer, reply: string): Promise<void> {
    const { link, clock, log, engineId } = this.#options
    const { name } = pending
    const random = newSubjectToken()
    const instance = `${name}.${random.slice(0, 8)}`
    const up = subjects.pluginUp(engineId, name, random)
    const down = subjects.pluginDown(engineId, name, newSubjectToken())
    const onEnd = () => void this.#channels.delete(instance)
    const ends = { link, clock, sealer, counts: this.counts, hear: up, say: down, waitsForPeer: true, onEnd }
    const channel = new SealedChannel({ ...ends, log: log.child({ plugin: name, instance }) })
    this.#channels.set(instance, channel)
    const verdict = await this.#ask({ name, manifestText: manifest, protocol, sdk, instance, channel })
    if (verdict.ok && channel.isEnded) return // closed meanwhile: the plugin looks for us again
    if (verdict.ok) {
      this.counts.attached++
      link.publish(reply, sealer.seal(JSON.stringify({ ok: true, instance, up, down, protocol })))
    } else {
      this.#refuse(reply, sealer, name, verdict)
      channel.close('refused')
    }
  }

  async #ask(instance: RemoteInstance): Promise<AttachVerdict> {
    try {
      return await this.#options.onAttach(instance)
    } catch (error) {
      this.#options.log.error({ plugin: instance.name, error: String(error) }, 'attaching a plugin failed')
      return { ok: false, code: 'plugin.failed', msg: 'attaching failed in the engine; its log says why' }
    }
  }
}

/** What the plugin's proof in `attach` is about. */
export const attachWords = (
  { manifest, sdk, protocol }: { manifest: string; sdk: string; protocol: number },
  { pluginNonce, engineNonce }: { pluginNonce: string; engineNonce: string },
): (string | number)[] => [pluginNonce, engineNonce, sha256(manifest), sdk, protocol]

export const toBytes = (value: object): Uint8Array => Buffer.from(JSON.stringify(value))

/** The fields of a JSON object, or none. */
export function fieldsOf(bytes: Uint8Array): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString())
    return typeof value === 'object' && value !== null ? { ...value } : {}
  } catch {
    return {} // no field passes a check
  }
}

const nameOf = (manifest: string) => fieldsOf(Buffer.from(manifest)).name

function dropOldest(from: Map<string, unknown> | Set<string>, max: number): void {
  if (from.size < max) return
  const oldest = from.keys().next().value
  if (oldest !== undefined) from.delete(oldest)
}
