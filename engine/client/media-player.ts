/**
 * What plays here: the show, and the guests on the mic, each in the elements that a page gave.
 *
 * A stream belongs to an element for as long as the element is there; tracks come and go in it. So while a connection is made anew the
 * last picture stays, and nothing flickers.
 */
import type { types } from 'mediasoup-client'
import type { ErrorCode } from '../../schemas/errors.ts'
import type { MediaTrackShape } from '../../schemas/messages.ts'
import { RefusedError } from './faults.ts'
import { Ladder } from './media-layers.ts'
import type { MediaCall, Transports } from './media-transports.ts'

/** The show, or the guest on a seat. */
export type Part = 'main' | number

interface Playing {
  track: MediaTrackShape
  part: Part
  consumer: types.Consumer
  layers: number
  /** As asked for last. */
  layer: number
}
interface PlayerParts {
  call: MediaCall
  onChange(): void
}

const partOf = ({ source, seatNo }: MediaTrackShape): Part => (source === 'main' ? 'main' : (seatNo ?? 0))

export class Player {
  readonly ladder = new Ladder()
  readonly #parts: PlayerParts
  readonly #elements = new Map<HTMLMediaElement, Part>()
  readonly #streams = new Map<Part, MediaStream>()
  readonly #playing = new Map<string, Playing>()
  /** Tracks that this device cannot play: not asked for again. */
  readonly #refused = new Map<string, RefusedError>()
  #isMuted = false
  #needsGesture = false

  constructor(parts: PlayerParts) {
    this.#parts = parts
  }

  get isMuted(): boolean {
    return this.#isMuted
  }
  /** The browser lets no sound be heard before somebody pressed something: `setMuted(false)` from there. */
  get needsGesture(): boolean {
    return this.#needsGesture
  }
  get hasElements(): boolean {
    return this.#elements.size > 0
  }

