/**
 * The mic, as a guest has it: ask for it or be invited, take the seat, speak, leave. What a host does are commands of the room
 * (`mic.accept`, `mic.drop`, ...) and need no media.
 *
 *     await media.mic.apply({ kind: 'audio' })             // mic.view.place: where in the queue
 *     media.on('change', () => media.mic.view.granted && showButton())
 *     await media.mic.join()                               // opens the microphone, takes the seat, is heard
 *     await media.mic.mute(true)
 *     await media.mic.leave()
 */
import type { CommandInput, Messages, MicInfoShape, SeatShape } from '../../schemas/messages.ts'
import type { MediaRoom } from './media.ts'
import { type MediaSource, openSource, stopTracks } from './media-devices.ts'
import type { Publication } from './media-publication.ts'

type Kind = NonNullable<CommandInput<'mic.apply'>['kind']>

/** A guest is shown small. */
const guestPicture = { width: 640, height: 360, fps: 24 }

export interface MicView {
  /** In the queue, from 1. */
  place: number | undefined
  invitation: Messages['mic.invited'] | undefined
  /** A seat is kept until `joinByAt`. */
  granted: Messages['mic.accepted'] | undefined
  /** This user's own. */
  seat: SeatShape | undefined
  /** How the last try ended, if it was not by this user. */
  ended: { code: 'rejected' | 'timed_out' | 'dropped'; reason: string } | undefined
}
export interface MicParts {
  room: MediaRoom
  publication(): Publication | undefined
  publish(source: MediaSource, stream: MediaStream): Promise<void>
  onChange(): void
}

export class Mic {
  readonly #parts: MicParts
  #kind: Kind = 'audio'
  #place: number | undefined
  #invitation: Messages['mic.invited'] | undefined
  #granted: Messages['mic.accepted'] | undefined
  #ended: MicView['ended']
  #wasMine = false

  constructor(parts: MicParts) {
    this.#parts = parts
    this.returned()
  }

  get #info(): MicInfoShape | undefined {
    return this.#parts.room.state.mic
  }

  get view(): MicView {
    return { place: this.#place, invitation: this.#invitation, granted: this.#granted, seat: this.seat, ended: this.#ended }
  }

  /** Taken, or kept for this user. */
  get #mine(): SeatShape | undefined {
    const { userId } = this.#parts.room.state.me
    return this.#info?.seats.find(({ user }) => user?.id === userId)
  }

  /** Of this page: a seat that is only kept, or that another tab has taken, is none. */
  get seat(): SeatShape | undefined {
    return this.#parts.publication() ? this.#mine : undefined
  }

  // ------------------------------------------------------------------ what the guest does

  /** The device is opened for a moment: the browser asks its question now, and not in the seconds that a seat is kept. */
  async apply({ kind = 'audio', note }: { kind?: Kind; note?: string } = {}): Promise<number> {
    this.#kind = kind
    this.#ended = undefined
    stopTracks(await openSource(sourceOf(kind)))
    const { place } = await this.#parts.room.call('mic.apply', { kind, ...(note === undefined ? {} : { note }) })
    if (this.#granted === undefined) this.#place = place
    this.#parts.onChange()
    return place
  }

  async cancel(): Promise<void> {
    await this.#parts.room.call('mic.cancel', {})
    this.#forget()
  }

  /** An invitation. */
  async accept({ kind = 'audio' }: { kind?: Kind } = {}): Promise<void> {
    const inviteId = this.#invitation?.inviteId
    if (inviteId === undefined) return
    this.#kind = kind
    this.#granted = await this.#parts.room.call('mic.accept', { inviteId })
    this.#invitation = undefined
    this.#parts.onChange()
  }

  async decline(): Promise<void> {
    const inviteId = this.#invitation?.inviteId
    this.#invitation = undefined
    this.#parts.onChange()
    if (inviteId !== undefined) await this.#parts.room.call('mic.reject', { inviteId })
  }

  /** The device first: who says no to the browser loses no seat by it. */
  async join({
    camera,
    seatNo = this.#granted?.seatNo,
  }: {
    camera?: MediaSource
    seatNo?: number | undefined
  } = {}): Promise<void> {
    if (seatNo === undefined) throw new TypeError('mic.join: nobody gave you a seat')
    const source = camera ?? sourceOf(this.#kind)
    const stream = await openSource(source)
    try {
      await this.#parts.room.call('mic.join', { seatNo })
      this.#forget()
      await this.#parts.publish(source, stream)
    } catch (error) {
      stopTracks(stream)
      throw error
    }
  }

  async leave(): Promise<void> {
    this.#parts.publication()?.end('left')
    this.#forget()
    await this.#parts.room.call('mic.leave', {})
  }

  /** At once here, and told to the room, so that everybody sees it. */
  async mute(isMuted: boolean): Promise<void> {
    this.#parts.publication()?.setSilent(isMuted)
    const { seat } = this
    if (seat) await this.#parts.room.call(isMuted ? 'mic.mute_seat' : 'mic.unmute_seat', { seatNo: seat.no })
  }

  // ------------------------------------------------------------------ what it is told

  #forget(): void {
    this.#place = undefined
    this.#invitation = undefined
    this.#granted = undefined
    this.#ended = undefined
    this.#parts.onChange()
  }

  onEvent(t: string, d: unknown): void {
    if (t === 'mic.place_changed') this.#place = (d as Messages['mic.place_changed']).place
    else if (t === 'mic.invited') this.#invitation = d as Messages['mic.invited']
    else if (t === 'mic.accepted') this.#onAccepted(d as Messages['mic.accepted'])
    else if (t === 'mic.rejected') this.#onEnd({ code: 'rejected', reason: (d as Messages['mic.rejected']).reason })
    else if (t === 'mic.timed_out') this.#onEnd({ code: 'timed_out', reason: (d as Messages['mic.timed_out']).what })
    else if (t === 'mic.seat_changed') this.#onSeat()
    else return
    this.#parts.onChange()
  }

  #onAccepted(granted: Messages['mic.accepted']): void {
    this.#forget()
    this.#granted = granted
  }

  #onEnd(ended: NonNullable<MicView['ended']>): void {
    this.#forget()
    this.#ended = ended
  }

  #onSeat(): void {
    const wasMine = this.#wasMine
    const mine = this.#mine
    this.#wasMine = mine !== undefined
    if (mine?.state === 'live') this.#granted = undefined
    if (!wasMine || mine) return
    this.#granted = undefined
    this.#endPublication()
  }

  #endPublication(): void {
    const publication = this.#parts.publication()
    if (!publication) return
    this.#ended ??= { code: 'dropped', reason: '' }
    publication.end('dropped')
  }

  /** As the state of the room has it: at first, after a reconnect (`stream.publish` takes a kept seat up again), after a reload. */
  returned(): void {
    const { invitation, granted } = this.#parts.room.state.me
    const mine = this.#mine
    this.#place = this.#info?.place
    this.#invitation = invitation
    this.#granted = granted
    this.#kind = mine?.kind ?? this.#kind
    this.#wasMine = mine !== undefined
    if (!mine) this.#endPublication()
    this.#parts.onChange()
  }
}

const sourceOf = (kind: Kind): MediaSource => ({ camera: { audio: true, video: kind === 'video', ...guestPicture } })
