/**
 * core.db, synchronously: with the other `core-*.ts` the only code that speaks SQL. It runs in the store worker (`store-worker.ts`), or
 * inline in tests and the simulation; on a socket loop it would stop every viewer for the length of an fsync.
 *
 * Flow: `batch(ops)` is the group commit. BEGIN IMMEDIATE, each op inside a savepoint, COMMIT, and only then does anybody get an
 * answer. An op that breaks a rule is rolled back alone; a disk that is full or broken takes the whole batch with it: it throws, and
 * nothing of the batch has happened. WAL with synchronous=FULL: what COMMIT returned from survives kill -9 and a power cut.
 *
 * Hot writes are prepared raw statements, one parse in the life of the worker; reads are prepared Drizzle queries, which keeps them
 * typed by `core-schema.ts` for about 1 us a query.
 *
 * One writer: beside core.db, core.lock is held under BEGIN EXCLUSIVE, and the kernel frees it however the process dies.
 *
 *     const db = new CoreDb({ file: '/data/core.db', roomsMax: 1000 })
 *     db.batch([{ op: 'write', roomId: 'demo', changes: [{ kind: 'role.grant', userId: 'u1', role: 'admin' }] }])
 */
import { mkdirSync } from 'node:fs'
import { dirname, join } from 'node:path'
import Database from 'better-sqlite3'
import { and, eq, gt, sql } from 'drizzle-orm'
import { drizzle } from 'drizzle-orm/better-sqlite3'
import type { RestrictionShape, Role, RoomInfoShape, SettingsShape, WallItemShape } from '../../schemas/messages.ts'
import { type AuditOp, type AuditOpAnswers, AuditTables, isAuditOp } from './core-audit.ts'
import { type BoardOp, type BoardOpAnswers, BoardTables, isBoardOp } from './core-boards.ts'
import { type PluginOp, type PluginOpAnswers, PluginTables } from './core-plugins.ts'
import { migrations, roomBans, roomLog, roomMutes, roomRoles, rooms, roomUnsent, type Takedown } from './core-schema.ts'

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
  | { kind: 'gift_pos.put'; giftPos: number }
  | { kind: 'owner_name.put'; name: string }
  | { kind: 'totals.put'; likes: number; shares: number; danmakuTotal: number }

export interface SeqRow {
  eid: string
  epoch: number
  seq: number
}
/** A log row as it lies on disk: `d` is JSON text, made and read on the other side of the worker. */
export interface EventRow {
  eid: string
  t: string
  at: number
  actor: string
  d: string
  hops: number
  only: string | null
  /** JSON. */
  unchecked: string | null
}

/** How far whoever brings rows into the log has come in what it reads: on disk with the rows, or not at all. */
export interface PlacedCursor {
  key: string
  pos: number
}

/** Each op with what it answers. */
export interface OpAnswers extends PluginOpAnswers, AuditOpAnswers, BoardOpAnswers {
  create: 'created' | 'exists' | 'full'
  open: StoredRoom | undefined
  write: undefined
  seq: undefined
  append: undefined
  list: { info: RoomInfoShape; likes: number }[]
  read: { pos: number; roomId: string; epoch: number; seq: number; row: EventRow }[]
  prune: number
  log_end: number
}
export type Op =
  | PluginOp
  | AuditOp
  | BoardOp
  | { op: 'create'; info: RoomInfoShape; settings: SettingsShape; log: EventRow }
  | { op: 'open'; roomId: string }
  | { op: 'write'; roomId: string; changes: readonly Change[]; log?: EventRow }
  | { op: 'seq'; roomId: string; rows: readonly SeqRow[] }
  | { op: 'append'; roomId: string; rows: readonly (EventRow & SeqRow)[]; giftPos?: number | undefined; cursor?: PlacedCursor }
  | { op: 'list'; afterId: string; limit: number }
  | { op: 'read'; roomId?: string; afterPos: number; limit: number }
  | { op: 'prune'; beforeAt: number; limit: number }
  | { op: 'log_end' }

