/** What the mic tells one person alone, or the hosts of a room: notices without a seq, to every session of a user and to nobody else. */
import type { SessionEventData, SessionEventName } from '../../schemas/messages.ts'
import { subjects } from '../../schemas/subjects.ts'
import type { UserEventHead } from '../room/call.ts'
import type { Home } from '../room/home.ts'
import type { Invited, MicFact, MicRules } from './mic-rules.ts'

export type Notice = Exclude<MicFact, { is: 'seat' | 'queue' | 'silenced' | 'paused' | 'moved' }>

export class MicNotices {
  readonly #home: Home
  readonly #rules: MicRules

  constructor(home: Home, rules: MicRules) {
    this.#home = home
    this.#rules = rules
  }

  tell(fact: Notice): void {
    const { userId } = fact
    switch (fact.is) {
      case 'applied':
        return this.#tellHosts(userId)
      case 'place':
        return this.#send(userId, 'mic.place_changed', { place: fact.place })
      case 'invited':
        return this.#tellInvited(userId)
      case 'granted':
        return this.#send(userId, 'mic.accepted', { seatNo: fact.seatNo, joinByAt: fact.joinByAt })
      case 'rejected':
        return this.#send(userId, 'mic.rejected', { reason: fact.reason, by: fact.by })
      case 'timed_out':
        return this.#send(userId, 'mic.timed_out', { what: fact.what })
    }
  }

  #tellHosts(userId: string): void {
    const { info, people, presence } = this.#home
    const applicant = this.#rules.applicants().find(({ user }) => user.id === userId)
    if (!applicant) return
    const admins = [...people.roles].filter(([, granted]) => granted.has('admin')).map(([id]) => id)
    for (const id of new Set([info.ownerId, ...admins])) if (presence.isHere(id)) this.#send(id, 'mic.applied', { applicant })
  }

  #tellInvited(userId: string): void {
    const invited = this.#rules.invited().find(({ person }) => person.id === userId)
    if (invited) this.#send(userId, 'mic.invited', invitationOf(invited))
  }

  #send<T extends SessionEventName>(userId: string, t: T, d: SessionEventData<T>): void {
    const { id, parts } = this.#home
    parts.bus.publish(subjects.userEvents(userId), { head: { t, room: id, at: this.#home.now(), d } satisfies UserEventHead })
  }
}

export function invitationOf({ inviteId, by, seatNo, endsAt }: Invited): SessionEventData<'mic.invited'> {
  return { inviteId, by, ...(seatNo === undefined ? {} : { seatNo }), expireAt: endsAt }
}
