/**
 * Danmaku: `danmaku.send` and `danmaku.remove`.
 *
 * Checks in order: room and switches, mutes, form (text, emote, colour, mode), rate (slow mode or the token bucket), duplicates, the
 * room's ingest cap; then the guards; then a place in the room's order. Owner and staff speak without rate, slow mode and palette.
 */

import type { ErrorCode } from '../../schemas/errors.ts'
import type { CommandInput, DanmakuData } from '../../schemas/messages.ts'
import { TokenBucket } from '../base/bucket.ts'
import type { Verdict } from '../plugin/guards.ts'
import { type Call, type RefusalDetail, refuse } from '../room/call.ts'
import type { RoomEvent } from '../room/event.ts'
import type { Home } from '../room/home.ts'
import { may, mayActOn, type Rank, shownRole } from '../room/rights.ts'
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

export class Danmaku {
  readonly #home: Home
  readonly #speakers = new Map<string, Speaker>()
  readonly #ingest = new TokenBucket()
  /** Texts of the last minute, for `uniqueChat`. */
  readonly #texts = new Map<string, number>()

  readonly #onAccepted: () => void

  /** `onAccepted`: one more danmaku of this live, seen by all. */
  constructor(home: Home, onAccepted: () => void) {
    this.#home = home
    this.#onAccepted = onAccepted
  }

  send(call: Call): void {
    const draft = this.#draft(call)
    const denial = this.#checkRoom(draft) ?? this.#checkForm(draft) ?? this.#checkRate(draft)
    if (denial) return refuse(call, denial.code, denial.detail)
    const home = this.#home
    const verdict = home.parts.guards.ask({ room: home.id, on: call.t, actor: call.actor, d: { ...draft.d, text: draft.text } })
    if (!(verdict instanceof Promise)) return this.#decide(draft, verdict)
    const slot = home.slot()
    void verdict.then((late) => {
      if (late.kind === 'deny') {
        home.settle(slot)
        return refuse(call, late.code, late.msg === undefined ? {} : { msg: late.msg })
      }
      const event = this.#event(draft, late.kind === 'shadow')
      home.settle(slot, event, (committed) => this.#committed(draft, committed))
    })
  }

  #decide(draft: Draft, verdict: Verdict): void {
    if (verdict.kind === 'deny') return refuse(draft.call, verdict.code, verdict.msg === undefined ? {} : { msg: verdict.msg })
    const event = this.#event(draft, verdict.kind === 'shadow')
    this.#home.decide(event, (committed) => this.#committed(draft, committed))
  }

  #draft(call: Call): Draft {
    const d = call.d as CommandInput<'danmaku.send'>
    const text = cleanText(d.text ?? '')
    const ranks = this.#home.ranksOfActor(call.actor)
    return { call, d, text, key: sameness(text) || `emote:${d.emoteId}`, ranks, free: may(ranks, 'speak_freely') }
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
    if (free) return undefined
    const { settings, parts } = this.#home
    const { config } = parts
    const speaker = this.#speaker(call.actor.userId, call.at)
    const slowMs = speaker.lastAt + settings.slowModeMs - call.at
    if (settings.slowModeMs > 0 && slowMs > 0) return denied('chat.slow_mode', { retryAfterMs: slowMs })
    if (this.#isRepeat(speaker, key, call.at)) return denied('chat.duplicate')
    if (settings.slowModeMs === 0) {
      const waitMs = speaker.bucket.take(call.at, { perS: config.danmakuPerUserPerSMax, burst: config.danmakuPerUserBurstMax })
      if (waitMs > 0) return denied('rate.limited', { retryAfterMs: waitMs })
    }
    const fullMs = this.#ingest.take(call.at, { perS: config.roomIngestPerSMax, burst: config.roomIngestPerSMax })
    if (fullMs > 0) return denied('rate.limited', { retryAfterMs: fullMs })
    this.#note(speaker, key, call.at)
    return undefined
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

  #event({ call, d, text, ranks, free }: Draft, shadowed: boolean): RoomEvent {
    const { actor } = call
    const role = shownRole(ranks)
    const replied = d.replyTo === undefined ? undefined : this.#home.danmaku.find(d.replyTo)
    const replyTo = d.replyTo === undefined ? undefined : this.#repliedTo(d.replyTo, actor.userId)
    // An answer to what only its sender can see would show the others that it exists.
    const isHidden = shadowed || (replyTo !== undefined && replied?.only !== undefined)
    const id = this.#home.newId()
    const data: DanmakuData = {
      id,
      from: { id: actor.userId, name: actor.name, ...(role ? { role } : {}) },
      text,
      mode: d.mode ?? 'scroll',
      color: d.color ?? 0xffffff,
      size: d.size ?? 'm',
      ...(d.emoteId === undefined ? {} : { emoteId: d.emoteId }),
      ...(replyTo ? { replyTo } : {}),
    }
    return this.#home.event('danmaku.sent', data, {
      eid: id,
      at: call.at,
      actor: actor.userId,
      from: actor.userId,
      to: replyTo?.userId,
      only: isHidden ? actor.userId : undefined,
      preferred: free,
    })
  }

  #repliedTo(id: string, userId: string): DanmakuData['replyTo'] {
    const event = this.#home.danmaku.find(id)
    if (!event || (userId !== '' && !event.visibleTo(userId))) return undefined
    const { from } = event.d as DanmakuData
    return { id, userId: from.id, name: from.name }
  }

  #committed({ call, text }: Draft, event: RoomEvent): void {
    if (event.only === undefined) {
      this.#home.totals.danmakuTotal++
      this.#onAccepted()
    }
    call.answer({ ok: true, d: { id: event.eid, seq: event.seq, text } })
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
