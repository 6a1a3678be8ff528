/**
 * What stands between this engine and a payment provider: one small adapter for each.
 *
 *     recharge.create -> checkout(order): where the user pays        -> the provider takes the money
 *     the provider -> POST /pay/<name> -> read(body, headers): is it theirs, is it fresh, what does it say -> the ledger credits
 *
 * An adapter decides nothing about coins: it hands `reference` through as it got it, and the engine finds in it what was ordered. Whoever
 * embeds the engine gives adapters to `startEngine(config, { payProviders: [...] })`; `signed.ts` is one to begin with.
 */
export const currency = 'CNY'

/** What a user pays, and what they get for it. */
export interface Order {
  /** A ULID. */
  rechargeId: string
  userId: string
  /** Name of the provider. */
  provider: string
  /** In fen. */
  priceMinor: number
  cur: typeof currency
  coins: number
  bonusCoins: number
  createdAt: number
}

/** What a provider says about one payment, after its adapter has checked that the provider said it. */
export interface PayNotice {
  ok: true
  /** Of the order, as `checkout` got it. */
  reference: string
  amountMinor: number
  /** What the provider keeps for it: of a payment, or for taking one back. Unset: nothing, or it tells later. */
  feeMinor?: number
  cur: string
  /** `charged_back`: the whole amount went back to whoever paid, by their bank or by the provider. */
  state: 'paid' | 'failed' | 'charged_back'
  /** Under which the provider keeps the payment, `charged_back` too: only the payment that was credited is taken back. */
  providerTxId: string
}
/** `forged`: not signed by the provider. `stale`: signed too long ago, or for later. `malformed`: signed, but no notice. */
export type PayRefusal = { refused: 'forged' | 'stale' | 'malformed' }

export interface PayProvider {
  /** `[a-z][a-z0-9-]{1,31}`: part of its address and of its account in the ledger, `ext.psp.<name>`. */
  readonly name: string
  /** Where the user pays: an address of the provider's, or a path on this server. Asked once for each order. */
  checkout(order: Order & { reference: string }): string | Promise<string>
  /** The body as it came, byte by byte: that is what was signed. Header names in lower case; one that is absent is empty. */
  read(rawBody: Uint8Array, header: (name: string) => string, nowMs: number): PayNotice | PayRefusal
}

export const providerNamePattern = '^[a-z][a-z0-9-]{1,31}$'
/** How far the time of a signature may be from ours. */
export const signatureAgeMsMax = 300_000
