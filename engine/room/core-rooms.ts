/**
 * The rooms in core.db: info and settings, totals, roles, mutes, bans, wall, and what keeps a room closed. `core-db.ts` runs this in the
 * same batches as all else; what happened in a room is in the log (`core-log.ts`).
 */
import type Database from 'better-sqlite3'
import { and, eq, gt, sql } from 'drizzle-orm'
import { drizzle } from 'drizzle-orm/better-sqlite3'
import type { RestrictionShape, Role, RoomInfoShape, SettingsShape, WallItemShape } from '../../schemas/messages.ts'
import { type LiveBan, roomBans, roomMutes, roomRoles, rooms, type Takedown } from './core-schema.ts'

export type Change =
  | { kind: 'room.put'; info: RoomInfoShape }
  | { kind: 'settings.put'; settings: SettingsShape }
  | { kind: 'role.grant'; userId: string; role: Role }
  | { kind: 'role.revoke'; userId: string; role: Role }
  | { kind: 'mute.put'; mute: RestrictionShape }
  | { kind: 'mute.delete'; userId: string }
  | { kind: 'mutes.end_live' }
  | { kind: 'ban.put'; ban: RestrictionShape }
  | { kind: 'ban.delete'; userId: string }
  | { kind: 'wall.put'; wall: WallItemShape | undefined }
  | { kind: 'takedown.put'; takedown: Takedown | undefined }
  | { kind: 'live_ban.put'; liveBan: LiveBan | undefined }
  | { kind: 'gift_pos.put'; giftPos: number }
  | { kind: 'owner_name.put'; name: string }
  | { kind: 'totals.put'; likes: number; shares: number; danmakuTotal: number }

export interface StoredRoom {
  info: RoomInfoShape
  settings: SettingsShape
  epoch: number
  roles: { userId: string; role: Role }[]
  /** Oldest first, as are `bans`. */
  mutes: RestrictionShape[]
  bans: RestrictionShape[]
  wall: WallItemShape | undefined
  takedown: Takedown | undefined
  liveBan: LiveBan | undefined
  /** How far into the journal of the ledger this room has come. */
  giftPos: number
  /** As last seen; empty: never seen. */
  ownerName: string
  likes: number
  shares: number
  /** Of the current live. */
  danmakuTotal: number
}
export interface ListedRoom {
  info: RoomInfoShape
  likes: number
}

export class RoomTables {
  readonly #roomsMax: number
  readonly #sql: ReturnType<typeof prepareWrites>
  readonly #reads: ReturnType<typeof prepareReads>
  #roomCount: number | undefined // undefined: to be counted

  constructor(db: Database.Database, { roomsMax }: { roomsMax: number }) {
    this.#roomsMax = roomsMax
    this.#sql = prepareWrites(db)
    this.#reads = prepareReads(db)
  }

  /** A rollback may have taken rooms back. */
  onRollback(): void {
    this.#roomCount = undefined
  }

  /** By id, those that are open. */
  listOpen(page: { afterId: string; limit: number }): ListedRoom[] {
    return this.#reads.open.all(page).map((row) => ({ info: toInfo(row), likes: row.likes }))
  }

  /** Never back, and nothing happens when the room is not there. */
  moveGiftPos(roomId: string, giftPos: number): void {
    this.#sql.putGiftPos.run({ roomId, giftPos })
  }

  /** With its epoch one higher than ever before. */
  open(roomId: string): StoredRoom | undefined {
    this.#sql.nextEpoch.run({ roomId })
    const row = this.#reads.room.get({ roomId })
    if (!row) return undefined
    return {
      info: toInfo(row),
      settings: row.settings,
      epoch: row.epoch,
      roles: this.#reads.roles.all({ roomId }),
      mutes: this.#reads.mutes.all({ roomId }),
      bans: this.#reads.bans.all({ roomId }),
      wall: row.wall ?? undefined,
      takedown: row.takedown ?? undefined,
      liveBan: row.liveBan ?? undefined,
      giftPos: row.giftPos,
      ownerName: row.ownerName,
      likes: row.likes,
      shares: row.shares,
      danmakuTotal: row.danmakuTotal,
    }
  }

