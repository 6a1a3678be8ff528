/**
 * A provider that signs its callbacks with a shared secret: JSON, and a header with the time and an HMAC-SHA256 over time and body.
 *
 *     livehouse-signature: t=1760000000000,v1=<hex of HMAC-SHA256(secret, "1760000000000." + body)>
 *     {"reference":"...","amountMinor":600,"feeMinor":6,"cur":"CNY","state":"paid","providerTxId":"7"}
 *
 * `state` is `paid`, `failed` or `charged_back`; `feeMinor` may be left out.
 *
 * The fake provider is one, and so is anything between this engine and a real provider that can make such a request.
 */
import { createHmac, timingSafeEqual } from 'node:crypto'
import { type PayNotice, type PayProvider, type PayRefusal, signatureAgeMsMax } from './provider.ts'

export const signatureHeader = 'livehouse-signature'
const headerPattern = /^t=(\d{1,15}),v1=([0-9a-f]{64})$/
const referenceCharactersMax = 512
const providerTxIdPattern = /^[\x21-\x7e]{1,64}$/
const curPattern = /^[A-Z]{3}$/
const feeMinorMax = 100_000_000
const states: readonly unknown[] = ['paid', 'failed', 'charged_back'] satisfies PayNotice['state'][]

export interface SignedProviderOptions {
  name: string
  secret: Uint8Array
  /** Where the user pays. */
  checkout: PayProvider['checkout']
}

export function signedProvider({ name, secret, checkout }: SignedProviderOptions): PayProvider {
  return {
    name,
    checkout,
    read(rawBody, header, nowMs) {
      const [, at, mac] = headerPattern.exec(header(signatureHeader)) ?? []
      if (at === undefined || mac === undefined) return { refused: 'forged' }
      if (!timingSafeEqual(Buffer.from(mac, 'hex'), macOf(secret, at, rawBody))) return { refused: 'forged' }
      if (Math.abs(nowMs - Number(at)) > signatureAgeMsMax) return { refused: 'stale' }
      return noticeOf(rawBody)
    },
  }
}

/** The header for a body that is sent at `nowMs`. */
export const signatureOf = (secret: Uint8Array, body: string | Uint8Array, nowMs: number): string =>
  `t=${nowMs},v1=${macOf(secret, String(nowMs), body).toString('hex')}`

const macOf = (secret: Uint8Array, at: string, body: string | Uint8Array): Buffer =>
  createHmac('sha256', secret).update(`${at}.`).update(body).digest()

function noticeOf(rawBody: Uint8Array): PayNotice | PayRefusal {
  const { reference, amountMinor, feeMinor, cur, state, providerTxId } = Object(parsed(rawBody)) as Record<string, unknown>
  const isText = (value: unknown, pattern: RegExp): value is string => typeof value === 'string' && pattern.test(value)
  if (typeof reference !== 'string' || reference.length > referenceCharactersMax) return { refused: 'malformed' }
  if (typeof amountMinor !== 'number' || !Number.isSafeInteger(amountMinor)) return { refused: 'malformed' }
  if (!isText(cur, curPattern) || !isText(providerTxId, providerTxIdPattern)) return { refused: 'malformed' }
  if (!states.includes(state)) return { refused: 'malformed' }
  const notice = { ok: true, reference, amountMinor, cur, state: state as PayNotice['state'], providerTxId } as const
  if (feeMinor === undefined) return notice
  // Of a payment it comes out of the amount; for a chargeback a provider may ask more than that.
  const isFee = typeof feeMinor === 'number' && Number.isSafeInteger(feeMinor) && feeMinor >= 0 && feeMinor <= feeMinorMax
  return isFee && (state !== 'paid' || feeMinor <= amountMinor) ? { ...notice, feeMinor } : { refused: 'malformed' }
}

function parsed(rawBody: Uint8Array): unknown {
  try {
    return JSON.parse(Buffer.from(rawBody).toString())
  } catch {
    return undefined // what it is instead does not matter: nothing is credited by it
  }
}
