/**
 * The mic (连麦) of one room as pure rules: who waits, who is invited, who is on which seat. No clock and no I/O: `now` comes in, and what
 * follows from a step comes out as facts, which `mic.ts` turns into events, private notices and media.
 *
 *     idle -apply-> applied -accept by a host-> granted -join, publish-> live <-> suspended -> idle
 *     idle -invite by a host-> invited -accept by the guest-> granted
 *
 *     const facts = mic.apply({ person, kind: 'audio', order: 1 }, now)     // or the code of a refusal
 *     mic.expire(now)                                                       // before each step: nothing outlives its time
 *
 * A user is in one of these states at most, so nobody waits twice or has two seats. Everything that waits for somebody has an end:
 * 5 min for an application, what the host says for an invitation, 15 s from the grant to the first media, 20 s to come back.
 * Muting has two sides, each cleared by whoever set it alone; one of them is enough for silence, and it goes along to another seat.
 */
import type { MicApplicantShape, PersonShape, SeatShape } from '../../schemas/messages.ts'
import type { MediaKind } from '../../schemas/sfu.ts'

export const applyMs = 300_000
export const inviteMsDefault = 30_000
export const joinMs = 15_000
export const returnMs = 20_000
/** Invitations that wait for an answer. */
export const invitedMax = 30

export type MicRefusal = 'mic.queue_full' | 'mic.already' | 'mic.seat_taken' | 'mic.expired' | 'mic.grant_invalid' | 'perm.denied'

export type MicFact =
  | { is: 'applied'; userId: string }
  /** How many wait is another number now. */
  | { is: 'queue' }
  | { is: 'place'; userId: string; place: number }
  | { is: 'invited'; userId: string }
  | { is: 'granted'; userId: string; seatNo: number; joinByAt: number }
  | { is: 'rejected'; userId: string; reason: string; by: PersonShape }
  /** `guestId`: whose it was, where somebody else is told of it too. */
  | { is: 'timed_out'; userId: string; what: 'application' | 'invitation' | 'seat'; guestId?: string }
  | { is: 'seat'; seatNo: number }
  /** Nothing of this user is to be heard from this seat any more. */
  | { is: 'silenced'; userId: string; seatNo: number }
  | { is: 'paused'; seatNo: number; isPaused: boolean }
  | { is: 'moved'; from: number; to: number }

export interface Applying {
  person: PersonShape
  kind: MediaKind
  note?: string | undefined
  /** Of arrival: it decides the place. */
  order: number
}
export interface Inviting {
  person: PersonShape
  kind: MediaKind
  inviteId: string
  by: PersonShape
  seatNo?: number | undefined
  timeoutMs: number
}
export interface Told {
  reason: string
  by: PersonShape
}

interface Asking {
  person: PersonShape
  kind: MediaKind
  endsAt: number
}
interface Applied extends Asking {
  is: 'applied'
  note: string | undefined
  order: number
  appliedAt: number
  /** Set: not in the room, and out of the queue at this instant. */
  awayUntil: number | undefined
}
export interface Invited extends Asking {
  is: 'invited'
  inviteId: string
  by: PersonShape
  seatNo: number | undefined
}
export interface Seated {
  is: 'granted' | 'live' | 'suspended'
  person: PersonShape
  kind: MediaKind
  seatNo: number
  /** Of a grant: its guest has come, and what is still missing is media. */
  isJoined: boolean
  producers: Set<string>
  isMutedByHost: boolean
  isMutedBySelf: boolean
  /** None while it is live. */
  endsAt: number | undefined
}
type Link = Applied | Invited | Seated

export class MicRules {
  readonly #queueMax: number
  readonly #seats: number
  readonly #links = new Map<string, Link>()
  readonly #locked = new Set<number>()
  /** The first end of all, looked for again after a change. */
  #nextEndAt: number | undefined

  constructor({ queueMax, seats }: { queueMax: number; seats: number }) {
    this.#queueMax = queueMax
    this.#seats = seats
  }

  // ------------------------------------------------------------------ looking

  get waiting(): number {
    return this.#queue().length
  }

  get isFull(): boolean {
    return this.waiting >= this.#queueMax
  }

  /** From 1; undefined when they do not wait. */
  placeOf(userId: string): number | undefined {
    const at = this.#queue().findIndex(({ person }) => person.id === userId)
    return at < 0 ? undefined : at + 1
  }

