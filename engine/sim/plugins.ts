/**
 * Plugins that misbehave under the seed, attached to the real host, and what became of all that they were asked.
 *
 * | plugin | what it does |
 * |---|---|
 * | `watch` | guards danmaku: shadows and ponders as the script says, always in time; it notes every question |
 * | `door` | guards joins, at times for longer than the edge waits, and gifts |
 * | `gate-open`, `gate-closed` | guard danmaku: allow, deny, shadow, hold, challenge, or fail in every way |
 * | `dress` | transforms danmaku and joins: in time, late, never, with rubbish |
 * | `game` | commands with any delay, events on every lane, a schedule, posts as a bot |
 * | `witness` | reads durable events: fails, hangs, is late |
 *
 * All but `watch`, `door` and `witness` come, change, go and are disabled while commands run. The host is stopped or dies now and then;
 * a new one goes on with the same store. A host that died keeps its timers, but none of its words reach the store or the witness again.
 */
import { Type } from '@sinclair/typebox'
import type { DanmakuData, Lane } from '../../schemas/messages.ts'
import { events } from '../../schemas/messages.ts'
import type { Clock } from '../base/clock.ts'
import { type Random, randomInt } from '../base/random.ts'
import type { Context } from '../plugin/context.ts'
import { type AnyPlugin, type Ask, definePlugin, type PluginEvent, refuse } from '../plugin/define.ts'
import { allow, challenge, deny, hold, shadow, type Verdict } from '../plugin/hooks.ts'
import type { LogRow } from '../room/store.ts'
import type { Commits } from './commits.ts'
import { type Life, never } from './life.ts'

export const steadyNames = ['watch', 'door', 'witness'] as const
export const fickleNames = ['gate-open', 'gate-closed', 'dress', 'game'] as const
export type SimPluginName = (typeof steadyNames)[number] | (typeof fickleNames)[number]
const gates = { 'gate-open': { order: 2, budgetMs: 40 }, 'gate-closed': { order: 3, budgetMs: 30 } } as const
type GateName = keyof typeof gates
const dressBudgetMs = 25
const watchBudgetMs = 60
/** What a danmaku can wait for plugins at most: guards all at once, then the transforms. */
export const waitMsMax = watchBudgetMs + dressBudgetMs

export const moods = ['allow', 'deny', 'shadow', 'hold', 'challenge', 'throw', 'reject', 'rubbish', 'late', 'never'] as const
export type Mood = (typeof moods)[number]
type Outcome = 'allow' | 'deny' | 'shadow' | 'hold' | 'challenge' | 'failed'

const gameLanes: Record<string, Lane> = { 'x.game.big': 'high', 'x.game.news': 'normal', 'x.game.score': 'low' }
export const laneOf = (t: string): Lane => gameLanes[t] ?? events[t as keyof typeof events].lane

const witnessed = ['danmaku.sent', 'message.removed', 'room.settings_changed', 'room.user_muted', 'x.game.big'] as const
const witnessBudgetMs = 200

/** One danmaku as the guards met it, and what each of them came to. */
interface Asked {
  room: string
  userId: string
  text: string
  outcomes: Map<string, Outcome>
  caseIds: Map<string, string>
  releases: Set<string>
  isCommitted: boolean
}

export interface SimPluginsParts {
  clock: Clock
  random: Random
  shadowing: ReadonlySet<string>
  pondering: ReadonlySet<string>
  /** What a room's order may add to the wait. */
  tickMsMax: number
  /** Whether the hooks of a plugin are asked now. */
  isInForce(name: string): boolean
  broken(invariant: string, detail: string): void
  trace(line: string): void
}

const mark = ' *'
/** As it was sent: the mark of a transform taken off. */
export const withoutMarks = (text: string): string => text.replace(/(^| )\*$/, '')
const rubbish: readonly unknown[] = [
  42,
  'allow',
  null,
  undefined,
  [],
  { kind: 'deny', code: 'no.such' },
  { kind: 'deny', code: 'x.other.no' },
  { kind: 'hold', caseId: 'a b', ttlMs: 100 },
  { kind: 'challenge', challenge: 5 },
]
const badPatches: readonly unknown[] = [
  'x',
  [],
  { text: 5 },
  { mode: 'no' },
  { color: -1 },
  { size: {} },
  { text: 'y'.repeat(5_000) },
]

