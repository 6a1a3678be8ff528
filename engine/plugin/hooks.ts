/**
 * The hook catalogue: which commands can be guarded, transformed and charged, what a hook sees and what it may answer.
 *
 * The types are what the compiler holds a plugin to (`define.ts`), the tables beside them what the engine checks again when a plugin
 * attaches, because a remote plugin may have been compiled against anything. A new hook is a line in a type and in its table, and the
 * call of `guards.ask` in the command's code.
 */
import type { CommandInput, CommandReply, DanmakuData, EventData, EventName, Lane } from '../../schemas/messages.ts'
import { events } from '../../schemas/messages.ts'

/** Hooks are versioned by their major; the engine serves this one and the one before it. */
export const hookMajors: readonly number[] = [1]

/**
 * Domains that a plugin may own as a whole (`vote.cast`, `vote.opened`), one owner at a time and only if the operator grants it. What
 * any other plugin owns is named `x.<plugin>.<verb>`.
 */
export const grantableDomains = [
  ...(['vote', 'lottery', 'redpacket', 'quiz', 'goal', 'task', 'survey', 'idea'] as const),
  ...(['wallet', 'recharge', 'payout', 'superchat', 'guard', 'fanclub', 'blindbox', 'catalog', 'slot', 'ad', 'game'] as const),
  ...(['report', 'appeal', 'realname', 'case', 'penalty', 'review', 'policy'] as const),
  ...(['order', 'coupon', 'product', 'stock', 'price', 'flash', 'presale', 'reserve', 'group', 'return'] as const),
  ...(['contract', 'lead', 'supplier', 'rating', 'suptask', 'ticket', 'inbox', 'segment', 'campaign'] as const),
  ...(['track', 'view', 'metric', 'experiment', 'cue', 'plan', 'alert', 'runsheet', 'playbook', 'asset'] as const),
] as const
export type GrantableDomain = (typeof grantableDomains)[number]
/** A command or event that some plugin owns. */
export type PluginOwnedName = `x.${string}.${string}` | `${GrantableDomain}.${string}`

const ownPattern = /^x\.([a-z][a-z0-9-]{1,31})\.[a-z][a-z0-9_]{0,47}$/
const domainPattern = /^([a-z]{2,16})\.[a-z][a-z0-9_]{0,47}$/
const isGrantable = (domain: string): boolean => (grantableDomains as readonly string[]).includes(domain)

/** Whether a plugin can own this name at all. */
export function isOwnable(name: string): boolean {
  if (ownPattern.test(name)) return true
  const domain = domainPattern.exec(name)?.[1]
  return domain !== undefined && isGrantable(domain)
}

/** Whether it belongs to this plugin: its own prefix, or a domain of it. */
export function isOwnedBy(name: string, plugin: string, domains: readonly string[]): boolean {
  if (ownPattern.exec(name)?.[1] === plugin) return true
  const domain = domainPattern.exec(name)?.[1]
  return domain !== undefined && domains.includes(domain) && isGrantable(domain)
}

// ------------------------------------------------------------------ guards

/** What the guard of a command sees in `d`. Tokens and passwords never. */
export interface GuardedCommands {
  'session.open': { platform?: string; deviceId?: string; anonymous: boolean }
  'room.create': CommandInput<'room.create'>
  'room.update': CommandInput<'room.update'>
  'room.open': CommandInput<'room.open'>
  'room.set_settings': CommandInput<'room.set_settings'>
  'room.join': { source?: string }
  'danmaku.send': CommandInput<'danmaku.send'> & { text: string }
  'wall.show': CommandInput<'wall.show'>
  'gift.send': CommandInput<'gift.send'> & { to: string; count: number }
  /** Before anything is published, however it comes in: `line` of the show, or the `seatNo` of a guest on the mic. WHIP and RTP: one ask for both kinds. */
  'stream.publish': {
    kind: 'audio' | 'video'
    source: 'cam' | 'mic' | 'screen' | 'virtual'
    line?: 'primary' | 'backup'
    seatNo?: number
  }
  /** `kind`: what the applicant wants to be heard or seen with; unset: their voice. An invitation asks no guard. */
  'mic.apply': CommandInput<'mic.apply'>
}
export type GuardedCommand = keyof GuardedCommands

