/**
 * Danmaku: `danmaku.send` and `danmaku.remove`, and what plugins do about them: post as a bot, remove, release or reject what is held.
 *
 * Checks in order: room and switches, mutes, form (text, emote, colour, mode), rate (slow mode or the token bucket), duplicates, the
 * room's ingest cap; then the guards; then a place in the room's order. Owner and staff speak without rate, slow mode and palette; bots
 * too, but with a rate.
 */

import type { ErrorCode } from '../../schemas/errors.ts'
import { type CommandInput, type DanmakuData, modes, sizes } from '../../schemas/messages.ts'
import { TokenBucket } from '../base/bucket.ts'
import { type Ruling, refusalOfVerdict } from '../plugin/checks/guards.ts'
import type { Patch } from '../plugin/checks/transforms.ts'
import type { Ask } from '../plugin/define.ts'
import { allow, type Hold } from '../plugin/hooks.ts'
import { type Actor, type Answer, accept, type Call, type RefusalDetail, refusal, refuse } from '../room/call.ts'
import type { RoomEvent } from '../room/event.ts'
import type { Home } from '../room/home.ts'
import { may, mayActOn, type Rank, shownRole } from '../room/rights.ts'
import type { Slot } from '../room/tick.ts'
import { type HeldMessage, HeldMessages } from './held.ts'
import { cleanText, codePoints, sameness } from './text.ts'

/** The free palette: white and seven colours that read well over video. */
export const freeColors: readonly number[] = [0xffffff, 0xff5252, 0xffa726, 0xffee58, 0x66bb6a, 0x4dd0e1, 0x64b5f6, 0xf48fb1]
export const emoteIds: readonly string[] = [
  'clap',
  'heart',
  'laugh',
  'wow',
  'cry',
  'fire',
  'thumbs_up',
  'rose',
  'party',
  'question',
]

const uniqueChatMs = 60_000
const uniqueTextsMax = 10_000
/** Longer than any slow mode and duplicate window. */
const speakerKeepMs = 600_000
const speakersMax = 200_000

interface Speaker {
  bucket: TokenBucket
  lastAt: number
  usedAt: number
  /** What they said within the duplicate window, newest last; bounded by the rate. */
  said: { text: string; at: number }[]
}
const saidMax = 32

type Denial = { code: ErrorCode; detail?: RefusalDetail }
const denied = (code: ErrorCode, detail?: RefusalDetail): Denial => (detail ? { code, detail } : { code })

interface Draft {
  call: Call
  d: CommandInput<'danmaku.send'>
  text: string
  key: string
  ranks: readonly Rank[]
  free: boolean
}

/** The fields that a transform may change. */
type Shown = Pick<DanmakuData, 'text' | 'mode' | 'color' | 'size'>
const shownOf = ({ d, text }: Draft): Shown => ({
  text,
  mode: d.mode ?? 'scroll',
  color: d.color ?? 0xffffff,
  size: d.size ?? 'm',
})
interface Screened extends Ruling {
  shown: Shown
}
interface HeldDraft extends HeldMessage {
  draft: Draft
  screened: Screened
}
interface Showing extends Omit<Screened, 'verdict'> {
  at: number
  hops: number
  isShadowed: boolean
}
const heldRetryMs = 1_000
const passed: Ruling = { verdict: allow, unchecked: [] }
const limitedBy = (waitMs: number): Denial | undefined =>
  waitMs > 0 ? denied('rate.limited', { retryAfterMs: waitMs }) : undefined
const isOneOf = <T extends string>(values: readonly T[], value: unknown): value is T =>
  (values as readonly unknown[]).includes(value)
const isColor = (value: unknown): value is number =>
  Number.isInteger(value) && (value as number) >= 0 && (value as number) <= 0xffffff

export class Danmaku {
  readonly #home: Home
  readonly #speakers = new Map<string, Speaker>()
  readonly #ingest = new TokenBucket()
  /** Texts of the last minute, for `uniqueChat`. */
  readonly #texts = new Map<string, number>()

  readonly #onAccepted: () => void
  readonly held: HeldMessages<HeldDraft>