  applicants(): MicApplicantShape[] {
    return this.#queue().map(({ person, kind, note, appliedAt }, at) => {
      return { user: person, kind, ...(note === undefined ? {} : { note }), place: at + 1, appliedAt }
    })
  }

  invited(): Readonly<Invited>[] {
    return this.#all('invited')
  }

  get counts(): { waiting: number; invited: number; seated: number } {
    const counts = { waiting: 0, invited: 0, seated: 0 }
    for (const { is } of this.#links.values()) counts[is === 'applied' ? 'waiting' : is === 'invited' ? 'invited' : 'seated']++
    return counts
  }

  /** What is theirs to take up until it ends: an invitation, or a seat that is kept for them, for the first time or again. */
  offerTo(userId: string, now: number): Readonly<Invited | (Seated & { endsAt: number })> | undefined {
    const link = this.#links.get(userId)
    if (!link || link.is === 'applied' || link.endsAt === undefined || link.endsAt <= now) return undefined
    return link as Invited | (Seated & { endsAt: number })
  }

  has(userId: string): boolean {
    return this.#links.has(userId)
  }

  /** Where they sit, whatever the seat waits for. */
  seatOf(userId: string): Readonly<Seated> | undefined {
    const link = this.#links.get(userId)
    return link && isSeated(link) ? link : undefined
  }

  userOn(seatNo: number): string | undefined {
    return this.#on(seatNo)?.person.id
  }

  /** The seat that this user may publish on now: once they have joined, until it is over. */
  mayPublish(userId: string, kind?: MediaKind): number | undefined {
    const seated = this.seatOf(userId)
    if (!seated?.isJoined || (kind === 'video' && seated.kind !== 'video')) return undefined
    return seated.seatNo
  }

  isMuted(seatNo: number): boolean {
    const seated = this.#on(seatNo)
    return seated !== undefined && isSilent(seated)
  }

  seat(no: number): SeatShape {
    const seated = this.#on(no)
    if (!seated) return { no, state: 'open', locked: this.#locked.has(no) }
    const { is, person, kind, isMutedByHost } = seated
    const muted = isSilent(seated) ? { mutedBy: isMutedByHost ? ('host' as const) : ('self' as const) } : {}
    return { no, state: is === 'granted' ? 'reserved' : is, locked: false, user: person, kind, ...muted }
  }

  seats(): SeatShape[] {
    return this.#numbers().map((no) => this.seat(no))
  }

  nextEndAt(): number | undefined {
    return this.#nextEndAt
  }

  // ------------------------------------------------------------------ asking

  apply({ person, kind, note, order }: Applying, now: number): MicFact[] | MicRefusal {
    if (this.has(person.id)) return 'mic.already'
    if (this.isFull) return 'mic.queue_full'
    const before = this.#places()
    this.#put({ is: 'applied', person, kind, note, order, appliedAt: now, endsAt: now + applyMs, awayUntil: undefined })
    return [{ is: 'applied', userId: person.id }, ...this.#queueFacts(before)]
  }

  cancel(userId: string): MicFact[] | MicRefusal {
    const link = this.#links.get(userId)
    return link?.is === 'applied' ? this.#remove(link) : 'mic.expired'
  }

  invite({ person, kind, inviteId, by, seatNo, timeoutMs }: Inviting, now: number): MicFact[] | MicRefusal {
    if (this.has(person.id)) return 'mic.already'
    if (this.#freeSeat(seatNo) === undefined) return 'mic.seat_taken'
    if (this.invited().length >= invitedMax) return 'mic.queue_full'
    this.#put({ is: 'invited', person, kind, inviteId, by, seatNo, endsAt: now + timeoutMs })
    return [{ is: 'invited', userId: person.id }]
  }

  /** Of an application, by a host. */
  admit(userId: string, seatNo: number | undefined, now: number): MicFact[] | MicRefusal {
    const link = this.#links.get(userId)
    return link?.is === 'applied' ? this.#grant(link, { seatNo, person: link.person }, now) : 'mic.expired'
  }

  /** Of an invitation, by its guest: on the seat that it names, if it names one. */
  accept(
    person: PersonShape,
    { inviteId, seatNo }: { inviteId: string; seatNo?: number | undefined },
    now: number,
  ): MicFact[] | MicRefusal {
    const link = this.#links.get(person.id)
    if (link?.is !== 'invited' || link.inviteId !== inviteId) return 'mic.expired'
    return this.#grant(link, { seatNo: link.seatNo ?? seatNo, person }, now)
  }

  #grant(
    link: Applied | Invited,
    { seatNo: wanted, person }: { seatNo: number | undefined; person: PersonShape },
    now: number,
  ): MicFact[] | MicRefusal {
    const seatNo = this.#freeSeat(wanted)
    if (seatNo === undefined) return 'mic.seat_taken'
    const before = this.#places()
    const joinByAt = now + joinMs
    const fresh = { isJoined: false, producers: new Set<string>(), isMutedByHost: false, isMutedBySelf: false }
    this.#put({ is: 'granted', person, kind: link.kind, seatNo, ...fresh, endsAt: joinByAt })
    return [{ is: 'granted', userId: person.id, seatNo, joinByAt }, { is: 'seat', seatNo }, ...this.#queueFacts(before)]
  }

  /** By a host: of an application, or an invitation taken back. */
  turnDown(userId: string, told: Told): MicFact[] | MicRefusal {
    const link = this.#links.get(userId)
    return link?.is === 'applied' || link?.is === 'invited' ? this.remove(userId, told) : 'mic.expired'
  }

  /** By the guest; whoever invited them is told. */
  decline({ inviteId, ...told }: { inviteId: string } & Told): MicFact[] | MicRefusal {
    const link = this.#links.get(told.by.id)
    if (link?.is !== 'invited' || link.inviteId !== inviteId) return 'mic.expired'
    return [...this.#remove(link), { is: 'rejected', userId: link.by.id, ...told }]
  }

  /** They left the room; if they are not back by then, their place in the queue is gone. */
  away(userId: string, until: number): void {
    const link = this.#links.get(userId)
    if (link?.is !== 'applied') return
    link.awayUntil = until
    this.#look()
  }

  back(userId: string): void {
    const link = this.#links.get(userId)
    if (link?.is !== 'applied') return
    link.awayUntil = undefined
    this.#look()
  }

  awayUsers(): string[] {
    return this.#queue().flatMap(({ person, awayUntil }) => (awayUntil === undefined ? [] : [person.id]))
  }

  // ------------------------------------------------------------------ on a seat

  join(userId: string, seatNo: number): MicFact[] | MicRefusal {
    const seated = this.#seated(userId)
    if (seated?.seatNo !== seatNo) return 'mic.grant_invalid'
    seated.isJoined = true
    return []
  }

  leave(userId: string): MicFact[] | MicRefusal {
    const seated = this.#seated(userId)
    return seated ? this.#remove(seated) : 'mic.grant_invalid'
  }

  move(userId: string, to: number): MicFact[] | MicRefusal {
    const seated = this.#seated(userId)
    if (!seated?.isJoined) return 'mic.grant_invalid'
    const from = seated.seatNo
    if (from === to) return []
    if (this.#freeSeat(to) === undefined) return 'mic.seat_taken'
    seated.seatNo = to
    return [
      { is: 'moved', from, to },
      { is: 'seat', seatNo: from },
      { is: 'seat', seatNo: to },
    ]
  }

  /** Something of theirs can be heard. Undefined: they have no seat to be heard from. */
  /** `isPaused`: as it was opened, before what was said since. */
  opened(userId: string, producerId: string, isPaused = false): MicFact[] | undefined {
    const seated = this.#seated(userId)
    if (!seated?.isJoined) return undefined
    const { seatNo } = seated
    seated.producers.add(producerId)
    const isMuted = isSilent(seated)
    const muted: MicFact[] = isMuted === isPaused ? [] : [{ is: 'paused', seatNo, isPaused: isMuted }]
    if (seated.is === 'live') return muted
    seated.is = 'live'
    seated.endsAt = undefined
    this.#look()
    return [...muted, { is: 'seat', seatNo }]
  }

  closed(userId: string, producerId: string, now: number): MicFact[] {
    const seated = this.#seated(userId)
    if (!seated?.producers.delete(producerId) || seated.producers.size > 0 || seated.is !== 'live') return []
    seated.is = 'suspended'
    seated.endsAt = now + returnMs
    this.#look()
    return [{ is: 'seat', seatNo: seated.seatNo }]
  }

  /**
   * By whoever sits there, or by a host. Undefined: nobody does. A host's silence is not lifted by the guest, nor the guest's by a host:
   * nobody is heard who does not want to be.
   */
  mute(seatNo: number, side: 'host' | 'self', isMuted: boolean): MicFact[] | MicRefusal | undefined {
    const seated = this.#on(seatNo)
    if (!seated) return undefined
    const own = side === 'host' ? 'isMutedByHost' : 'isMutedBySelf'
    const wasSilent = isSilent(seated)
    const shown = this.seat(seatNo).mutedBy
    const isOthers = !seated[own] || (side === 'self' && seated.isMutedByHost)
    if (!isMuted && wasSilent && isOthers) return 'perm.denied'
    seated[own] = isMuted
    const changed: MicFact[] = isSilent(seated) === wasSilent ? [] : [{ is: 'paused', seatNo, isPaused: isMuted }]
    return this.seat(seatNo).mutedBy === shown ? changed : [...changed, { is: 'seat', seatNo }]
  }

  // ------------------------------------------------------------------ by hosts, and the end

  lock(seatNo: number, isLocked: boolean): MicFact[] | MicRefusal {
    if (isLocked && this.#on(seatNo)) return 'mic.seat_taken'
    if (this.#locked.has(seatNo) === isLocked) return []
    if (isLocked) this.#locked.add(seatNo)
    else this.#locked.delete(seatNo)
    return [{ is: 'seat', seatNo }]
  }

  /** Whatever they have here; `told`: and why. */
  remove(userId: string, told?: Told): MicFact[] {
    const link = this.#links.get(userId)
    if (!link) return []
    const notice: MicFact[] = told ? [{ is: 'rejected', userId, ...told }] : []
    return [...this.#remove(link), ...notice]
  }

  removeAll(told: Told): MicFact[] {
    const users = [...this.#links.keys()]
    const facts = users.flatMap((userId) => this.remove(userId, told))
    // Nobody needs to hear of each step on the way to an empty queue.
    const isStep = ({ is }: MicFact) => is === 'queue' || is === 'place'
    return [
      ...facts.filter((fact) => !isStep(fact)),
      ...(facts.some(({ is }) => is === 'queue') ? [{ is: 'queue' } as const] : []),
    ]
  }

  expire(now: number): MicFact[] {
    if (this.#nextEndAt === undefined || this.#nextEndAt > now) return []
    const over = [...this.#links.values()].filter((link) => (endOf(link) ?? now + 1) <= now)
    over.sort((a, b) => (endOf(a) ?? 0) - (endOf(b) ?? 0))
    return over.flatMap((link) => [...this.#remove(link), ...timeOuts(link)])
  }

  // ------------------------------------------------------------------ inside

  #queue(): Applied[] {
    return this.#all('applied').sort((a, b) => a.order - b.order)
  }

  #all<T extends Link['is']>(is: T): Extract<Link, { is: T }>[] {
    return [...this.#links.values()].filter((link) => link.is === is) as Extract<Link, { is: T }>[]
  }

  #seated(userId: string): Seated | undefined {
    return this.seatOf(userId) as Seated | undefined
  }

  #on(seatNo: number): Seated | undefined {
    for (const link of this.#links.values()) if (isSeated(link) && link.seatNo === seatNo) return link
    return undefined
  }

  #numbers(): number[] {
    return Array.from({ length: this.#seats }, (_, at) => at + 1)
  }

  /** The one that is wanted, or the first; undefined when it, or every one, is taken or locked. */
  #freeSeat(wanted: number | undefined): number | undefined {
    const isFree = (no: number) => !this.#locked.has(no) && this.#on(no) === undefined
    return this.#numbers().find((no) => (wanted === undefined || no === wanted) && isFree(no))
  }

  #put(link: Link): void {
    this.#links.set(link.person.id, link)
    this.#look()
  }

  #remove(link: Link): MicFact[] {
    const before = this.#places()
    this.#links.delete(link.person.id)
    this.#look()
    if (!isSeated(link)) return this.#queueFacts(before)
    const { seatNo } = link
    return [
      { is: 'silenced', userId: link.person.id, seatNo },
      { is: 'seat', seatNo },
    ]
  }

  #look(): void {
    this.#nextEndAt = undefined
    for (const link of this.#links.values()) {
      const endsAt = endOf(link)
      if (endsAt !== undefined) this.#nextEndAt = Math.min(endsAt, this.#nextEndAt ?? endsAt)
    }
  }

  #places(): Map<string, number> {
    return new Map(this.#queue().map(({ person }, at) => [person.id, at + 1]))
  }

  /** What the queue has to tell after a change: new places of those who waited before, and its new length. */
  #queueFacts(before: ReadonlyMap<string, number>): MicFact[] {
    const after = this.#places()
    const facts: MicFact[] = []
    for (const [userId, place] of after) {
      const was = before.get(userId)
      if (was !== undefined && was !== place) facts.push({ is: 'place', userId, place })
    }
    return after.size === before.size ? facts : [...facts, { is: 'queue' }]
  }
}

const isSeated = (link: Link): link is Seated => link.is === 'granted' || link.is === 'live' || link.is === 'suspended'
const isSilent = ({ isMutedByHost, isMutedBySelf }: Seated): boolean => isMutedByHost || isMutedBySelf

function endOf(link: Link): number | undefined {
  return link.is === 'applied' && link.awayUntil !== undefined ? Math.min(link.endsAt, link.awayUntil) : link.endsAt
}

function timeOuts(link: Link): MicFact[] {
  const userId = link.person.id
  if (link.is === 'applied') return [{ is: 'timed_out', userId, what: 'application' }]
  if (link.is !== 'invited') return [{ is: 'timed_out', userId, what: 'seat' }]
  // Whoever invited them learns of it too.
  const over = { is: 'timed_out', what: 'invitation' } as const
  return [
    { ...over, userId },
    { ...over, userId: link.by.id, guestId: userId },
  ]
}
