/**
 * The mic (连麦): `mic.*` as clients say it, and what becomes of it for the room, for those concerned, and for the media.
 *
 *     mic.apply -> switch, mute, place free? -> guards -> `mic-rules.ts` -> mic.queue_changed, mic.applied to the hosts
 *     mic.accept by a host -> mic.accepted to the guest, mic.seat_changed (reserved)
 *     mic.join -> the guest may publish (`stream.publish` without a line) -> the first media -> mic.seat_changed (live)
 *
 * Hosts are the owner, admins and the platform's staff. Places go by the order of arrival here, not by how long a guard took: those who
 * are still being asked about count as waiting. All of it lives in memory and ends with the home; what is published ends with the seat.
 */
import type { ErrorCode } from '../../schemas/errors.ts'
import type { CommandInput, MeShape, MicInfoShape, PersonShape } from '../../schemas/messages.ts'
import type { MediaKind } from '../../schemas/sfu.ts'
import { KeyedBuckets } from '../base/bucket.ts'
import { type Actor, type Answer, accept, type Call, refusal, refuse } from '../room/call.ts'
import type { EventOptions } from '../room/event.ts'
import type { Chore, Home } from '../room/home.ts'
import { engineUserId, may, mayActOn, shownRole } from '../room/rights.ts'
import type { SeatProducer, SeatStage } from './media.ts'
import { invitationOf, MicNotices } from './mic-notices.ts'
import { MicNumbers } from './mic-numbers.ts'
import { inviteMsDefault, type MicFact, type MicRefusal, MicRules, type Told } from './mic-rules.ts'
import { cleanText } from './text.ts'

/** What the mic asks of the stream. */
export interface SeatMedia {
  /** What this user publishes there. */
  closeSeat(seatNo: number, userId: string): void
  muteSeat(seatNo: number, isPaused: boolean): void
  /** What is published stays, under another number. */
  moveSeat(from: number, to: number): void
}

/** Each step is an event for everybody: of one person, at most so many in a second. */
const rate = { perS: 2, burst: 20 }
const peopleMax = 10_000

type By = Pick<EventOptions, 'actor' | 'hops' | 'unchecked'> & { actor: string }
const byEngine: By = { actor: engineUserId }
const engine: PersonShape = { id: engineUserId, name: 'Engine' }

export class Mic implements Chore, SeatStage {
  readonly #home: Home
  readonly #media: SeatMedia
  readonly #rules: MicRules
  readonly #people = new KeyedBuckets(peopleMax)
  readonly #notices: MicNotices
  readonly #numbers: MicNumbers
  #arrivals = 0
  /** Applications that guards are asked about. */
  #asking = 0

  constructor(home: Home, media: SeatMedia) {
    const { micQueueMax: queueMax, micSeats: seats } = home.parts.config
    this.#home = home
    this.#media = media
    this.#rules = new MicRules({ queueMax, seats })
    home.mic = (userId) => this.#info(userId)
    home.micOf = (userId) => this.#own(userId)
    this.#notices = new MicNotices(home, this.#rules)
    this.#numbers = new MicNumbers(home.parts.meters.mic, this.#rules)
  }

  #info(userId: string): MicInfoShape | undefined {
    if (!this.#home.settings.mic) return undefined
    const place = this.#rules.placeOf(userId)
    return { seats: this.#rules.seats(), waiting: this.#rules.waiting, ...(place === undefined ? {} : { place }) }
  }

  /** What waits for this user alone: an invitation, or a seat that is kept. */
  #own(userId: string): Pick<MeShape, 'invitation' | 'granted'> {
    const offer = this.#rules.offerTo(userId, this.#home.now())
    if (offer?.is === 'invited') return { invitation: invitationOf(offer) }
    return offer ? { granted: { seatNo: offer.seatNo, joinByAt: offer.endsAt } } : {}
  }

  // ------------------------------------------------------------------ guests

