/**
 * The homes on this node: opened when the first command for a room arrives, let go when a closed room has been empty for a while.
 *
 * Commands come over the bus, `lh.room.<id>.cmd` for one room and `lh.rooms.cmd` for what concerns none (`room.create`, `room.list`).
 * While a home is being opened from disk its commands wait, at most `waitingMax`; a leave is never refused.
 */
import type { CommandInput, CommandReply, RoomInfoShape } from '../../schemas/messages.ts'
import type { SfuEvent } from '../../schemas/sfu.ts'
import { subjects } from '../../schemas/subjects.ts'
import type { Delivery } from '../base/bus.ts'
import { refusalOfVerdict } from '../plugin/checks/guards.ts'
import type { Asker } from '../plugin/define.ts'
import { type Actor, type Answer, accept, type Call, type CallSession, type FramePlace, type Joined, refuse } from './call.ts'
import { bannerCommand, commandsOf, mediaCommand, type RunCommand, runOwned } from './commands.ts'
import { Directory } from './directory.ts'
import { Home } from './home.ts'
import type { HomeParts } from './home-parts.ts'
import { Idempotency } from './idempotency.ts'
import { engineUserId, isEngines, ranksOfScope } from './rights.ts'
import { defaultSettings } from './settings.ts'

/** What a command looks like on the bus. */
export interface CommandHead {
  t: string
  d: unknown
  ik?: string | undefined
  actor: Actor
  session?: CallSession | undefined
  hops?: number
}
/** And its answer: what is bytes in `Joined` travels as parts. */
export type AnswerHead =
  | { ok: true; d: unknown; replayed?: true; joined?: Omit<Joined, 'parts'>; place?: FramePlace }
  | Extract<Answer, { ok: false }>

interface Running {
  home: Home
  run: RunCommand
}

const waitingMax = 10_000
const liveIdScopes = ['streamer', 'operator']

export class Homes {
  readonly #parts: HomeParts
  readonly #running = new Map<string, Running>()
  readonly #opening = new Map<string, Call[]>()
  readonly directory = new Directory()
  /** Of commands that concern no one room. */
  readonly #idempotency: Idempotency
  #stops: (() => void)[] = []