  /** `onAccepted`: one more danmaku of this live, seen by all. */
  constructor(home: Home, onAccepted: () => void) {
    this.#home = home
    this.#onAccepted = onAccepted
    this.held = new HeldMessages(home)
  }

  send(call: Call): void {
    const draft = this.#draft(call)
    const denial = this.#checkRoom(draft) ?? this.#checkForm(draft) ?? this.#checkRate(draft)
    if (denial) return refuse(call, denial.code, denial.detail)
    const screened = this.#screened(draft)
    if (!(screened instanceof Promise)) return this.#decide(draft, screened)
    const slot = this.#home.slot()
    void screened
      .then((late) => this.#decideLate(draft, late, slot))
      .catch((error) => {
        this.#home.settle(slot)
        this.#home.parts.onError(error, this.#home.id)
        refuse(call, 'server.internal')
      })
  }

  #decideLate(draft: Draft, screened: Screened, slot: Slot): void {
    const denial = this.#checkStill(draft)
    if (!denial) return this.#decide(draft, screened, slot)
    this.#home.settle(slot)
    refuse(draft.call, denial.code, denial.detail)
  }

  // ------------------------------------------------------------------ plugins

  /** As a bot: guards and transforms as for anybody. */
  post(call: Call): void {
    const { botId, name, text } = call.d as { botId: string; name: string; text: string }
    const actor: Actor = { userId: `bot_${botId}`, name: cleanText(name) || botId, anonymous: false, scope: [], bot: true }
    this.send({ ...call, t: 'danmaku.send', d: { text }, actor })
  }