  create({ info, settings }: Pick<StoredRoom, 'info' | 'settings'>): 'created' | 'exists' | 'full' {
    if (this.#reads.room.get({ roomId: info.id })) return 'exists'
    if (this.#countRooms() >= this.#roomsMax) return 'full'
    this.#insertRoom(info, settings)
    return 'created'
  }

  #countRooms(): number {
    this.#roomCount ??= (this.#sql.countRooms.get() as { n: number }).n
    return this.#roomCount
  }

  #insertRoom(info: RoomInfoShape, settings: SettingsShape): void {
    const roomCount = this.#countRooms()
    this.#sql.insertRoom.run({ ...infoColumns(info), settings: JSON.stringify(settings) })
    this.#roomCount = roomCount + 1
  }

  write(roomId: string, changes: readonly Change[]): void {
    for (const change of changes) {
      if (change.kind === 'room.put') this.#putInfo(roomId, change.info, changes)
      else this.#change(roomId, change)
    }
  }

  #putInfo(roomId: string, info: RoomInfoShape, changes: readonly Change[]): void {
    if (info.id !== roomId) throw new Error(`room.put of ${info.id} in a write to ${roomId}`)
    if (this.#sql.updateRoom.run(infoColumns(info)).changes === 1) return
    const put = changes.find((change) => change.kind === 'settings.put')
    if (!put) throw new Error(`room.put of the new room ${roomId} needs settings.put in the same write`)
    if (this.#countRooms() >= this.#roomsMax) throw new Error(`${this.#roomsMax} rooms exist (roomsMax)`)
    this.#insertRoom(info, put.settings)
  }

  #change(roomId: string, change: Exclude<Change, { kind: 'room.put' }>): Database.RunResult {
    const run = this.#sql
    switch (change.kind) {
      case 'settings.put':
        return inRoom(roomId, run.putSettings.run({ roomId, settings: JSON.stringify(change.settings) }))
      case 'wall.put':
        return inRoom(roomId, run.putWall.run({ roomId, wall: change.wall ? JSON.stringify(change.wall) : null }))
      case 'gift_pos.put':
        return inRoom(roomId, run.putGiftPos.run({ roomId, giftPos: change.giftPos }))
      case 'owner_name.put':
        return inRoom(roomId, run.putOwnerName.run({ roomId, name: change.name }))
      case 'takedown.put':
        return inRoom(roomId, run.putTakedown.run({ roomId, takedown: change.takedown ? JSON.stringify(change.takedown) : null }))
      case 'live_ban.put':
        return inRoom(roomId, run.putLiveBan.run({ roomId, liveBan: change.liveBan ? JSON.stringify(change.liveBan) : null }))
      case 'totals.put': {
        const { likes, shares, danmakuTotal } = change
        return inRoom(roomId, run.putTotals.run({ roomId, likes, shares, danmakuTotal }))
      }
      case 'role.grant':
        return run.grantRole.run({ roomId, userId: change.userId, role: change.role })
      case 'role.revoke':
        return run.revokeRole.run({ roomId, userId: change.userId, role: change.role })
      case 'mute.put':
        return run.putMute.run({ ...change.mute, roomId })
      case 'mute.delete':
        return run.deleteMute.run({ roomId, userId: change.userId })
      case 'mutes.end_live':
        return run.endLiveMutes.run({ roomId })
      case 'ban.put':
        return run.putBan.run({ ...change.ban, roomId })
      case 'ban.delete':
        return run.deleteBan.run({ roomId, userId: change.userId })
      default:
        throw new Error(`unknown change ${JSON.stringify(change satisfies never)}`)
    }
  }
}

/** Changes of the room's own row need the row; the other tables refuse an unknown room by their foreign key. */
function inRoom(roomId: string, result: Database.RunResult): Database.RunResult {
  if (result.changes !== 1) throw new Error(`no room ${roomId}`)
  return result
}

const infoColumns = (info: RoomInfoShape) => ({ ...info, liveId: info.liveId ?? null, openedAt: info.openedAt ?? null })

function toInfo(row: typeof rooms.$inferSelect): RoomInfoShape {
  const { id, ownerId, title, intro, theme, categoryId, cover, state, version } = row
  const info: RoomInfoShape = { id, ownerId, title, intro, theme, categoryId, cover, state, version }
  if (row.liveId !== null) info.liveId = row.liveId
  if (row.openedAt !== null) info.openedAt = row.openedAt
  return info
}