  constructor(parts: Omit<HomeParts, 'onIdle' | 'onInfo'>) {
    this.#idempotency = new Idempotency(parts.config.idemEntriesMax)
    this.#parts = {
      ...parts,
      onIdle: (home) => this.#letGo(home),
      onInfo: (home) => this.directory.set(home.info, home.presence.online.unique),
    }
  }

  async start(): Promise<void> {
    for (const { info } of await this.#parts.store.listOpen()) this.directory.set(info, 0)
    this.#stops = [
      this.#parts.bus.subscribe(subjects.anyRoomCommand, (delivery) =>
        this.#receive(delivery, (call) => this.#dispatch(roomOf(delivery), call)),
      ),
      this.#parts.bus.subscribe(subjects.worldBanner, ({ head }) => this.#showBanner(head)),
      this.#parts.bus.subscribe(subjects.anyUserClose, (delivery) => this.#dropUser(userOf(delivery))),
      this.#parts.bus.subscribe(subjects.roomsCommand, (delivery) => this.#receive(delivery, (call) => this.#runRoomless(call))),
    ]
  }

  stop(): void {
    for (const stop of this.#stops) stop()
    for (const { home } of this.#running.values()) home.finish()
  }

  find(roomId: string): Home | undefined {
    return this.#running.get(roomId)?.home
  }

  get loaded(): number {
    return this.#running.size
  }

  /** For those in the same process that have no socket: the admin API, the start of the engine. */
  call(roomId: string | undefined, head: CommandHead): Promise<Answer> {
    return new Promise((resolve) => {
      const call = this.#newCall(head, resolve)
      if (roomId === undefined) this.#runRoomless(call)
      else this.#dispatch(roomId, call)
    })
  }

  #receive(delivery: Delivery, run: (call: Call) => void): void {
    run(this.#newCall(delivery.head as CommandHead, (answer) => respond(delivery, answer)))
  }

  #newCall(head: CommandHead, onAnswer: (answer: Answer) => void): Call {
    let answered = false
    return {
      t: head.t,
      d: head.d,
      ik: head.ik,
      actor: head.actor,
      session: head.session,
      hops: head.hops ?? 0,
      at: this.#parts.clock.now(),
      answer(answer) {
        if (answered) return
        answered = true
        onAnswer(answer)
      },
    }
  }

  #dispatch(roomId: string, call: Call): void {
    const running = this.#running.get(roomId)
    if (running) return this.#run(running, call)
    const waiting = this.#opening.get(roomId)
    if (!waiting) void this.#open(roomId, call)
    // An edge tells one leave of a session that was in, and another when it has an answer: there are no more than connections.
    else if (waiting.length < waitingMax || isLeave(call)) waiting.push(call)
    else refuse(call, 'server.busy', { retryAfterMs: 1_000 })
  }

  #run(running: Running, call: Call): void {
    try {
      running.run(call)
    } catch (error) {
      this.#parts.onError(error, running.home.id)
      refuse(call, 'server.internal')
    }
  }

  async #open(roomId: string, first: Call): Promise<void> {
    const waiting = [first]
    this.#opening.set(roomId, waiting)
    const opened = await this.#load(roomId)
    this.#opening.delete(roomId)
    for (const call of waiting) {
      // In a room that is not there nobody is counted.
      if (typeof opened === 'string' && isLeave(call)) accept(call, {})
      else if (typeof opened === 'string')
        refuse(call, opened, opened === 'server.store_unavailable' ? { retryAfterMs: 1_000 } : {})
      else this.#run(opened, call)
    }
  }

  async #load(roomId: string): Promise<Running | 'room.not_found' | 'server.store_unavailable'> {
    try {
      const record = await this.#parts.store.openHome(roomId)
      if (!record) return 'room.not_found'
      const home = new Home(record, this.#parts)
      const running = { home, run: commandsOf(home) }
      this.#running.set(roomId, running)
      return running
    } catch (error) {
      this.#parts.onError(error, roomId)
      return 'server.store_unavailable'
    }
  }

  #letGo(home: Home): void {
    this.#running.delete(home.id)
    this.#parts.scheduler.forget(home)
    this.#parts.accounts.drop(home.id)
  }

  /** A gift large enough for every room that is open. */
  #showBanner(d: unknown): void {
    for (const running of this.#running.values()) this.#runOwn(running, bannerCommand, d)
  }

  /** What the media node tells of one room, or of all. A room that is not loaded has no media. */
  onMedia(event: SfuEvent): void {
    const roomId = 'room' in event ? event.room : undefined
    if (roomId === undefined) {
      for (const running of this.#running.values()) this.#runOwn(running, mediaCommand, event)
      return
    }
    const running = this.#running.get(roomId)
    if (running) this.#runOwn(running, mediaCommand, event)
  }

  #runOwn(running: Running, t: string, d: unknown): void {
    const actor = { userId: engineUserId, name: 'Engine', anonymous: false, scope: [] }
    this.#run(
      running,
      this.#newCall({ t, d, actor }, () => {}),
    )
  }

  #dropUser(userId: string): void {
    for (const { home } of this.#running.values()) home.dropUser(userId)
  }

  // ------------------------------------------------------------------ commands without a room

  #runRoomless(call: Call): void {
    if (call.t === 'room.list') return accept(call, this.directory.list(call.d as CommandInput<'room.list'>, call.at))
    if (call.t === 'wallet.get') return void this.#wallet(call)
    if (call.t === 'room.create') return this.#once(call, (begun) => void this.#create(begun))
    if (this.#parts.plugins.find(call.t)?.room !== false) return refuse(call, 'request.unknown_command')
    this.#once(call, (begun) => runOwned(begun, this.#parts))
  }

  async #wallet(call: Call): Promise<void> {
    const { billing, onError, transforms } = this.#parts
    if (!billing) return refuse(call, 'billing.unavailable', { retryAfterMs: 5_000 })
    try {
      const { paid, bonus, bean } = await billing.wallet(call.actor.userId)
      const d: CommandReply<'wallet.get'> = { coinPaid: Number(paid), coinBonus: Number(bonus), bean: String(bean) }
      const ask = { room: '', at: call.at, from: roomlessAsker(call.actor), d }
      accept(
        call,
        await transforms.run('wallet.get', ask, (known, { level }) => (isCount32(level) ? { ...known, level } : undefined)),
      )
    } catch (error) {
      onError(error, `wallet of ${call.actor.userId}`)
      refuse(call, 'billing.unavailable', { retryAfterMs: 1_000 })
    }
  }

  /** Run a command unless its key was used before. */
  #once(call: Call, handler: RunCommand): void {
    if (call.ik === undefined) return handler(call)
    const begun = this.#idempotency.begin(call)
    if ('ok' in begun) call.answer(begun)
    else handler(begun)
  }

  async #create(call: Call): Promise<void> {
    const { parts, info } = { parts: this.#parts, info: this.#newRoom(call) }
    if (typeof info === 'string') return refuse(call, info)
    try {
      const refused = await this.#ruled(call)
      if (refused) return call.answer(refused)
    } catch (error) {
      parts.onError(error, info.id)
      return refuse(call, 'server.internal')
    }
    const log = { eid: parts.newId(call.at), t: 'room.created', at: call.at, actor: call.actor.userId, d: { room: info } }
    try {
      const created = await parts.store.createRoom(info, defaultSettings, log)
      if (created === 'created') accept(call, { room: info })
      else refuse(call, created === 'exists' ? 'room.exists' : 'room.too_many')
    } catch (error) {
      parts.onError(error, info.id)
      refuse(call, 'server.store_unavailable', { retryAfterMs: 1_000 })
    }
  }

  /** What the guards of a command without a room say, when they refuse it. */
  async #ruled({ t, d, at, actor }: Call): Promise<Answer | undefined> {
    const { guards } = this.#parts
    if (!guards.has(t) || isEngines(actor)) return undefined
    const { verdict } = await guards.ask(t, { room: '', at, from: roomlessAsker(actor), d })
    return refusalOfVerdict(verdict)
  }

  #newRoom(call: Call): RoomInfoShape | 'perm.denied' {
    const { actor } = call
    const d = call.d as CommandInput<'room.create'>
    const isOperator = actor.scope.includes('operator')
    if (!actor.scope.some((scope) => liveIdScopes.includes(scope))) return 'perm.denied'
    if (d.ownerId !== undefined && d.ownerId !== actor.userId && !isOperator) return 'perm.denied'
    return {
      id: d.roomId ?? this.#parts.newId(call.at),
      ownerId: d.ownerId ?? actor.userId,
      title: d.title,
      intro: d.intro ?? '',
      theme: d.theme ?? '',
      categoryId: d.categoryId ?? '',
      cover: d.cover ?? '',
      state: 'closed',
      version: 1,
    }
  }
}

const roomlessAsker = ({ userId, name, anonymous, scope }: Actor): Asker => {
  return { userId, name, anonymous, ranks: ranksOfScope(scope) }
}
const isCount32 = (value: unknown): value is number =>
  Number.isInteger(value) && (value as number) >= 0 && (value as number) < 2 ** 31
const isLeave = ({ t }: Call): boolean => t === 'room.leave'
const roomOf = (delivery: Delivery): string => delivery.subject.split('.')[2] as string
const userOf = roomOf

function respond(delivery: Delivery, answer: Answer): void {
  if (!answer.ok || !answer.joined) return delivery.reply?.({ head: answer })
  const { parts, ...joined } = answer.joined
  delivery.reply?.({ head: { ok: true, d: undefined, joined } satisfies AnswerHead, parts })
}
