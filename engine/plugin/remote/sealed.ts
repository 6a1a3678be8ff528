/**
 * Keys of plugins, and messages that only the two ends of an attachment can write.
 *
 * The key of a plugin follows from the engine's secret and the plugin's name, so the engine keeps no list. `livehouse plugin token`
 * prints it as a token; each attachment derives a fresh session key from it and from the nonces of both sides.
 *
 *     const token = pluginToken(secret, 'words')              // lhp.words.3q2-7w...
 *     const { name, key } = readPluginToken(token)
 *     const ours = new Sealer(sessionKey(key, nonces), 'engine')
 *     const bytes = ours.seal('hello')
 *     theirs.open(bytes)                                      // { kind: 0, text: 'hello', lost: 0 }, and once only
 *
 * A sealed message is `MAC(16) | direction(1) kind(1) counter(6) | text`. The MAC is HMAC-SHA256 over all behind it, cut to 128 bits.
 * Who sees all messages can neither write one, nor repeat or reorder any (the counter must grow), nor send one back to its sender
 * (the direction). Messages are not secret: a bus that strangers can read wants TLS and permissions.
 *
 * One HMAC costs 4-6 us for messages up to 1 KB, whether the key is a KeyObject or bytes; GMAC and Poly1305 of Node are slower.
 */
import { createHash, createHmac, createSecretKey, type KeyObject, randomBytes, timingSafeEqual } from 'node:crypto'

const macBytes = 16
const headBytes = 24
const counterAt = macBytes + 2
const counterBytes = 6
const keyBytes = 32
const nonceBytes = 24

export type PluginKey = { name: string; key: KeyObject }
export type Side = 'engine' | 'plugin'

const hmac = (key: KeyObject | string, text: string) => createHmac('sha256', key).update(text).digest()

/** `secret`: what the engine keeps to itself; whoever has it can be any plugin. */
export const pluginKey = (secret: string, name: string): KeyObject =>
  createSecretKey(hmac(secret, `livehouse plugin key ${checkName(name)}`))

/** What a plugin's process is given: its name and its key. Throws on a name that is none. */
export const pluginToken = (secret: string, name: string): string =>
  `lhp.${name}.${pluginKey(secret, name).export().toString('base64url')}`

/** `undefined`: not a token. */
export function readPluginToken(text: string): PluginKey | undefined {
  const [, name, encoded] = /^lhp\.([a-z][a-z0-9-]{1,31})\.([A-Za-z0-9_-]{43})$/.exec(text.trim()) ?? []
  const bytes = Buffer.from(encoded ?? '', 'base64url')
  return name !== undefined && bytes.length === keyBytes ? { name, key: createSecretKey(bytes) } : undefined
}

const namePattern = /^[a-z][a-z0-9-]{1,31}$/
export const isPluginName = (name: unknown): name is string => typeof name === 'string' && namePattern.test(name)

function checkName(name: string): string {
  if (!isPluginName(name))
    throw new Error(`not a plugin's name: ${JSON.stringify(name).slice(0, 80)} (want [a-z][a-z0-9-]{1,31})`)
  return name
}

/** 192 random bits for a handshake. */
export const newNonce = (): string => randomBytes(nonceBytes).toString('base64url')
const noncePattern = /^[A-Za-z0-9_-]{32}$/
export const isNonce = (value: unknown): value is string => typeof value === 'string' && noncePattern.test(value)

/** A token of a subject that nobody guesses: 128 random bits. */
export const newSubjectToken = (): string => randomBytes(16).toString('base64url')

export const sha256 = (text: string): string => createHash('sha256').update(text).digest('base64url')

/** Shows that one holds `key`, for one purpose and exactly these words. */
export const proofOf = (key: KeyObject, purpose: string, words: readonly (string | number)[]): string =>
  hmac(key, JSON.stringify([`livehouse ${purpose}`, ...words])).toString('base64url')

export function isProof(given: unknown, key: KeyObject, purpose: string, words: readonly (string | number)[]): boolean {
  if (typeof given !== 'string') return false
  const wanted = Buffer.from(proofOf(key, purpose, words))
  const bytes = Buffer.from(given)
  return bytes.length === wanted.length && timingSafeEqual(bytes, wanted)
}

/** Fresh for each attachment, since each side gives a nonce of its own. */
export const sessionKey = (key: KeyObject, words: readonly string[]): KeyObject =>
  createSecretKey(hmac(key, JSON.stringify(['livehouse session', ...words])))

export type Opened = {
  kind: number
  text: string
  /** Messages that the other side sent between the one before and this one, and that never came. */
  lost: number
}
/** `forged`: not from the other side, or changed on the way. `replayed`: from the other side, but not after the one before. */
export type OpenFault = 'forged' | 'replayed'

/** One end of an attachment: writes what the other end alone can read as new and genuine. */
export class Sealer {
  readonly #key: KeyObject
  readonly #own: number
  readonly #other: number
  #sent = 0
  #seen = 0

  constructor(key: KeyObject, side: Side) {
    this.#key = key
    this.#own = side === 'engine' ? 1 : 2
    this.#other = side === 'engine' ? 2 : 1
  }

  /** Bytes that `seal` would make of a text. */
  static size(text: string): number {
    return headBytes + Buffer.byteLength(text)
  }

  /** `kind` is one byte for the caller; a message that is sealed and then not sent counts as lost at the other end. */
  seal(text: string, kind = 0): Uint8Array {
    const bytes = Buffer.allocUnsafe(Sealer.size(text))
    bytes[macBytes] = this.#own
    bytes[macBytes + 1] = kind
    bytes.writeUIntBE(++this.#sent, counterAt, counterBytes)
    bytes.write(text, headBytes, 'utf8')
    this.#mac(bytes).copy(bytes, 0, 0, macBytes)
    return bytes
  }

  open(given: Uint8Array): Opened | OpenFault {
    if (given.length < headBytes) return 'forged'
    const bytes = Buffer.from(given.buffer, given.byteOffset, given.byteLength)
    if (!timingSafeEqual(this.#mac(bytes).subarray(0, macBytes), bytes.subarray(0, macBytes))) return 'forged'
    if (bytes[macBytes] !== this.#other) return 'replayed'
    const counter = bytes.readUIntBE(counterAt, counterBytes)
    if (counter <= this.#seen) return 'replayed'
    const lost = counter - this.#seen - 1
    this.#seen = counter
    return { kind: bytes[macBytes + 1] as number, text: bytes.toString('utf8', headBytes), lost }
  }

  #mac(bytes: Buffer): Buffer {
    return createHmac('sha256', this.#key).update(bytes.subarray(macBytes)).digest()
  }
}
