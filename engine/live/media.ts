/**
 * What a room needs of media: a node that does what `schemas/sfu.ts` names. That it is a process, and may be starting, busy or dead, is
 * the business of `engine/media/`.
 */
import type { LineName, MediaKind, SfuAnswer, SfuAsk, SfuError, SfuRequest } from '../../schemas/sfu.ts'
import type { IceServer } from '../config.ts'

/** To viewers of a room, bits a second: now, and most of it since the room was opened for media. */
export interface Egress {
  egressBps: number
  egressBpsPeak: number
}

export interface MediaNode {
  readonly isReady: boolean
  /** What it is at while it is not ready, in words for whoever wants to go live. */
  readonly waitsFor: string
  readonly iceServers: readonly IceServer[]
  /** Of the whole node; a room may have a higher one of its own. */
  readonly degradeLevel: number
  /** Undefined while nothing was measured. */
  egressOf(room: string): Egress | undefined
  /** Rejects with a `MediaProblem` and nothing else. */
  request<R extends SfuRequest>(name: R, ask: SfuAsk<R>): Promise<SfuAnswer<R>>
  /** What must be done and nobody waits for. */
  tell<R extends SfuRequest>(name: R, ask: SfuAsk<R>): void
}

/** Why the node did not do it: a code that a client may see, and words. */
export class MediaProblem extends Error {
  readonly code: SfuError['code']

  constructor(code: SfuError['code'], msg: string) {
    super(msg)
    this.name = 'MediaProblem'
    this.code = code
  }
}

/** What rooms count of media, all of them together. */
export interface StreamMeters {
  takeovers: number
  cuts: number
  failovers: number
  lost: number
  /** Now: viewers by WHEP, who have no session and are not counted as online. */
  whepViewers: number
  qosReports: number
  qosRefused: number
  qosPlayMs: number
  qosStallMs: number
  qosAlerts: number
}
export const newStreamMeters = (): StreamMeters => ({
  ...{ takeovers: 0, cuts: 0, failovers: 0, lost: 0, whepViewers: 0 },
  ...{ qosReports: 0, qosRefused: 0, qosPlayMs: 0, qosStallMs: 0, qosAlerts: 0 },
})

/** The mic, all rooms together: how it is now, and what was not answered in time. */
export interface MicMeters {
  waiting: number
  invited: number
  seated: number
  applications: number
  invitations: number
  grants: number
  lateApplications: number
  lateInvitations: number
  lateGrants: number
}
export const newMicMeters = (): MicMeters => ({
  ...{ waiting: 0, invited: 0, seated: 0, applications: 0, invitations: 0, grants: 0 },
  ...{ lateApplications: 0, lateInvitations: 0, lateGrants: 0 },
})

/** Who is on the mic decides the part for it; the stream asks it who may be heard, and tells it what becomes of it. */
export interface SeatStage {
  /** Without a kind: whether anything. */
  mayPublishSeat(userId: string, kind?: MediaKind): number | undefined
  /** Muted: what is published there begins unheard. */
  isSeatMuted(seatNo: number): boolean
  onSeatOpened(seat: SeatProducer): void
  onSeatClosed(seat: Omit<SeatProducer, 'isPaused'>): void
}
export interface SeatProducer {
  seatNo: number
  userId: string
  kind: MediaKind
  producerId: string
  /** As it was opened. */
  isPaused: boolean
}
export type { LineName }
