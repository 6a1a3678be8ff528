/**
 * What a hook is given to work with. Everything that touches rooms, users or storage is a promise, because the plugin may live in
 * another process; guards and transforms should decide from memory and settings.
 *
 * A call that was not declared, was not granted or does not fit rejects with a `CallError`, whose `code` says why.
 */
import type { Static, TObject } from '@sinclair/typebox'
import type { OnlineShape, RoomInfoShape, RoomListItemShape, SettingsShape, WallItemShape } from '../../schemas/messages.ts'
import type { EmitSpec } from './define.ts'
import type { Json } from './hooks.ts'
import type { PluginDb } from './tables.ts'

export type Emitted = Record<string, EmitSpec>

export interface RoomView {
  room: RoomInfoShape
  settings: SettingsShape
  online: OnlineShape
  totals: { likes: number; shares: number; danmakuTotal: number }
  epoch: number
  wall?: WallItemShape
}

export interface PluginLog {
  debug(fields: object, msg: string): void
  info(fields: object, msg: string): void
  warn(fields: object, msg: string): void
  error(fields: object, msg: string): void
}

/** Numbers of this plugin, shown as `livehouse_plugin_own_total{plugin,name}`. At most 50 names. */
export interface PluginMetrics {
  add(name: string, by?: number): void
}

export interface Context<S extends TObject = TObject, E extends Emitted = Emitted> {
  readonly plugin: string
  /** Checked against the plugin's schema, defaults filled in; the newest at each look. */
  readonly settings: Readonly<Static<S>>
  readonly room: {
    /** An event of this plugin to everybody in the room. */
    broadcast<T extends keyof E & string>(roomId: string, t: T, d: Static<E[T]['d']>): Promise<void>
    get(roomId: string): Promise<RoomView>
    listOnline(): Promise<readonly RoomListItemShape[]>
    counters(roomId: string): Promise<RoomView['totals'] & { online: OnlineShape }>
    update(
      roomId: string,
      patch: Partial<Pick<RoomInfoShape, 'title' | 'intro' | 'theme' | 'categoryId' | 'cover'>>,
    ): Promise<void>
    setSettings(roomId: string, patch: Partial<SettingsShape>): Promise<void>
    /** Close it and keep it closed until `restore`. */
    takedown(roomId: string, options: { reason: string; caseId?: string }): Promise<void>
    restore(roomId: string): Promise<void>
  }
  readonly user: {
    /** A private event to every session of a user, in whatever room they are. */
    notify<T extends keyof E & string>(userId: string, t: T, d: Static<E[T]['d']>): Promise<void>
    mute(roomId: string, userId: string, options: { durationMs: number; reason?: string }): Promise<void>
    kick(roomId: string, userId: string, options?: { banMs?: number; reason?: string }): Promise<void>
    /** End every connection of a user. */
    closeSessions(userId: string): Promise<void>
  }
  readonly danmaku: {
    /** As a bot: no slow mode and no charge, but guards as for anybody. */
    post(roomId: string, options: { botId: string; name: string; text: string }): Promise<{ id: string }>
  }
  readonly message: {
    remove(roomId: string, ids: readonly string[]): Promise<void>
    /** A held message is shown after all. */
    release(roomId: string, caseId: string): Promise<void>
    reject(roomId: string, caseId: string, msg?: string): Promise<void>
  }
  readonly stream: {
    /** Picture and sound of a room end at once; nobody goes live there for `banMs` (at most a day; unset: 30 s), in this run of the engine. */
    cut(roomId: string, options?: { reason?: string; banMs?: number }): Promise<void>
    /** 0: all layers; 1: at most the middle one; 2: the lowest; 3: the lowest at its lowest frame rate; 4: sound alone. */
    degrade(roomId: string, level: number): Promise<void>
    /** Which of the two lines viewers see; `auto`: the better one. Answers with the one shown. */
    switchLine(roomId: string, line: 'primary' | 'backup' | 'auto'): Promise<'primary' | 'backup'>
  }
  readonly mic: {
    /** Whoever is on this seat goes, and what they publish ends; `reason` is for them. */
    drop(roomId: string, seatNo: number, reason?: string): Promise<void>
  }
  readonly wall: { show(roomId: string, options: { text: string; showMs?: number }): Promise<void> }
  readonly pay: {
    /**
     * An order of coins for the user whose command this is, and where it is paid: an address, or a path on the public port. Coins come
     * when the provider says that it was paid. At most 100,000,000 fen and 10,000,000 coins, bonus included; with `ik` the same order
     * again for the same key.
     */
    create(order: {
      userId: string
      provider: string
      priceMinor: number
      coins: number
      bonusCoins: number
      ik?: string
    }): Promise<{ rechargeId: string; payUrl: string }>
  }
  /** This plugin's own tables, after its migrations. */
  readonly db: PluginDb
  readonly clock: { now(): number }
  readonly log: PluginLog
  readonly metrics: PluginMetrics
}

/** A call to the engine that was refused: not declared, not granted, bad, or the engine cannot be reached. */
export class CallError extends Error {
  readonly code: string

  constructor(code: string, msg: string) {
    super(msg)
    this.name = 'CallError'
    this.code = code
  }
}
export type { Json }