export interface StoredRoom {
  info: RoomInfoShape
  settings: SettingsShape
  epoch: number
  roles: { userId: string; role: Role }[]
  mutes: RestrictionShape[]
  bans: RestrictionShape[]
  wall: WallItemShape | undefined
  takedown: Takedown | undefined
  giftPos: number
  ownerName: string
  likes: number
  shares: number
  danmakuTotal: number
  unsent: EventRow[]
}
/** `values[i]` answers op i, except where `errors` says that it was rolled back. */
export interface BatchResult {
  values: OpAnswers[keyof OpAnswers][]
  errors: { index: number; message: string }[]
  /** The highest `pos` ever given, when the batch had ops that put rows into the log. */
  logEnd?: number
}
export interface CoreDbOptions {
  /** Path of core.db, or ':memory:'. */
  file: string
  roomsMax: number
  /** Largest core.db in pages of 4 KB; past it writes fail as on a full disk. Unset: as large as the disk. */
  pagesMax?: number | undefined
}

export class CoreDb {
  readonly #lock: Database.Database | undefined
  readonly #db: Database.Database
  readonly #roomsMax: number
  readonly #sql: ReturnType<typeof prepareWrites>
  readonly #reads: ReturnType<typeof prepareReads>
  readonly #plugins: PluginTables
  readonly #audit: AuditTables
  readonly #boards: BoardTables
  #roomCount: number | undefined // undefined: count again, a rollback may have taken rooms back

  constructor(options: CoreDbOptions) {
    this.#roomsMax = options.roomsMax
    this.#lock = options.file === ':memory:' ? undefined : takeLock(options.file)
    try {
      this.#db = openFile(options)
      this.#sql = prepareWrites(this.#db)
      this.#reads = prepareReads(this.#db)
      this.#plugins = new PluginTables(this.#db)
      this.#audit = new AuditTables(this.#db)
      this.#boards = new BoardTables(this.#db)
    } catch (error) {
      this.#lock?.close()
      throw error
    }
  }

  /** All ops in one transaction, each in a savepoint. Throws when the transaction failed: then nothing has happened. */
  batch(ops: readonly Op[]): BatchResult {
    const result: BatchResult = { values: [], errors: [] }
    this.#sql.begin.run()
    try {
      for (const op of ops) this.#applyAlone(op, result)
      if (ops.some(({ op }) => op === 'seq' || op === 'append')) result.logEnd = this.#logEnd()
      this.#sql.commit.run()
      return result
    } catch (error) {
      this.#roomCount = undefined
      if (this.#db.inTransaction) this.#sql.rollback.run() // SQLite has rolled back by itself after some errors
      throw error
    }
  }

  close(): void {
    this.#db.close()
    this.#lock?.close()
  }

  #applyAlone(op: Op, result: BatchResult): void {
    this.#sql.savepoint.run()
    try {
      result.values.push(this.#apply(op))
      this.#sql.release.run()
    } catch (error) {
      if (!isFaultOfOp(error) || !this.#db.inTransaction) throw error
      this.#sql.rollbackTo.run()
      this.#sql.release.run()
      this.#roomCount = undefined
      result.errors.push({ index: result.values.length, message: error instanceof Error ? error.message : String(error) })
      result.values.push(undefined)
    }
  }

  #apply(op: Op): OpAnswers[keyof OpAnswers] {
    switch (op.op) {
      case 'write':
        return this.#write(op.roomId, op.changes, op.log)
      case 'seq':
        return this.#setSeq(op.roomId, op.rows)
      case 'append':
        for (const row of op.rows) this.#sql.append.run({ ...row, roomId: op.roomId })
        if (op.giftPos !== undefined) this.#sql.putGiftPos.run({ roomId: op.roomId, giftPos: op.giftPos })
        if (op.cursor) this.#plugins.apply({ op: 'cursor_put', plugin: op.cursor.key, pos: op.cursor.pos, acked: [], dead: [] })
        return undefined
      case 'create':
        return this.#create(op)
      case 'open':
        return this.#openHome(op.roomId)
      case 'list':
        return this.#reads.open
          .all({ afterId: op.afterId, limit: op.limit })
          .map((row) => ({ info: toInfo(row), likes: row.likes }))
      case 'read':
        return this.#readLog(op)
      case 'prune': {
        const limits = { beforeAt: op.beforeAt, limit: op.limit }
        return this.#sql.pruneLog.run(limits).changes + this.#sql.pruneUnsent.run(limits).changes
      }
      case 'log_end':
        return this.#logEnd()
      default:
        if (isBoardOp(op)) return this.#boards.apply(op)
        return isAuditOp(op) ? this.#audit.apply(op) : this.#plugins.apply(op)
    }
  }

  /** Not max(pos): rows may have been pruned, and a reader that starts at the end must start behind those too. */
  #logEnd(): number {
    return (this.#sql.logEnd.get() as { seq: number } | undefined)?.seq ?? 0
  }

  #create(op: Op & { op: 'create' }): OpAnswers['create'] {
    if (this.#reads.room.get({ roomId: op.info.id })) return 'exists'
    if (this.#countRooms() >= this.#roomsMax) return 'full'
    this.#insertRoom(op.info, op.settings)
    this.#sql.unsent.run({ ...op.log, roomId: op.info.id })
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

  #write(roomId: string, changes: readonly Change[], log: EventRow | undefined): undefined {
    for (const change of changes) {
      if (change.kind === 'room.put') this.#putInfo(roomId, change.info, changes)
      else this.#change(roomId, change)
    }
    if (log) this.#sql.unsent.run({ ...log, roomId })
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

  /** Move rows from room_unsent to room_log. A row that is not there any more has its seq already. */
  #setSeq(roomId: string, rows: readonly SeqRow[]): undefined {
    for (const { eid, epoch, seq } of rows) {
      this.#sql.commitUnsent.run({ roomId, eid, epoch, seq })
      this.#sql.deleteUnsent.run({ roomId, eid })
    }
  }

  #openHome(roomId: string): StoredRoom | undefined {
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
      giftPos: row.giftPos,
      ownerName: row.ownerName,
      likes: row.likes,
      shares: row.shares,
      danmakuTotal: row.danmakuTotal,
      unsent: this.#reads.unsent.all({ roomId }),
    }
  }