/** Commands whose message can be shown to its sender alone, or kept back for review. */
export type HoldableCommand = 'danmaku.send'
export const guardedCommands: Readonly<Record<GuardedCommand, { holdable: boolean }>> = {
  'session.open': { holdable: false },
  'room.create': { holdable: false },
  'room.update': { holdable: false },
  'room.open': { holdable: false },
  'room.set_settings': { holdable: false },
  'room.join': { holdable: false },
  'danmaku.send': { holdable: true },
  'wall.show': { holdable: false },
  'gift.send': { holdable: false },
  'stream.publish': { holdable: false },
  'mic.apply': { holdable: false },
}

export interface Allow {
  kind: 'allow'
}
/** `code`: one of the engine's own, or `x.<plugin>.<reason>`. */
export interface Deny {
  kind: 'deny'
  code: string
  msg?: string
}
/** Accepted, and shown to nobody but its sender. */
export interface Shadow {
  kind: 'shadow'
}
/** Kept back until `ctx.message.release` or `reject`; rejected by itself after `ttlMs` (at most 60,000). */
export interface Hold {
  kind: 'hold'
  caseId: string
  ttlMs: number
}
/** The client must pass a check first (`risk.challenge_required` with the kind as hint). */
export interface Challenge {
  kind: 'challenge'
  challenge: string
}
export type Verdict = Allow | Deny | Shadow | Hold | Challenge
export type VerdictOn<T extends string> = T extends HoldableCommand ? Verdict : Allow | Deny | Challenge

export const allow: Allow = Object.freeze({ kind: 'allow' })
export const shadow: Shadow = Object.freeze({ kind: 'shadow' })
export const deny = (code: string, msg?: string): Deny =>
  msg === undefined ? { kind: 'deny', code } : { kind: 'deny', code, msg }
export const hold = (caseId: string, ttlMs = holdMsMax): Hold => ({ kind: 'hold', caseId, ttlMs })
export const challenge = (kind: string): Challenge => ({ kind: 'challenge', challenge: kind })
export const holdMsMax = 60_000

// ------------------------------------------------------------------ transforms

export type Json = null | boolean | number | string | readonly Json[] | { readonly [key: string]: Json }

/** What a transform sees and the fields that it may change. All else in its answer is ignored. */
export interface TransformedCommands {
  'danmaku.send': {
    d: Pick<DanmakuData, 'text' | 'mode' | 'color' | 'size'>
    patch: { text?: string; mode?: DanmakuData['mode']; color?: number; size?: DanmakuData['size'] }
  }
  /** The catalogue: `items` is empty before the first transform. */
  'gift.list': {
    d: CommandReply<'gift.list'> & { ownerId: string }
    patch: { items?: CommandReply<'gift.list'>['items']; version?: string }
  }
  /** `level`: of the user who asks. */
  'wallet.get': { d: CommandReply<'wallet.get'>; patch: { level?: number } }
  /** `ext`: this plugin's own state of the room, for somebody who comes late. It arrives with the snapshot. */
  'room.join': { d: { source?: string }; patch: { ext?: Json } }
}
export type TransformedCommand = keyof TransformedCommands
export const transformedCommands: Readonly<Record<TransformedCommand, readonly string[]>> = {
  'danmaku.send': ['text', 'mode', 'color', 'size'],
  'gift.list': ['items', 'version'],
  'wallet.get': ['level'],
  'room.join': ['ext'],
}

// ------------------------------------------------------------------ charges

export const chargedCommands = [
  'gift.send',
  'superchat.send',
  'redpacket.send',
  'guard.buy',
  'fanclub.join',
  'blindbox.open',
] as const
export type ChargedCommand = (typeof chargedCommands)[number]

/** How the ledger is to post: the plugin decides, the engine fills in the amounts and posts. */
export interface PostingTemplate {
  /** Price in coins, integer. */
  valueCoin: number
  /** The payer's accounts in the order in which they are emptied. */
  payFrom: readonly string[]
  /** Who gets which share of it: `streamer:<id>`, `guild:<id>`; what rounding leaves goes to the platform. */
  split: readonly { to: string; bps: number }[]
  /** What the room shows of it. `unitCoin` times the count is the price. */
  show: { name: string; unitCoin: number; effectId: string; comboable: boolean; comboTimeoutMs: number }
  contractVersion: string
  catalogVersion: string
  /** Most coins that the payer may spend in one minute and in one day of the platform, this charge included. Unset: no bound. */
  limits?: { minuteCoinMax?: number; dayCoinMax?: number }
}
export type ChargeAnswer = { kind: 'post'; template: PostingTemplate } | Deny