const putRestriction = (table: string) =>
  `INSERT OR REPLACE INTO ${table} (room_id, user_id, until_at, reason, "by", at)
   VALUES (@roomId, @userId, @untilAt, @reason, @by, @at)`
const deleteRestriction = (table: string) => `DELETE FROM ${table} WHERE room_id = @roomId AND user_id = @userId`

function prepareWrites(db: Database.Database) {
  const q = (source: string) => db.prepare(source)
  return {
    countRooms: q('SELECT count(*) AS n FROM rooms'),
    insertRoom: q(
      `INSERT INTO rooms (id, owner_id, title, intro, theme, category_id, cover, state, live_id, opened_at, version, settings)
       VALUES (@id, @ownerId, @title, @intro, @theme, @categoryId, @cover, @state, @liveId, @openedAt, @version, @settings)`,
    ),
    updateRoom: q(
      `UPDATE rooms SET owner_id = @ownerId, title = @title, intro = @intro, theme = @theme, category_id = @categoryId,
       cover = @cover, state = @state, live_id = @liveId, opened_at = @openedAt, version = @version WHERE id = @id`,
    ),
    nextEpoch: q('UPDATE rooms SET epoch = epoch + 1 WHERE id = @roomId'),
    putSettings: q('UPDATE rooms SET settings = @settings WHERE id = @roomId'),
    putWall: q('UPDATE rooms SET wall = @wall WHERE id = @roomId'),
    putGiftPos: q('UPDATE rooms SET gift_pos = max(gift_pos, @giftPos) WHERE id = @roomId'),
    putOwnerName: q('UPDATE rooms SET owner_name = @name WHERE id = @roomId'),
    putLiveBan: q('UPDATE rooms SET live_ban = @liveBan WHERE id = @roomId'),
    putTakedown: q('UPDATE rooms SET takedown = @takedown WHERE id = @roomId'),
    putTotals: q('UPDATE rooms SET likes = @likes, shares = @shares, danmaku_total = @danmakuTotal WHERE id = @roomId'),
    grantRole: q(`INSERT INTO room_roles (room_id, user_id, role) VALUES (@roomId, @userId, @role) ON CONFLICT DO NOTHING`),
    revokeRole: q('DELETE FROM room_roles WHERE room_id = @roomId AND user_id = @userId AND role = @role'),
    putMute: q(putRestriction('room_mutes')),
    deleteMute: q(deleteRestriction('room_mutes')),
    endLiveMutes: q('DELETE FROM room_mutes WHERE room_id = @roomId AND until_at = 0'),
    putBan: q(putRestriction('room_bans')),
    deleteBan: q(deleteRestriction('room_bans')),
  }
}

function prepareReads(db: Database.Database) {
  const orm = drizzle(db)
  const given = (name: string) => sql.placeholder(name)
  const { userId, untilAt, reason, by, at } = roomMutes
  const bans = { userId: roomBans.userId, untilAt: roomBans.untilAt, reason: roomBans.reason, by: roomBans.by, at: roomBans.at }
  const page = given('limit')
  return {
    room: orm
      .select()
      .from(rooms)
      .where(eq(rooms.id, given('roomId')))
      .prepare(),
    open: orm
      .select()
      .from(rooms)
      .where(and(eq(rooms.state, 'open'), gt(rooms.id, given('afterId'))))
      .orderBy(rooms.id)
      .limit(page)
      .prepare(),
    roles: orm
      .select({ userId: roomRoles.userId, role: roomRoles.role })
      .from(roomRoles)
      .where(eq(roomRoles.roomId, given('roomId')))
      .orderBy(roomRoles.userId, roomRoles.role)
      .prepare(),
    mutes: orm
      .select({ userId, untilAt, reason, by, at })
      .from(roomMutes)
      .where(eq(roomMutes.roomId, given('roomId')))
      .orderBy(at, userId)
      .prepare(),
    bans: orm
      .select(bans)
      .from(roomBans)
      .where(eq(roomBans.roomId, given('roomId')))
      .orderBy(bans.at, bans.userId)
      .prepare(),
  }
}