  /** Shown after all, unless its sender may not speak any more: then it is rejected, and the release refused with the reason. */
  release(call: Call): void {
    const { caseId } = call.d as { caseId: string }
    const held = this.held.find(caseId)
    if (!held) return refuse(call, 'message.not_found')
    const { screened } = held
    const draft = { ...held.draft, ranks: this.#home.ranksOfActor(held.draft.call.actor) }
    const denial = this.#checkStill(draft)
    if (denial) {
      const refused = refusal(denial.code, denial.detail)
      this.held.reject(caseId, refused.err.msg)
      return call.answer(refused)
    }
    this.held.take(caseId)
    const hops = Math.max(call.hops, draft.call.hops)
    const event = this.#event(draft, { ...screened, at: this.#home.now(), hops, isShadowed: false })
    this.#home.decide(event, (committed) => {
      this.#count(committed)
      accept(call, { id: committed.eid, seq: committed.seq })
    })
  }

  reject(call: Call): void {
    const { caseId, msg } = call.d as { caseId: string; msg?: string }
    if (this.held.reject(caseId, msg ?? 'Somebody looked at it and said no.')) accept(call, {})
    else refuse(call, 'message.not_found')
  }

  #hold({ draft, screened }: Omit<HeldDraft, keyof HeldMessage>, { caseId, ttlMs }: Hold): Answer {
    const { userId } = draft.call.actor
    const isKept = this.held.keep(caseId, ttlMs, { userId, text: screened.shown.text, draft, screened })
    if (isKept) return refusal('content.held', { d: { caseId } })
    return refusal('content.unavailable', { retryAfterMs: heldRetryMs })
  }

  /** What guards and transforms make of it; at once when all of them answered at once. */
  #screened(draft: Draft): Screened | Promise<Screened> {
    const { guards } = this.#home.parts
    if (!guards.has('danmaku.send')) return this.#transformed(draft, passed)
    const { text, call } = draft
    const ruling = guards.ask('danmaku.send', this.#ask(draft, { ...(call.d as CommandInput<'danmaku.send'>), text }))
    if (ruling instanceof Promise) return ruling.then((late) => this.#transformed(draft, late))
    return this.#transformed(draft, ruling)
  }

  #ask<D>({ call, ranks }: Draft, d: D): Ask<D> {
    const { userId, name, anonymous, bot } = call.actor
    return { room: this.#home.id, at: call.at, from: { userId, name, anonymous, ranks, ...(bot ? { bot } : {}) }, d }
  }

  #transformed(draft: Draft, { verdict, unchecked }: Ruling): Screened | Promise<Screened> {
    const shown = shownOf(draft)
    const { transforms } = this.#home.parts
    const goesOn = verdict.kind === 'allow' || verdict.kind === 'shadow' || verdict.kind === 'hold'
    if (!goesOn || !transforms.has('danmaku.send')) return { verdict, unchecked, shown }
    const made = transforms.run('danmaku.send', this.#ask(draft, shown), (now, patch) => this.#patched(draft, now, patch))
    return made instanceof Promise
      ? made.then((late) => ({ verdict, unchecked, shown: late }))
      : { verdict, unchecked, shown: made }
  }

  /** A transform's patch is held to the form of any danmaku; undefined when it does not fit. */
  #patched({ d }: Draft, shown: Shown, patch: Patch): Shown | undefined {
    const next = { ...shown, ...patch } as { [K in keyof Shown]: unknown }
    if (typeof next.text !== 'string') return undefined
    const text = cleanText(next.text)
    const isEmpty = text === '' && d.emoteId === undefined
    if (isEmpty || codePoints(text) > this.#home.parts.config.danmakuStaffCodePointsMax) return undefined
    if (!isOneOf(modes, next.mode) || !isOneOf(sizes, next.size) || !isColor(next.color)) return undefined
    return { text, mode: next.mode, size: next.size, color: next.color }
  }

  #decide(draft: Draft, screened: Screened, slot?: Slot): void {
    const home = this.#home
    const { call } = draft
    const { verdict, ...rest } = screened
    const refused = refusalOfVerdict(verdict)
    if (refused) {
      if (slot) home.settle(slot)
      return call.answer(verdict.kind === 'hold' ? this.#hold({ draft, screened }, verdict) : refused)
    }
    const event = this.#event(draft, { ...rest, at: call.at, hops: call.hops, isShadowed: verdict.kind === 'shadow' })
    const onCommit = (committed: RoomEvent) => this.#committed(draft, committed)
    if (slot) home.settle(slot, event, onCommit)
    else home.decide(event, onCommit)
  }

  #draft(call: Call): Draft {
    const d = call.d as CommandInput<'danmaku.send'>
    const text = cleanText(d.text ?? '')
    const ranks = this.#home.ranksOfActor(call.actor)
    const free = call.actor.bot === true || may(ranks, 'speak_freely')
    return { call, d, text, key: sameness(text) || `emote:${d.emoteId}`, ranks, free }
  }

  #checkRoom({ call, free }: Draft): Denial | undefined {
    const { settings, info } = this.#home
    if (info.state !== 'open') return denied('room.closed')
    const mute = this.#home.muteOf(call.actor.userId)
    if (mute) return denied('chat.muted', { d: { untilAt: mute.untilAt } })
    if (!settings.chat && !free) return denied('chat.disabled')
    if (settings.muteAll && !free) return denied('chat.muted', { msg: 'Everybody is muted for now.', d: { hint: 'mute_all' } })
    return undefined
  }

  /** What can have changed while plugins or people thought about it. */
  #checkStill(draft: Draft): Denial | undefined {
    const ban = this.#home.banOf(draft.call.actor.userId)
    return ban ? denied('room.kicked', { d: { untilAt: ban.untilAt } }) : this.#checkRoom(draft)
  }

  #checkForm({ d, text, free }: Draft): Denial | undefined {
    const { settings, parts } = this.#home
    const max = free ? parts.config.danmakuStaffCodePointsMax : parts.config.danmakuCodePointsMax
    if (text === '' && d.emoteId === undefined) return denied('chat.empty')
    if (codePoints(text) > max) return denied('chat.too_long', { d: { max } })
    if (d.emoteId !== undefined && !emoteIds.includes(d.emoteId)) return denied('chat.emote_unknown', { d: { field: 'emoteId' } })
    if (settings.emoteOnly && !free && (d.emoteId === undefined || text !== '')) return denied('chat.emote_only')
    if (d.color !== undefined && !free && !freeColors.includes(d.color))
      return denied('chat.color_locked', { d: { field: 'color' } })
    const modeOpen = d.mode === undefined || d.mode === 'scroll' || (d.mode === 'reverse' ? settings.reverseMode : free)
    if (!modeOpen) return denied('chat.mode_locked', { d: { field: 'mode' } })
    if (d.replyTo !== undefined && !this.#repliedTo(d.replyTo, ''))
      return denied('message.not_found', { d: { field: 'replyTo' } })
    return undefined
  }

  /** The last check, because a pass spends a token. */
  #checkRate({ call, key, free }: Draft): Denial | undefined {
    if (call.actor.bot) return this.#spend(this.#speaker(call.actor.userId, call.at).bucket, call.at) ?? this.#ingestOne(call.at)
    if (free) return undefined
    const { settings } = this.#home
    const speaker = this.#speaker(call.actor.userId, call.at)
    const slowMs = speaker.lastAt + settings.slowModeMs - call.at
    if (settings.slowModeMs > 0 && slowMs > 0) return denied('chat.slow_mode', { retryAfterMs: slowMs })
    if (this.#isRepeat(speaker, key, call.at)) return denied('chat.duplicate')
    const limited = (settings.slowModeMs === 0 ? this.#spend(speaker.bucket, call.at) : undefined) ?? this.#ingestOne(call.at)
    if (!limited) this.#note(speaker, key, call.at)
    return limited
  }

  #spend(bucket: TokenBucket, at: number): Denial | undefined {
    const { danmakuPerUserPerSMax: perS, danmakuPerUserBurstMax: burst } = this.#home.parts.config
    return limitedBy(bucket.take(at, { perS, burst }))
  }

  #ingestOne(at: number): Denial | undefined {
    const { roomIngestPerSMax: perS } = this.#home.parts.config
    return limitedBy(this.#ingest.take(at, { perS, burst: perS }))
  }

  #isRepeat(speaker: Speaker, key: string, at: number): boolean {
    const { settings, parts } = this.#home
    if (settings.uniqueChat && (this.#texts.get(key) ?? Number.NEGATIVE_INFINITY) > at - uniqueChatMs) return true
    return speaker.said.some((said) => said.text === key && said.at > at - parts.config.danmakuDuplicateMs)
  }

  #note(speaker: Speaker, key: string, at: number): void {
    speaker.lastAt = at
    const windowMs = this.#home.parts.config.danmakuDuplicateMs
    if (windowMs > 0) {
      speaker.said = speaker.said.filter((said) => said.at > at - windowMs).slice(-(saidMax - 1))
      speaker.said.push({ text: key, at })
    }
    if (!this.#home.settings.uniqueChat) return
    this.#texts.delete(key)
    this.#texts.set(key, at)
    dropOldest(this.#texts, uniqueTextsMax, (value) => value > at - uniqueChatMs)
  }

  #speaker(userId: string, at: number): Speaker {
    let speaker = this.#speakers.get(userId)
    if (speaker) this.#speakers.delete(userId)
    else speaker = { bucket: new TokenBucket(), lastAt: Number.NEGATIVE_INFINITY, usedAt: at, said: [] }
    speaker.usedAt = at
    // Moved to the end: the map stays in the order of last use, and the oldest are the first.
    this.#speakers.set(userId, speaker)
    dropOldest(this.#speakers, speakersMax, (other) => other.usedAt > at - speakerKeepMs)
    return speaker
  }

  #event(draft: Draft, { shown, unchecked, isShadowed, at, hops }: Showing): RoomEvent {
    const { call, d, ranks, free } = draft
    const { actor } = call
    const role = shownRole(ranks)
    const replied = d.replyTo === undefined ? undefined : this.#home.danmaku.find(d.replyTo)
    const replyTo = d.replyTo === undefined ? undefined : this.#repliedTo(d.replyTo, actor.userId)
    // An answer to what only its sender can see would show the others that it exists.
    const isHidden = isShadowed || (replyTo !== undefined && replied?.only !== undefined)
    const id = this.#home.newId()
    const data: DanmakuData = {
      id,
      from: { id: actor.userId, name: actor.name, ...(role ? { role } : {}), ...(actor.bot ? { bot: true } : {}) },
      ...shown,
      ...(d.emoteId === undefined ? {} : { emoteId: d.emoteId }),
      ...(replyTo ? { replyTo } : {}),
    }
    return this.#home.event('danmaku.sent', data, {
      eid: id,
      at,
      actor: actor.userId,
      from: actor.userId,
      to: replyTo?.userId,
      only: isHidden ? actor.userId : undefined,
      preferred: free && !actor.bot,
      hops,
      unchecked,
    })
  }

  #repliedTo(id: string, userId: string): DanmakuData['replyTo'] {
    const event = this.#home.danmaku.find(id)
    if (!event || (userId !== '' && !event.visibleTo(userId))) return undefined
    const { from } = event.d as DanmakuData
    return { id, userId: from.id, name: from.name }
  }

  #count({ only }: RoomEvent): void {
    if (only !== undefined) return
    this.#home.totals.danmakuTotal++
    this.#onAccepted()
  }

  #committed({ call }: Draft, event: RoomEvent): void {
    this.#count(event)
    call.answer({ ok: true, d: { id: event.eid, seq: event.seq, text: (event.d as DanmakuData).text } })
  }

  // ------------------------------------------------------------------ removal

  remove(call: Call): void {
    const home = this.#home
    const { id, userId, sinceAt } = call.d as CommandInput<'danmaku.remove'>
    const actorRanks = home.ranksOfActor(call.actor)
    if (!may(actorRanks, 'mute')) return refuse(call, 'perm.denied')
    if ((id === undefined) === (userId === undefined))
      return refuse(call, 'request.invalid', { msg: 'Give id, or userId.', d: { field: 'id' } })
    const found = home.danmaku.filter((event) =>
      id !== undefined ? event.eid === id : event.from === userId && event.at >= (sinceAt ?? 0),
    )
    if (found.length === 0) return refuse(call, 'message.not_found')
    const isProtected = (event: RoomEvent) =>
      event.from !== call.actor.userId && !mayActOn(actorRanks, home.ranksOf(event.from ?? ''))
    if (found.some(isProtected)) return refuse(call, 'perm.target_protected')
    home.change(call, () => this.#planRemoval(call, found))
  }

  /** Several by their ids, for plugins; those that are not known any more are passed over. */
  removeMany(call: Call): void {
    const ids = new Set((call.d as { ids: string[] }).ids)
    const found = this.#home.danmaku.filter((event) => ids.has(event.eid))
    if (found.length === 0) return refuse(call, 'message.not_found')
    this.#home.change(call, () => this.#planRemoval(call, found))
  }

  #planRemoval(call: Call, found: readonly RoomEvent[]) {
    const home = this.#home
    const ids = found.map((event) => event.eid)
    const shown = found.filter((event) => event.only === undefined)
    const shadowed = new Map<string, string[]>()
    for (const { only, eid } of found) if (only !== undefined) shadowed.set(only, [...(shadowed.get(only) ?? []), eid])
    const about = { actor: call.actor.userId }
    const events = shown.length > 0 ? [home.event('message.removed', { ids: shown.map((event) => event.eid) }, about)] : []
    // What only its sender saw is taken back from that sender alone.
    for (const [only, own] of shadowed) events.push(home.event('message.removed', { ids: own }, { ...about, only }))
    const wall = home.wall?.messageId !== undefined && ids.includes(home.wall.messageId) ? home.wall : undefined
    if (wall) events.push(home.event('wall.hidden', { id: wall.id }, about))
    return {
      changes: wall ? [{ kind: 'wall.put' as const, wall: undefined }] : [],
      events,
      apply: () => {
        home.danmaku.remove(new Set(ids))
        if (wall) home.wall = undefined
      },
      reply: { ids },
    }
  }
}

/** Maps here are in the order of last use: let go of the first ones until the bound holds, or while they are no longer needed. */
function dropOldest<V>(map: Map<string, V>, max: number, needed: (value: V) => boolean): void {
  for (const [key, value] of map) {
    if (map.size <= max && needed(value)) return
    map.delete(key)
  }
}
