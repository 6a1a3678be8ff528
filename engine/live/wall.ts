/** The wall (上墙): one pinned message or text per room, shown until its time is over or it is taken down. */
import type { CommandInput, DanmakuData, WallItemShape } from '../../schemas/messages.ts'
import { type Call, refuse } from '../room/call.ts'
import type { Chore, Home } from '../room/home.ts'
import { may } from '../room/rights.ts'
import { whenAllowed } from '../room/room-commands.ts'
import { cleanText } from './text.ts'

type Source = Pick<WallItemShape, 'messageId' | 'text' | 'from'>
const showMsDefault = 60_000
const engineActor = 'engine'

export class Wall implements Chore {
  readonly #home: Home
  #hiding = false

  constructor(home: Home) {
    this.#home = home
  }

  show(call: Call): void {
    const home = this.#home
    const mayShow = () => may(home.ranksOfActor(call.actor), 'wall')
    if (mayShow() && !this.#source(call)) return this.#refuseSource(call)
    whenAllowed(home, call, mayShow, (ruled) => {
      // Guards took their time: the message may be gone.
      const source = this.#source(ruled)
      if (source) this.#show(ruled, source)
      else this.#refuseSource(ruled)
    })
  }

  #refuseSource(call: Call): void {
    const { messageId } = call.d as CommandInput<'wall.show'>
    refuse(call, messageId === undefined ? 'chat.empty' : 'message.not_found')
  }

  #show(call: Call, source: Source): void {
    const home = this.#home
    const { showMs = showMsDefault } = call.d as CommandInput<'wall.show'>
    home.change(call, () => {
      const now = home.now()
      const item: WallItemShape = {
        id: home.newId(),
        ...source,
        by: call.actor.userId,
        shownAt: now,
        untilAt: now + showMs,
      }
      return {
        changes: [{ kind: 'wall.put', wall: item }],
        events: [home.event('wall.shown', { item }, { actor: call.actor.userId })],
        apply: () => {
          home.wall = item
          home.rearm()
        },
        reply: { item },
      }
    })
  }

  hide(call: Call): void {
    if (!may(this.#home.ranksOfActor(call.actor), 'wall')) return refuse(call, 'perm.denied')
    this.#hide(call.actor.userId, call)
  }

  dueAt(): number | undefined {
    return this.#hiding ? undefined : this.#home.wall?.untilAt
  }

  run(now: number): void {
    if (this.#hiding || !this.#home.wall || this.#home.wall.untilAt > now) return
    this.#hiding = true
    this.#hide(engineActor)
  }

  #hide(by: string, call?: Call): void {
    const home = this.#home
    home.change(call, () => {
      this.#hiding = false
      const { wall } = home
      if (!wall) {
        if (call) refuse(call, 'wall.empty')
        return undefined
      }
      return {
        changes: [{ kind: 'wall.put', wall: undefined }],
        events: [home.event('wall.hidden', { id: wall.id }, { actor: by })],
        apply: () => {
          home.wall = undefined
        },
      }
    })
  }

  #source(call: Call): Source | undefined {
    const d = call.d as CommandInput<'wall.show'>
    if (d.messageId === undefined) {
      const text = cleanText(d.text ?? '')
      return text === '' ? undefined : { text }
    }
    const event = this.#home.danmaku.find(d.messageId)
    if (!event || event.only !== undefined) return undefined
    const { text, from } = event.d as DanmakuData
    return { messageId: d.messageId, text, from }
  }
}