  #readLog({ roomId, afterPos, limit }: Op & { op: 'read' }): OpAnswers['read'] {
    const rows =
      roomId === undefined ? this.#reads.log.all({ afterPos, limit }) : this.#reads.logOfRoom.all({ roomId, afterPos, limit })
    return rows.map(({ pos, roomId, epoch, seq, ...row }) => ({ pos, roomId, epoch, seq, row }))
  }
}

/** Breaking a constraint, or a value that cannot be bound. All else is the disk's or SQLite's trouble, and every op's. */
function isFaultOfOp(error: unknown): boolean {
  if (!(error instanceof Database.SqliteError)) return true
  return /^SQLITE_(CONSTRAINT|MISMATCH|TOOBIG)/.test(error.code)
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

/** Beside core.db. Held until the connection is closed or the process ends. Throws when an engine runs on the folder. */
export function takeLock(file: string): Database.Database {
  const folder = dirname(file)
  mkdirSync(folder, { recursive: true, mode: 0o700 })
  // Waits a moment: the thread that this one replaces may still be closing its files.
  const lock = new Database(join(folder, 'core.lock'), { timeout: 1_000 })
  try {
    lock.exec('BEGIN EXCLUSIVE')
    return lock
  } catch (error) {
    lock.close()
    if (!(error instanceof Database.SqliteError) || !error.code.startsWith('SQLITE_BUSY')) throw error
    throw new Error(`another engine runs on the data folder ${folder}: stop it, or give this one its own dataDir`)
  }
}

function openFile({ file, pagesMax }: CoreDbOptions): Database.Database {
  const db = new Database(file, { timeout: 5_000 })
  try {
    db.pragma('journal_mode = WAL')
    db.pragma('synchronous = FULL')
    db.pragma('wal_autocheckpoint = 4000')
    db.pragma('foreign_keys = ON')
    migrate(db, file)
    if (pagesMax !== undefined) db.pragma(`max_page_count = ${Math.trunc(pagesMax)}`)
    return db
  } catch (error) {
    db.close()
    throw error
  }
}

function migrate(db: Database.Database, file: string): void {
  const version = db.pragma('user_version', { simple: true }) as number
  if (version > migrations.length)
    throw new Error(
      `${file} has schema version ${version}, this engine knows ${migrations.length}: it was written by a newer engine`,
    )
  for (const [index, ddl] of migrations.entries()) {
    if (index < version) continue
    db.transaction(() => {
      db.exec(ddl)
      db.pragma(`user_version = ${index + 1}`)
    })()
  }
}

const putRestriction = (table: string) =>
  `INSERT OR REPLACE INTO ${table} (room_id, user_id, until_at, reason, "by", at)
   VALUES (@roomId, @userId, @untilAt, @reason, @by, @at)`
const deleteRestriction = (table: string) => `DELETE FROM ${table} WHERE room_id = @roomId AND user_id = @userId`
const pruneTable = (table: string, key: string) =>
  `DELETE FROM ${table} WHERE ${key} IN (SELECT ${key} FROM ${table} WHERE at < @beforeAt LIMIT @limit)`

function prepareWrites(db: Database.Database) {
  const q = (source: string) => db.prepare(source)
  return {
    begin: q('BEGIN IMMEDIATE'),
    commit: q('COMMIT'),
    rollback: q('ROLLBACK'),
    savepoint: q('SAVEPOINT op'),
    release: q('RELEASE op'),
    rollbackTo: q('ROLLBACK TO op'),
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
    putTakedown: q('UPDATE rooms SET takedown = @takedown WHERE id = @roomId'),
    putTotals: q('UPDATE rooms SET likes = @likes, shares = @shares, danmaku_total = @danmakuTotal WHERE id = @roomId'),
    grantRole: q(`INSERT INTO room_roles (room_id, user_id, role) VALUES (@roomId, @userId, @role) ON CONFLICT DO NOTHING`),
    revokeRole: q('DELETE FROM room_roles WHERE room_id = @roomId AND user_id = @userId AND role = @role'),
    putMute: q(putRestriction('room_mutes')),
    deleteMute: q(deleteRestriction('room_mutes')),
    endLiveMutes: q('DELETE FROM room_mutes WHERE room_id = @roomId AND until_at = 0'),
    putBan: q(putRestriction('room_bans')),
    deleteBan: q(deleteRestriction('room_bans')),
    unsent: q(
      `INSERT INTO room_unsent (room_id, eid, t, at, actor, d, hops, only_user, unchecked)
       VALUES (@roomId, @eid, @t, @at, @actor, @d, @hops, @only, @unchecked)`,
    ),
    // An event that is there already is left out by the SELECT: ON CONFLICT DO NOTHING would use up a pos, and a gap means pruned rows.
    commitUnsent: q(
      `INSERT INTO room_log (room_id, eid, t, at, actor, d, hops, only_user, unchecked, epoch, seq)
       SELECT room_id, eid, t, at, actor, d, hops, only_user, unchecked, @epoch, @seq FROM room_unsent
       WHERE eid = @eid AND room_id = @roomId AND NOT EXISTS (SELECT 1 FROM room_log WHERE eid = @eid)`,
    ),
    deleteUnsent: q('DELETE FROM room_unsent WHERE eid = @eid AND room_id = @roomId'),
    append: q(
      `INSERT INTO room_log (room_id, eid, t, at, actor, d, hops, only_user, unchecked, epoch, seq)
       SELECT @roomId, @eid, @t, @at, @actor, @d, @hops, @only, @unchecked, @epoch, @seq
       WHERE NOT EXISTS (SELECT 1 FROM room_log WHERE eid = @eid)`,
    ),
    logEnd: q(`SELECT seq FROM sqlite_sequence WHERE name = 'room_log'`),
    pruneLog: q(pruneTable('room_log', 'pos')),
    pruneUnsent: q(pruneTable('room_unsent', 'n')),
  }
}

function prepareReads(db: Database.Database) {
  const orm = drizzle(db)
  const given = (name: string) => sql.placeholder(name)
  const { userId, untilAt, reason, by, at } = roomMutes
  const bans = { userId: roomBans.userId, untilAt: roomBans.untilAt, reason: roomBans.reason, by: roomBans.by, at: roomBans.at }
  const { eid, t, actor, d, hops, only, unchecked } = roomUnsent
  const unsent = { eid, t, at: roomUnsent.at, actor, d, hops, only, unchecked }
  const logAfter = gt(roomLog.pos, given('afterPos'))
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
    unsent: orm
      .select(unsent)
      .from(roomUnsent)
      .where(eq(roomUnsent.roomId, given('roomId')))
      .orderBy(roomUnsent.n)
      .prepare(),
    log: orm.select().from(roomLog).where(logAfter).orderBy(roomLog.pos).limit(page).prepare(),
    logOfRoom: orm
      .select()
      .from(roomLog)
      .where(and(eq(roomLog.roomId, given('roomId')), logAfter))
      .orderBy(roomLog.pos)
      .limit(page)
      .prepare(),
  }
}