  apply(call: Call): void {
    const refused = this.#applyRefusal(call) ?? this.#spend(call)
    if (refused) return call.answer(refused)
    if (this.#rules.has(call.actor.userId)) return refuse(call, 'mic.already')
    if (this.#rules.waiting + this.#asking >= this.#home.parts.config.micQueueMax) return this.#refuse(call, 'mic.queue_full')
    const order = ++this.#arrivals
    this.#asking++
    let isAsking = true
    const answer: Call['answer'] = (answered) => {
      if (isAsking) this.#asking--
      isAsking = false
      call.answer(answered)
    }
    this.#home.guarded({ ...call, answer }, call.d, (ruled) => this.#apply(ruled, order))
  }

  #apply(call: Call, order: number): void {
    const refused = this.#applyRefusal(call)
    if (refused) return call.answer(refused)
    const { kind = 'audio', note } = call.d as CommandInput<'mic.apply'>
    const said = note === undefined ? '' : cleanText(note)
    const applying = { person: this.#person(call.actor), kind, order, ...(said === '' ? {} : { note: said }) }
    this.#step(
      call,
      (now) => this.#rules.apply(applying, now),
      () => ({ place: this.#rules.placeOf(call.actor.userId) ?? 0 }),
    )
  }

  #applyRefusal({ actor, d }: Call): Answer | undefined {
    const home = this.#home
    const refused = this.#guestRefusal(actor)
    if (refused) return refused
    if (actor.userId === home.info.ownerId) return refusal('mic.already', { msg: 'The show is yours.' })
    const { kind } = d as CommandInput<'mic.apply'>
    if (kind === 'video' && !home.parts.config.micVideo) return refusal('mic.disabled', { msg: 'The mic is for voices only.' })
    return undefined
  }

  /** Why somebody may not be heard here at all. */
  #guestRefusal({ userId }: Actor): Answer | undefined {
    const home = this.#home
    const refused = this.#roomRefusal()
    if (refused) return refused
    if (!home.presence.isHere(userId)) return refusal('room.not_joined')
    const mute = home.muteOf(userId)
    return mute && refusal('chat.muted', { d: { untilAt: mute.untilAt } })
  }

  #roomRefusal(): Answer | undefined {
    const { info, settings } = this.#home
    if (info.state !== 'open') return refusal('room.closed', { retryAfterMs: 5_000 })
    return settings.mic ? undefined : refusal('mic.disabled')
  }

  cancel(call: Call): void {
    this.#ofGuest(call, () => this.#rules.cancel(call.actor.userId))
  }