export class SimPlugins {
  readonly moods: Record<GateName, Mood> = { 'gate-open': 'allow', 'gate-closed': 'allow' }
  /** At the end the witness has a clear head. */
  isWell = false
  readonly counts = {
    asked: 0,
    failedOpen: 0,
    held: 0,
    released: 0,
    played: 0,
    delivered: 0,
    attempts: 0,
    changes: 0,
    restarts: 0,
  }
  readonly #parts: SimPluginsParts
  readonly #asked = new Map<string, Asked[]>()
  /** Held, and released since: they are committed as of then. */
  readonly #released: Asked[] = []
  readonly #delivered = new Set<string>()
  /** Per life and room: how far the witness has been told. */
  readonly #told = new WeakMap<Life, Map<string, number>>()
  /** By case. */
  readonly #held = new Map<string, Asked>()
  #cases = 0

  constructor(parts: SimPluginsParts) {
    this.#parts = parts
  }

  define(name: SimPluginName, life: Life, version = '1.0.0'): AnyPlugin {
    switch (name) {
      case 'watch':
        return this.#watch(version)
      case 'door':
        return this.#door(version)
      case 'witness':
        return this.#witness(version, life)
      case 'dress':
        return this.#dress(version)
      case 'game':
        return this.#game(version, life)
      default:
        return this.#gate(name, version)
    }
  }

  // ------------------------------------------------------------------ chance and time

  #int(below: number): number {
    return randomInt(this.#parts.random, below)
  }

  #pick<T>(list: readonly T[]): T {
    return list[this.#int(list.length)] as T
  }

  #after<T>(ms: number, value: T): Promise<T> {
    return new Promise((resolve) => void this.#parts.clock.after(ms, () => resolve(value)))
  }

  #failAfter(ms: number): Promise<never> {
    return new Promise((_, reject) => void this.#parts.clock.after(ms, () => reject(new Error('on purpose, late'))))
  }

  // ------------------------------------------------------------------ guards