// ------------------------------------------------------------------ events

/** Facts about plugins themselves. They belong to no room. */
export interface SystemEvents {
  'plugin.attached': { plugin: string; version: string; place: string; instance: string }
  'plugin.detached': { plugin: string; instance: string; reason: string }
  'plugin.degraded': { plugin: string; instance: string; reason: string }
  'plugin.recovered': { plugin: string; instance: string }
  'plugin.changed': { plugin: string; change: string; by: string }
}
export type SystemEventName = keyof SystemEvents

/** Facts of the ledger that belong to no room: they are in the room log, without a room, in the order of the journal. */
export interface LedgerEvents {
  'recharge.completed': {
    rechargeId: string
    userId: string
    provider: string
    priceMinor: number
    feeMinor: number
    cur: string
    coins: number
    bonusCoins: number
    providerTxId: string
    txId: string
  }
  /** The provider took the money back. `debtCoin`: paid coins of it that were spent already. */
  'recharge.charged_back': {
    rechargeId: string
    userId: string
    provider: string
    priceMinor: number
    feeMinor: number
    cur: string
    takenCoin: number
    takenBonusCoin: number
    debtCoin: number
    providerTxId: string
    txId: string
  }
  'gift.refunded': {
    giftTxId: string
    roomId: string
    from: string
    to: string
    giftId: string
    valueCoin: number
    by: string
    reason: string
    txId: string
  }
  'wallet.adjusted': {
    userId: string
    kind: 'paid' | 'bonus'
    coins: number
    by: string
    approvedBy: string
    reason: string
    txId: string
  }
  'wallet.frozen': { userId: string; by: string; reason: string; txId: string }
  'wallet.unfrozen': { userId: string; by: string; reason: string; txId: string }
}
export type LedgerEventName = keyof LedgerEvents

/** Of a room, for plugins and the bus alone: as they happen, at most once, without a place in the room's order. */
export interface BusEvents {
  /** Each minute in which viewers reported how the picture plays. `stallBps`: of the time played, basis points. */
  'stream.qos_sampled': QosSample
}
export interface QosSample {
  windowMs: number
  reports: number
  playMs: number
  stallMs: number
  stallBps: number
  rttMs?: number
  lossBps?: number
  /** What the media node sends to viewers of the room, bits a second: now, and most of it since the room has media. */
  egressBps?: number
  egressBpsPeak?: number
}
export type BusEventName = keyof BusEvents
export const busEvents: Readonly<Record<BusEventName, true>> = { 'stream.qos_sampled': true }

export const ledgerEvents: Readonly<Record<LedgerEventName, true>> = {
  'recharge.completed': true,
  'recharge.charged_back': true,
  'gift.refunded': true,
  'wallet.adjusted': true,
  'wallet.frozen': true,
  'wallet.unfrozen': true,
}
export const systemEvents: Readonly<Record<SystemEventName, true>> = {
  'plugin.attached': true,
  'plugin.detached': true,
  'plugin.degraded': true,
  'plugin.recovered': true,
  'plugin.changed': true,
}

export type HookedEventData<T extends string> = T extends EventName
  ? EventData<T>
  : T extends SystemEventName
    ? SystemEvents[T]
    : T extends LedgerEventName
      ? LedgerEvents[T]
      : T extends BusEventName
        ? BusEvents[T]
        : unknown

/**
 * Whether an event comes from the room log (at least once, in order per room) or as it happens (at most once). Danmaku are in the log
 * only where the operator keeps them there.
 */
export function isDurable(t: string, logDanmaku: boolean): boolean {
  const own = (events as Record<string, { lane: Lane } | undefined>)[t]
  if (!own) return !isBusEvent(t)
  return own.lane === 'high' || (own.lane === 'normal' && logDanmaku)
}

export const isCoreEvent = (t: string): t is EventName => Object.hasOwn(events, t)
export const isLedgerEvent = (t: string): t is LedgerEventName => Object.hasOwn(ledgerEvents, t)
export const isBusEvent = (t: string): t is BusEventName => Object.hasOwn(busEvents, t)
export const isSystemEvent = (t: string): t is SystemEventName => Object.hasOwn(systemEvents, t)