  join(call: Call): void {
    const { userId } = call.actor
    const { seatNo } = call.d as CommandInput<'mic.join'>
    const refused = this.#guestRefusal(call.actor)
    if (refused) return call.answer(refused)
    this.#ofGuest(
      call,
      () => this.#rules.join(userId, seatNo),
      () => ({ seat: this.#rules.seat(seatNo) }),
    )
  }

  leave(call: Call): void {
    this.#ofGuest(call, () => this.#rules.leave(call.actor.userId))
  }

  move(call: Call): void {
    const { seatNo } = call.d as CommandInput<'mic.move'>
    if (this.#isNoSeat(call, seatNo)) return
    this.#ofGuest(call, () => this.#rules.move(call.actor.userId, seatNo))
  }

  #ofGuest(call: Call, step: (now: number) => MicFact[] | MicRefusal, reply?: () => unknown): void {
    const refused = this.#spend(call)
    if (refused) call.answer(refused)
    else this.#step(call, step, reply)
  }

  // ------------------------------------------------------------------ hosts

  list(call: Call): void {
    if (!this.#isHost(call.actor)) return refuse(call, 'perm.denied')
    this.run(this.#home.now())
    accept(call, { applicants: this.#rules.applicants(), invited: this.#rules.invited().map(({ person }) => person) })
  }

  invite(call: Call): void {
    const home = this.#home
    const { userId, seatNo, timeoutMs = inviteMsDefault } = call.d as CommandInput<'mic.invite'>
    const refused = this.#hostRefusal(call) ?? this.#roomRefusal()
    if (refused) return call.answer(refused)
    if (seatNo !== undefined && this.#isNoSeat(call, seatNo)) return
    if (!home.presence.isHere(userId)) return refuse(call, 'room.not_joined', { msg: 'This user is not in the room.' })
    if (userId === home.info.ownerId) return refuse(call, 'mic.already', { msg: 'The show is theirs.' })
    const mute = home.muteOf(userId)
    if (mute) return refuse(call, 'chat.muted', { d: { untilAt: mute.untilAt }, msg: 'This user is muted.' })
    const inviteId = home.newId()
    const kind: MediaKind = home.parts.config.micVideo ? 'video' : 'audio'
    const person = { id: userId, name: home.presence.nameOf(userId) ?? userId }
    const inviting = { person, kind, inviteId, by: this.#person(call.actor), seatNo, timeoutMs }
    const reply = () => ({ inviteId, expireAt: this.#rules.invited().find((one) => one.inviteId === inviteId)?.endsAt })
    this.#step(call, (now) => this.#rules.invite(inviting, now), reply)
  }

  /** An application by a host, or an invitation by its guest. */
  accept(call: Call): void {
    const { userId, inviteId, seatNo } = call.d as CommandInput<'mic.accept'>
    if (!this.#isOneOf(call, userId, inviteId)) return
    if (seatNo !== undefined && this.#isNoSeat(call, seatNo)) return
    const guestId = userId ?? call.actor.userId
    const reply = () => {
      const seated = this.#rules.seatOf(guestId)
      return { seatNo: seated?.seatNo, joinByAt: seated?.endsAt }
    }
    if (inviteId === undefined) {
      const refused = this.#hostRefusal(call) ?? this.#roomRefusal()
      if (refused) call.answer(refused)
      else this.#step(call, (now) => this.#rules.admit(guestId, seatNo, now), reply)
      return
    }
    const refused = this.#guestRefusal(call.actor)
    if (refused) return call.answer(refused)
    this.#ofGuest(call, (now) => this.#rules.accept(this.#person(call.actor), { inviteId, seatNo }, now), reply)
  }

  reject(call: Call): void {
    const { userId, inviteId, reason = '' } = call.d as CommandInput<'mic.reject'>
    if (!this.#isOneOf(call, userId, inviteId)) return
    const told: Told = { reason: cleanText(reason), by: this.#person(call.actor) }
    if (inviteId !== undefined) return this.#ofGuest(call, () => this.#rules.decline({ inviteId, ...told }))
    const refused = this.#hostRefusal(call)
    if (refused) call.answer(refused)
    else this.#step(call, () => this.#rules.turnDown(userId as string, told))
  }

  /** By a host, or of one's own seat. */
  mute(call: Call, isMuted: boolean): void {
    const { seatNo } = call.d as CommandInput<'mic.mute_seat'>
    const isOwn = this.#rules.userOn(seatNo) === call.actor.userId
    const refused = isOwn ? this.#spend(call) : (this.#hostRefusal(call) ?? this.#protected(call, seatNo))
    if (refused) return call.answer(refused)
    if (this.#isNoSeat(call, seatNo)) return
    this.#step(call, () => this.#rules.mute(seatNo, isOwn ? 'self' : 'host', isMuted))
  }

  lock(call: Call, isLocked: boolean): void {
    const { seatNo } = call.d as CommandInput<'mic.lock_seat'>
    const refused = this.#hostRefusal(call)
    if (refused) return call.answer(refused)
    if (this.#isNoSeat(call, seatNo)) return
    this.#step(call, () => this.#rules.lock(seatNo, isLocked))
  }

  drop(call: Call): void {
    const { seatNo, reason = '' } = call.d as CommandInput<'mic.drop'>
    const refused = this.#hostRefusal(call) ?? this.#protected(call, seatNo)
    if (refused) return call.answer(refused)
    if (this.#isNoSeat(call, seatNo)) return
    const told: Told = { reason: cleanText(reason), by: this.#person(call.actor) }
    this.#step(call, () => {
      const userId = this.#rules.userOn(seatNo)
      return userId === undefined ? undefined : this.#rules.remove(userId, told)
    })
  }

  #isHost(actor: Actor): boolean {
    return may(this.#home.ranksOfActor(actor), 'mic')
  }

  #hostRefusal(call: Call): Answer | undefined {
    return this.#isHost(call.actor) ? this.#spend(call) : refusal('perm.denied')
  }

  /** Nobody acts on an equal or a higher one, on the mic either. */
  #protected({ actor }: Call, seatNo: number): Answer | undefined {
    const userId = this.#rules.userOn(seatNo)
    if (userId === undefined || userId === actor.userId) return undefined
    const home = this.#home
    return mayActOn(home.ranksOfActor(actor), home.ranksOf(userId)) ? undefined : refusal('perm.target_protected')
  }

  // ------------------------------------------------------------------ what happens in the room

  left(_sid: string, userId: string): void {
    const home = this.#home
    if (home.presence.isHere(userId)) return
    this.#rules.away(userId, home.now() + home.parts.config.presenceGraceMs)
    home.rearm()
  }

  /** Kicked or banned, or all their sessions were ended. */
  dropped(userId: string): void {
    this.#carry(this.#rules.remove(userId), byEngine)
  }

  muted(userId: string, by: string): void {
    this.#carry(this.#rules.remove(userId), { actor: by })
  }

  settingsChanged({ actor, hops }: Call): void {
    if (this.#home.settings.mic) return
    this.#carry(this.#rules.removeAll({ reason: 'The mic is switched off.', by: this.#person(actor) }), {
      actor: actor.userId,
      hops,
    })
  }

  closed(): void {
    this.#carry(this.#rules.removeAll({ reason: 'The live is over.', by: engine }), byEngine)
  }

  // ------------------------------------------------------------------ what the stream asks and tells

  mayPublishSeat(userId: string, kind?: MediaKind): number | undefined {
    this.run(this.#home.now())
    return this.#rules.mayPublish(userId, kind)
  }

  isSeatMuted(seatNo: number): boolean {
    return this.#rules.seat(seatNo).mutedBy !== undefined
  }

  onSeatOpened({ seatNo, userId, producerId, isPaused }: SeatProducer): void {
    this.run(this.#home.now())
    // While the node was at it the guest may have been dropped, or sat down elsewhere.
    const isTheirs = this.#rules.mayPublish(userId) === seatNo
    const facts = isTheirs ? this.#rules.opened(userId, producerId, isPaused) : undefined
    if (facts) this.#carry(facts, { actor: userId })
    else this.#media.closeSeat(seatNo, userId)
  }

  onSeatClosed({ userId, producerId }: Pick<SeatProducer, 'userId' | 'producerId'>): void {
    this.#carry(this.#rules.closed(userId, producerId, this.#home.now()), { actor: userId })
  }

  // ------------------------------------------------------------------ time

  dueAt(): number | undefined {
    return this.#rules.nextEndAt()
  }

  run(now: number): void {
    for (const userId of this.#rules.awayUsers()) if (this.#home.presence.isHere(userId)) this.#rules.back(userId)
    this.#carry(this.#rules.expire(now), byEngine)
  }

  // ------------------------------------------------------------------ inside

  #step(call: Call, step: (now: number) => MicFact[] | MicRefusal | undefined, reply: () => unknown = () => ({})): void {
    const now = this.#home.now()
    this.run(now)
    const facts = step(now)
    if (facts === undefined) return refuse(call, 'room.bad_state', { msg: 'Nobody is on this seat.' })
    if (typeof facts === 'string') return this.#refuse(call, facts)
    accept(call, reply())
    this.#carry(facts, { actor: call.actor.userId, hops: call.hops, ...(call.unchecked ? { unchecked: call.unchecked } : {}) })
  }

  #refuse(call: Call, code: MicRefusal & ErrorCode): void {
    refuse(call, code, code === 'mic.queue_full' ? { retryAfterMs: 5_000 } : {})
  }

  #spend({ actor, at }: Call): Answer | undefined {
    const retryAfterMs = may(this.#home.ranksOfActor(actor), 'act_as_engine') ? 0 : this.#people.take(actor.userId, at, rate)
    return retryAfterMs > 0 ? refusal('rate.limited', { retryAfterMs }) : undefined
  }

  /** Answered when not exactly one is given. */
  #isOneOf(call: Call, userId: string | undefined, inviteId: string | undefined): boolean {
    const isOne = (userId === undefined) !== (inviteId === undefined)
    if (!isOne) refuse(call, 'request.invalid', { d: { field: 'userId' }, msg: 'Give either userId or inviteId.' })
    return isOne
  }

  /** Answered when the room has no such seat. */
  #isNoSeat(call: Call, seatNo: number): boolean {
    const max = this.#home.parts.config.micSeats
    if (seatNo <= max) return false
    refuse(call, 'request.invalid', { d: { field: 'seatNo', max } })
    return true
  }

  #person(actor: Actor): PersonShape {
    const role = shownRole(this.#home.ranksOfActor(actor))
    return { id: actor.userId, name: actor.name, ...(role === undefined ? {} : { role }) }
  }

  #carry(facts: readonly MicFact[], by: By): void {
    for (const fact of facts) this.#carryOne(fact, by)
    if (facts.length === 0) return
    this.#numbers.add(facts)
    this.#home.dropSnapshots()
    this.#home.rearm()
  }

  #carryOne(fact: MicFact, by: By): void {
    const home = this.#home
    switch (fact.is) {
      case 'seat':
        return home.decide(home.event('mic.seat_changed', { seat: this.#rules.seat(fact.seatNo), by: by.actor }, by))
      case 'queue':
        return home.decide(home.event('mic.queue_changed', { waiting: this.#rules.waiting }, by))
      case 'silenced':
        return this.#media.closeSeat(fact.seatNo, fact.userId)
      case 'paused':
        return this.#media.muteSeat(fact.seatNo, fact.isPaused)
      case 'moved':
        return this.#media.moveSeat(fact.from, fact.to)
      default:
        this.#notices.tell(fact)
    }
  }
}