  #watch(version: string): AnyPlugin {
    const run = (ask: Ask<{ text: string }>): Verdict | Promise<Verdict> => {
      const isShadowed = this.#parts.shadowing.has(ask.from.userId)
      this.#note(ask).outcomes.set('watch', isShadowed ? 'shadow' : 'allow')
      const verdict = isShadowed ? shadow : allow
      return this.#parts.pondering.has(ask.from.userId) ? this.#after(this.#int(40), verdict) : verdict
    }
    const guard = { order: 1, budgetMs: watchBudgetMs, onFailure: 'open' as const, run }
    return definePlugin({ name: 'watch', version, guards: { 'danmaku.send': guard } })
  }

  /** The first guard that is asked: what the others come to is noted beside it. Who is in force and not asked has failed. */
  #note({ room, at, from: { userId }, d: { text } }: Ask<{ text: string }>): Asked {
    const asked: Asked = {
      ...{ room, userId, text, isCommitted: false },
      ...{ outcomes: new Map(), caseIds: new Map(), releases: new Set() },
    }
    this.counts.asked++
    for (const name of Object.keys(gates)) if (this.#parts.isInForce(name)) asked.outcomes.set(name, 'failed')
    const key = keyOf(room, at, userId, text)
    const same = this.#asked.get(key)
    if (same) same.push(asked)
    else this.#asked.set(key, [asked])
    return asked
  }

  #door(version: string): AnyPlugin {
    // One join in four waits, at times longer than its edge does.
    const run = () => (this.#int(4) > 0 ? allow : this.#after(this.#int(1_500), allow))
    const give = () => {
      const dice = this.#int(10)
      if (dice === 0) return deny('content.rejected')
      return dice === 1 ? this.#after(this.#int(300), allow) : allow
    }
    const guards = {
      'room.join': { order: 1, budgetMs: 1_000, onFailure: 'open' as const, run },
      'gift.send': { order: 1, budgetMs: 200, onFailure: 'closed' as const, run: give },
    }
    return definePlugin({ name: 'door', version, guards })
  }

  #gate(name: GateName, version: string): AnyPlugin {
    const { order, budgetMs } = gates[name]
    const run = (ask: Ask<{ text: string }>, ctx: Context) => this.#ruled(name, ask, ctx) as Verdict
    return definePlugin({
      name,
      version,
      calls: ['engine.message.release', 'engine.message.reject'],
      guards: {
        'danmaku.send': { order, budgetMs, onFailure: name === 'gate-open' ? 'open' : 'closed', run },
      },
    })
  }

  #ruled(name: GateName, ask: Ask<{ text: string }>, ctx: Context): unknown {
    const { room, at, from, d } = ask
    const asked = this.#asked.get(keyOf(room, at, from.userId, d.text))?.at(-1)
    if (!asked) return this.#parts.broken('guards are asked together', `${name} was asked alone`)
    const mood = this.#int(2) === 0 ? 'allow' : this.moods[name]
    const fails = (outcome: unknown) => {
      asked.outcomes.set(name, 'failed')
      return outcome
    }
    this.#parts.trace(`${name} ${from.userId} ${mood}`)
    const { budgetMs } = gates[name]
    switch (mood) {
      case 'throw':
        fails(undefined)
        throw new Error('on purpose')
      case 'reject':
        return fails(this.#failAfter(this.#int(budgetMs - 1)))
      case 'rubbish':
        return fails(this.#pick(rubbish))
      case 'late':
        return fails(this.#after(budgetMs + 1 + this.#int(300), deny('content.rejected')))
      case 'never':
        return fails(never)
      default: {
        asked.outcomes.set(name, mood)
        const verdict = this.#verdict(name, mood, asked, ctx)
        return this.#int(3) === 0 ? this.#after(this.#int(budgetMs - 1), verdict) : verdict
      }
    }
  }

  #verdict(name: GateName, mood: 'allow' | 'deny' | 'shadow' | 'hold' | 'challenge', asked: Asked, ctx: Context): Verdict {
    switch (mood) {
      case 'deny':
        return deny(this.#pick(['content.rejected', `x.${name}.no`]))
      case 'shadow':
        return shadow
      case 'challenge':
        return challenge('captcha')
      case 'hold':
        return this.#keptBack(name, asked, ctx)
      default:
        return this.#pick([allow, { kind: 'allow' as const }])
    }
  }

  /** Then somebody looks at it: in time or not, with a yes or a no, or nobody ever. */
  #keptBack(name: GateName, asked: Asked, { message }: Context): Verdict {
    const caseId = `${name}-${++this.#cases}`
    asked.caseIds.set(name, caseId)
    this.#held.set(caseId, asked)
    this.counts.held++
    const fate = this.#pick(['release', 'release', 'reject', 'nothing'])
    const look = () => {
      if (fate === 'reject') message.reject(asked.room, caseId).catch(() => {})
      if (fate !== 'release') return
      asked.releases.add(caseId)
      this.#released.push(asked)
      message.release(asked.room, caseId).then(
        () => {
          this.counts.released++
          if (!asked.isCommitted) this.#parts.broken('released is shown', `${caseId} was released and never committed`)
        },
        () => {}, // too late, or its sender may not speak any more
      )
    }
    this.#parts.clock.after(this.#int(2_500), look)
    return hold(caseId, 100 + this.#int(2_000))
  }

  faultOfRejection(caseId: string, userId: string): string | undefined {
    const asked = this.#held.get(caseId)
    if (asked?.userId !== userId) return `${caseId} of ${asked?.userId} was rejected`
    return asked.isCommitted ? `${caseId} was rejected and shown` : undefined
  }

  // ------------------------------------------------------------------ what a commit must agree with

  /** Holds a committed danmaku against what the guards came to. True: only its sender may see it. */
  judge(room: string, row: LogRow, now: number): boolean {
    const text = withoutMarks((row.d as DanmakuData).text)
    const same = this.#asked.get(keyOf(room, row.at, row.actor, text)) ?? []
    const released = this.#released.filter((one) => one.room === room && one.userId === row.actor && one.text === text)
    const candidates = [...same, ...released].filter(({ isCommitted }) => !isCommitted)
    const faults = candidates.map((asked) => ({ asked, fault: faultOf(asked, row) }))
    const found = faults.find(({ fault }) => fault === undefined)
    if (!found) {
      this.#parts.broken('guards decide', `${row.actor} "${text}": ${faults[0]?.fault ?? 'no guard was asked'}`)
      return false
    }
    found.asked.isCommitted = true
    if ((row.unchecked?.length ?? 0) > 0) this.counts.failedOpen++
    const waitedMs = now - row.at
    if (waitedMs > waitMsMax + this.#parts.tickMsMax)
      this.#parts.broken('nobody waits', `${row.actor} "${text}" waited ${waitedMs} ms`)
    return rulingOf(found.asked) === 'shadow'
  }

  // ------------------------------------------------------------------ transforms

  #dress(version: string): AnyPlugin {
    const patch = ({ d: { text } }: Ask<{ text: string }>): unknown => {
      const marked = { text: text + mark, unknown: 1 }
      switch (this.#int(9)) {
        case 0:
          throw new Error('on purpose')
        case 1:
          return this.#failAfter(this.#int(dressBudgetMs - 1))
        case 2:
          return this.#pick(badPatches)
        case 3:
          return this.#after(dressBudgetMs + 1 + this.#int(200), { text: 'too late' })
        case 4:
          return this.#int(4) === 0 ? never : undefined
        case 5:
          return this.#after(this.#int(dressBudgetMs - 1), marked)
        default:
          return this.#int(2) === 0 ? marked : undefined
      }
    }
    const ext = (): unknown => {
      switch (this.#int(8)) {
        case 0:
          throw new Error('on purpose')
        case 1:
          return never
        case 2:
          return this.#pick<unknown>(['x', { ext: 'z'.repeat(20_000) }, { ext: undefined }])
        case 3:
          return this.#after(this.#int(60), { ext: { late: true } })
        default:
          return { ext: { n: this.#int(10) } }
      }
    }
    // Answers of the wrong types are what it is for.
    return {
      name: 'dress',
      version,
      transforms: {
        'danmaku.send': { order: 1, budgetMs: dressBudgetMs, run: patch as never },
        'room.join': { order: 1, budgetMs: 40, run: ext as never },
      },
    }
  }

  // ------------------------------------------------------------------ commands, events of its own, a schedule

  #game(version: string, life: Life): AnyPlugin {
    const emit = (lane: Lane) => ({ lane, d: Type.Object({ n: Type.Integer() }) })
    const play = (ask: Ask<{ n: number }>, ctx: Context) => this.#play(ask, ctx)
    return definePlugin({
      name: 'game',
      version,
      calls: ['engine.danmaku.post', 'engine.user.notify', 'engine.message.remove'],
      emits: { 'x.game.big': emit('high'), 'x.game.news': emit('normal'), 'x.game.score': emit('low') },
      commands: {
        'x.game.play': { d: Type.Object({ n: Type.Integer() }), budgetMs: 300, run: play },
        'x.game.look': { d: Type.Object({}), room: false, who: 'anyone', budgetMs: 200, run: () => this.#answer(200) },
      },
      schedules: {
        score: {
          everyMs: 700,
          run: async (_at, ctx) => {
            if (life.isAlive && !this.isWell && this.#int(3) > 0)
              await ctx.room.broadcast('r1', 'x.game.score', { n: this.#int(1_000) })
          },
        },
      },
    })
  }

  async #play({ room, from, d: { n } }: Ask<{ n: number }>, ctx: Context): Promise<object | undefined> {
    this.counts.played++
    const loud = ctx as unknown as Context<never, Record<string, never>>
    const broadcast = (t: string) => loud.room.broadcast(room, t, { n } as never)
    switch (this.#int(9)) {
      case 0:
        await broadcast('x.game.big')
        break
      case 1:
        for (let i = 0; i < 1 + this.#int(12); i++) void broadcast('x.game.news').catch(() => {})
        break
      case 2:
        for (let i = 0; i < 3; i++) void broadcast('x.game.score').catch(() => {})
        break
      case 3:
        await ctx.danmaku.post(room, { botId: 'quiz', name: 'Quiz', text: `bot ${n} ${this.#int(1_000)}` }).catch(() => {})
        break
      case 4:
        await loud.user.notify(from.userId, 'x.game.big', { n } as never).catch(() => {})
        break
    }
    return this.#answer(300)
  }

  async #answer(budgetMs: number): Promise<object | undefined> {
    switch (this.#int(8)) {
      case 0:
        throw refuse('x.game.no', 'not now')
      case 1:
        throw new Error('on purpose')
      case 2:
        return this.#int(3) === 0 ? never : this.#after(budgetMs + 1 + this.#int(500), {})
      case 3:
        return this.#pick<object>([{ much: 'x'.repeat(70_000) }, [1], 'text' as unknown as object, 5n as unknown as object])
      case 4:
        return this.#after(this.#int(budgetMs - 1), { n: 2 })
      default:
        return { n: 1 }
    }
  }

  // ------------------------------------------------------------------ durable events

  #witness(version: string, life: Life): AnyPlugin {
    const hook = { budgetMs: witnessBudgetMs, run: (event: PluginEvent<unknown>) => this.#take(event, life) }
    const hooks = Object.fromEntries(witnessed.map((t) => [t, hook]))
    return { name: 'witness', version, events: { ...hooks, 'plugin.changed': { ...hook, run: () => {} } } }
  }

  #take(event: PluginEvent<unknown>, life: Life): unknown {
    const { room, epoch, seq, eid, t, attempt } = event
    if (!life.isAlive) return never
    this.counts.attempts++
    this.#parts.trace(`witness ${t} ${room} ${epoch}/${seq} attempt ${attempt}`)
    let told = this.#told.get(life)
    if (!told) this.#told.set(life, (told = new Map()))
    const place = epoch * 1_000_000 + seq
    if (place < (told.get(room) ?? 0)) this.#parts.broken('events in order', `${t} ${epoch}/${seq} of ${room} after a later one`)
    told.set(room, place)
    const ok = () => {
      if (life.isAlive && !this.#delivered.has(eid)) this.counts.delivered++
      if (life.isAlive) this.#delivered.add(eid)
    }
    switch (this.isWell ? 9 : this.#int(12)) {
      case 0:
        throw new Error('on purpose')
      case 1:
        return this.#failAfter(this.#int(witnessBudgetMs - 1))
      case 2:
        return never
      case 3:
        return this.#after(witnessBudgetMs + 1 + this.#int(500), undefined)
      case 4:
        return this.#after(this.#int(witnessBudgetMs - 1), undefined).then(ok)
      default:
        return ok()
    }
  }

  /** Every event that the witness wants was taken by it, or was given up and is kept. */
  checkDelivered(commits: Commits, dead: ReadonlySet<string>): void {
    for (const { t, room, epoch, seq, eid, only, isLost } of commits.all())
      if (
        !isLost &&
        only === undefined &&
        (witnessed as readonly string[]).includes(t) &&
        !this.#delivered.has(eid) &&
        !dead.has(eid)
      )
        this.#parts.broken('events are delivered', `${t} ${epoch}/${seq} of ${room} never came`)
  }
}

const keyOf = (room: string, at: number, userId: string, text: string) => `${room} ${at} ${userId} ${text}`

const weights: readonly Outcome[] = ['allow', 'shadow', 'challenge', 'hold', 'deny']
/** What the guards together come to. */
function rulingOf({ outcomes }: Asked): Outcome {
  let heaviest: Outcome = 'allow'
  for (const [name, outcome] of outcomes) {
    const counted = outcome !== 'failed' ? outcome : name === 'gate-closed' ? 'deny' : 'allow'
    if (weights.indexOf(counted) > weights.indexOf(heaviest)) heaviest = counted
  }
  return heaviest
}

/** Why this danmaku must not have been committed like that. */
function faultOf(asked: Asked, row: LogRow): string | undefined {
  const shown = [...asked.outcomes].map(([name, outcome]) => `${name} ${outcome}`).join(', ')
  const ruling = rulingOf(asked)
  if (ruling === 'deny' || ruling === 'challenge') return `it was refused (${shown})`
  if (ruling === 'hold') {
    // Of several cases the first guard's holds it.
    const [caseId] = [...asked.outcomes].flatMap(([name, outcome]) => (outcome === 'hold' ? [asked.caseIds.get(name)] : []))
    if (caseId === undefined || !asked.releases.has(caseId)) return `it was held and not released (${shown})`
  }
  if (ruling === 'shadow' && row.only !== row.actor) return `it was shadowed (${shown})`
  const open = [...asked.outcomes].filter(([name, outcome]) => outcome === 'failed' && name === 'gate-open').map(([name]) => name)
  if (`${row.unchecked ?? []}` !== `${open}`) return `unchecked is [${row.unchecked ?? []}], not [${open}] (${shown})`
  return undefined
}