  problem(tracks: readonly MediaTrackShape[]): RefusedError | undefined {
    return tracks.map(({ id }) => this.#refused.get(id)).find((one) => one !== undefined)
  }

  /** Of the show. */
  main(kind: 'audio' | 'video'): Playing | undefined {
    return [...this.#playing.values()].find(({ part, track }) => part === 'main' && track.kind === kind)
  }

  isPlaying(part: Part, kind: 'audio' | 'video'): boolean {
    return [...this.#playing.values()].some((one) => one.part === part && one.track.kind === kind)
  }

  /** How loud a guest is just now, 0 to 1. */
  level(seatNo: number): number {
    const sound = [...this.#playing.values()].find(({ part, track }) => part === seatNo && track.kind === 'audio')
    return sound?.consumer.rtpReceiver?.getSynchronizationSources?.()[0]?.audioLevel ?? 0
  }

  // ------------------------------------------------------------------ elements

  attach(element: HTMLMediaElement, part: Part): void {
    this.#elements.set(element, part)
    element.srcObject = this.#stream(part)
    element.muted = this.#isMuted
    void this.#start(element)
  }

  detach(element: HTMLMediaElement): void {
    if (!this.#elements.delete(element)) return
    element.srcObject = null
  }

  setMuted(isMuted: boolean): void {
    this.#isMuted = isMuted
    if (!isMuted) this.#needsGesture = false
    for (const element of this.#elements.keys()) {
      element.muted = isMuted
      void this.#start(element)
    }
    this.#parts.onChange()
  }

  #stream(part: Part): MediaStream {
    const known = this.#streams.get(part)
    if (known) return known
    const made = new MediaStream()
    this.#streams.set(part, made)
    return made
  }

  async #start(element: HTMLMediaElement): Promise<void> {
    const stream = element.srcObject as MediaStream | null
    if (!stream || stream.getTracks().length === 0) return
    try {
      await element.play()
    } catch (error) {
      // Anything else is an element that was taken away, or given another stream, meanwhile.
      if ((error as Error).name !== 'NotAllowedError' || this.#isMuted) return
      this.#isMuted = true
      this.#needsGesture = true
      for (const one of this.#elements.keys()) {
        one.muted = true
        void this.#start(one)
      }
      this.#parts.onChange()
    }
  }

  // ------------------------------------------------------------------ tracks

  wanted(tracks: readonly MediaTrackShape[], userId: string): MediaTrackShape[] {
    const parts = new Set(this.#elements.values())
    // Nobody hears themselves on the mic.
    return tracks.filter((track) => parts.has(partOf(track)) && !(track.source === 'seat' && track.userId === userId))
  }

  isComplete(wanted: readonly MediaTrackShape[]): boolean {
    const isDone = ({ id }: MediaTrackShape) => this.#playing.has(id) || this.#refused.has(id)
    const ids = new Set(wanted.map(({ id }) => id))
    return wanted.every(isDone) && [...this.#playing.keys()].every((id) => ids.has(id))
  }

  async bring(transports: Transports, wanted: readonly MediaTrackShape[]): Promise<void> {
    const ids = new Set(wanted.map(({ id }) => id))
    for (const id of this.#refused.keys()) if (!ids.has(id)) this.#refused.delete(id)
    for (const [id, playing] of [...this.#playing]) if (!ids.has(id)) this.#stop(id, playing)
    // Side by side: each is an answer of the engine away, and they are set up in turn anyway.
    await Promise.all(
      wanted.filter(({ id }) => !this.#playing.has(id) && !this.#refused.has(id)).map((one) => this.#play(transports, one)),
    )
  }

  async #play(transports: Transports, track: MediaTrackShape): Promise<void> {
    const part = partOf(track)
    try {
      const { consumer, layers } = await transports.receive(track, part === 'main' ? 'main' : `seat-${part}`)
      if (transports.isClosed) return
      const playing: Playing = { track, part, consumer, layers, layer: layers - 1 }
      this.#playing.set(track.id, playing)
      this.#stream(part).addTrack(consumer.track)
      for (const [element, of] of this.#elements) if (of === part) void this.#start(element)
      await this.#ask(playing)
      this.#parts.onChange()
    } catch (error) {
      if (!(error instanceof RefusedError) || !unplayable.has(error.code)) throw error
      this.#refused.set(track.id, error)
    }
  }

  #stop(id: string, { part, consumer }: Playing, tell = true): void {
    this.#playing.delete(id)
    this.#streams.get(part)?.removeTrack(consumer.track)
    if (tell && !consumer.closed)
      this.#parts.call('stream.stop_play', { consumerId: consumer.id }).catch(() => undefined /* it ended there first */)
    consumer.close()
    this.#parts.onChange()
  }

  /** The node ended it; whether to play it again says the list of tracks. */
  drop(consumerId: string): boolean {
    const found = [...this.#playing].find(([, { consumer }]) => consumer.id === consumerId)
    if (found) this.#stop(...found, false)
    return found !== undefined
  }

  /** The transports are gone and their consumers with them. */
  forget(): void {
    for (const [id, playing] of [...this.#playing]) this.#stop(id, playing, false)
    this.#refused.clear()
  }

  // ------------------------------------------------------------------ quality

  async steer(): Promise<void> {
    await Promise.all([...this.#playing.values()].map((playing) => this.#ask(playing)))
  }

  async #ask(playing: Playing): Promise<void> {
    const { consumer, layers, layer, part } = playing
    if (layers < 2 || part !== 'main') return
    const spatial = this.ladder.layer(layers)
    if (spatial === layer) return
    playing.layer = spatial
    try {
      await this.#parts.call('stream.set_layers', { consumerId: consumer.id, spatial })
    } catch {
      playing.layer = layer // asked again with the next look
    }
  }
}

/** Refusals that no other transport would change. `stream.gone` may mean the transport: then all is made anew. */
const unplayable: ReadonlySet<string> = new Set<ErrorCode>(['stream.codec', 'stream.bad_params'])
