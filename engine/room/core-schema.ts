/**
 * The shape of core.db: what a room keeps over a restart, and the room log.
 *
 * The Drizzle tables are the documented shape and type the reads; `migrations` makes that shape in a file, step by step. A test
 * compares the two column by column. A change of shape is a new entry at the end of `migrations` and the same change in the tables:
 * an entry that has shipped is never edited.
 *
 *     rooms        one row a room: info, settings, wall, totals, why it was taken down or may not go live, and the epoch of its last home
 *     room_roles, room_mutes, room_bans
 *     room_unsent  log rows on disk that have no seq yet (written with the change, waiting for the commit of the tick)
 *     room_log     committed events; `pos` grows by one in the order of commit, so a reader that remembers `pos` never misses a row,
 *                  and a gap means rows that were pruned
 *     plugins      what the operator decided about each plugin: grant, settings, state
 *     plugin_cursors, plugin_dead
 *                  how far each reader of the log has come, and what it gave up
 *     room_boards, room_scores
 *                  boards, derived from the ledger's journal (`core-boards.ts`)
 *     admin_audit, money_requests
 *                  what operators did, and what waits for a second one (`core-audit.ts`)
 *
 * An event waits in its own table and not in room_log with an empty seq, because a reader would pass over it and never come back.
 */
import { index, integer, primaryKey, sqliteTable, text, unique } from 'drizzle-orm/sqlite-core'
import type { Role, RoomInfoShape, SettingsShape, WallItemShape } from '../../schemas/messages.ts'

export const rooms = sqliteTable('rooms', {
  id: text('id').primaryKey(),
  ownerId: text('owner_id').notNull(),
  title: text('title').notNull(),
  intro: text('intro').notNull(),
  theme: text('theme').notNull(),
  categoryId: text('category_id').notNull(),
  cover: text('cover').notNull(),
  state: text('state').$type<RoomInfoShape['state']>().notNull(),
  liveId: text('live_id'),
  openedAt: integer('opened_at'),
  version: integer('version').notNull(),
  settings: text('settings', { mode: 'json' }).$type<SettingsShape>().notNull(),
  wall: text('wall', { mode: 'json' }).$type<WallItemShape>(),
  likes: integer('likes').notNull().default(0),
  shares: integer('shares').notNull().default(0),
  danmakuTotal: integer('danmaku_total').notNull().default(0),
  epoch: integer('epoch').notNull().default(0),
  takedown: text('takedown', { mode: 'json' }).$type<Takedown>(),
  giftPos: integer('gift_pos').notNull().default(0), // how far into the journal of the ledger
  ownerName: text('owner_name').notNull().default(''), // as last seen; empty: never seen
  liveBan: text('live_ban', { mode: 'json' }).$type<LiveBan>(), // the newest, over or not
})
/** Why a room is kept closed. */
export interface Takedown {
  reason: string
  caseId?: string
  by: string
  at: number
}

/** Until when nobody goes live in a room. */
export interface LiveBan {
  untilAt: number
  reason: string
  by: string
  at: number
}

const roomId = () => text('room_id').notNull()

export const roomRoles = sqliteTable(
  'room_roles',
  { roomId: roomId(), userId: text('user_id').notNull(), role: text('role').$type<Role>().notNull() },
  (table) => [primaryKey({ columns: [table.roomId, table.userId, table.role] })],
)

const restriction = () => ({
  roomId: roomId(),
  userId: text('user_id').notNull(),
  untilAt: integer('until_at').notNull(),
  reason: text('reason').notNull(),
  by: text('by').notNull(),
  at: integer('at').notNull(),
})
export const roomMutes = sqliteTable('room_mutes', restriction(), (table) => [
  primaryKey({ columns: [table.roomId, table.userId] }),
])
export const roomBans = sqliteTable('room_bans', restriction(), (table) => [
  primaryKey({ columns: [table.roomId, table.userId] }),
])

const event = () => ({
  roomId: roomId(),
  eid: text('eid').notNull(),
  t: text('t').notNull(),
  at: integer('at').notNull(),
  actor: text('actor').notNull(),
  d: text('d').notNull(), // JSON, opaque here
  hops: integer('hops').notNull().default(0),
  only: text('only_user'), // who alone may know of it
  unchecked: text('unchecked'), // JSON, opaque here
})
export const roomUnsent = sqliteTable('room_unsent', { n: integer('n').primaryKey(), ...event() }, (table) => [
  unique().on(table.eid),
  index('room_unsent_room').on(table.roomId),
])
export const roomLog = sqliteTable(
  'room_log',
  {
    pos: integer('pos').primaryKey({ autoIncrement: true }),
    ...event(),
    epoch: integer('epoch').notNull(),
    seq: integer('seq').notNull(),
  },
  (table) => [unique().on(table.eid), index('room_log_room').on(table.roomId), index('room_log_at').on(table.at)],
)

const json = (name: string) => text(name, { mode: 'json' }).$type<unknown>().notNull()

export const plugins = sqliteTable('plugins', {
  name: text('name').primaryKey(),
  manifest: json('manifest'),
  grant: json('grant'),
  settings: json('settings'),
  settingsVersion: integer('settings_version').notNull(),
  state: text('state').$type<'pending' | 'approved' | 'disabled'>().notNull(),
  place: text('place').notNull(),
  source: text('source').notNull(),
  changedAt: integer('changed_at').notNull(),
  changedBy: text('changed_by').notNull(),
})
export const pluginCursors = sqliteTable('plugin_cursors', {
  plugin: text('plugin').primaryKey(), // of a plugin, or the key of another reader: `relay:jetstream`
  pos: integer('pos').notNull(),
  acked: text('acked', { mode: 'json' }).$type<number[]>().notNull(), // done already, above pos
})
/** A copy of the log row with what became of it, because the log is pruned and a dead letter is not. */
export const pluginDead = sqliteTable(
  'plugin_dead',
  {
    id: integer('id').primaryKey({ autoIncrement: true }),
    plugin: text('plugin').notNull(),
    pos: integer('pos').notNull(),
    ...event(),
    epoch: integer('epoch').notNull(),
    seq: integer('seq').notNull(),
    attempts: integer('attempts').notNull(),
    error: text('error').notNull(),
    deadAt: integer('dead_at').notNull(),
  },
  (table) => [unique().on(table.plugin, table.pos), index('plugin_dead_plugin').on(table.plugin)],
)

export const adminAudit = sqliteTable('admin_audit', {
  n: integer('n').primaryKey({ autoIncrement: true }),
  at: integer('at').notNull(),
  actor: text('actor').notNull(),
  action: text('action').notNull(),
  target: text('target').notNull(),
  kind: text('kind').notNull(),
  askN: integer('ask_n'), // the asked row that this one ends
  ik: text('ik'),
  bodyHash: text('body_hash'),
  d: text('d').notNull(), // JSON, opaque here
  hash: text('hash').notNull(), // of this row and the hash of the one before
})
export const moneyRequests = sqliteTable('money_requests', {
  id: text('id').primaryKey(),
  state: text('state').notNull(),
  at: integer('at').notNull(),
  by: text('by').notNull(),
  d: text('d').notNull(), // JSON, opaque here
  decidedAt: integer('decided_at'),
  decidedBy: text('decided_by'),
  note: text('note'),
})

export const roomBoards = sqliteTable('room_boards', {
  roomId: text('room_id').primaryKey(),
  form: text('form').notNull(),
  pos: integer('pos').notNull(),
  txId: text('tx_id').notNull(),
  coin: integer('coin').notNull(),
})
export const roomScores = sqliteTable(
  'room_scores',
  {
    roomId: roomId(),
    board: text('board').notNull(),
    win: text('win').notNull(),
    member: text('member').notNull(),
    name: text('name').notNull(),
    score: integer('score').notNull(),
    reached: integer('reached').notNull(), // the row of the journal
    at: integer('at').notNull(),
  },
  (table) => [primaryKey({ columns: [table.roomId, table.board, table.win, table.member] })],
)

export const tables = [
  ...[rooms, roomRoles, roomMutes, roomBans, roomUnsent, roomLog, roomBoards, roomScores],
  ...[plugins, pluginCursors, pluginDead, adminAudit, moneyRequests],
] as const

const restrictionTable = (name: string) => `
  CREATE TABLE ${name} (
    room_id TEXT NOT NULL REFERENCES rooms (id), user_id TEXT NOT NULL, until_at INTEGER NOT NULL,
    reason TEXT NOT NULL, "by" TEXT NOT NULL, at INTEGER NOT NULL, PRIMARY KEY (room_id, user_id)
  ) STRICT, WITHOUT ROWID;`

const addMarks = (table: string) => `
  ALTER TABLE ${table} ADD COLUMN hops INTEGER NOT NULL DEFAULT 0;
  ALTER TABLE ${table} ADD COLUMN only_user TEXT;
  ALTER TABLE ${table} ADD COLUMN unchecked TEXT;`

/** Entry n brings a file from `user_version` n to n + 1. */
export const migrations: readonly string[] = [
  `CREATE TABLE rooms (
    id TEXT PRIMARY KEY NOT NULL, owner_id TEXT NOT NULL, title TEXT NOT NULL, intro TEXT NOT NULL, theme TEXT NOT NULL,
    category_id TEXT NOT NULL, cover TEXT NOT NULL, state TEXT NOT NULL, live_id TEXT, opened_at INTEGER,
    version INTEGER NOT NULL, settings TEXT NOT NULL, wall TEXT,
    likes INTEGER NOT NULL DEFAULT 0, shares INTEGER NOT NULL DEFAULT 0, danmaku_total INTEGER NOT NULL DEFAULT 0,
    epoch INTEGER NOT NULL DEFAULT 0
  ) STRICT;
  CREATE TABLE room_roles (
    room_id TEXT NOT NULL REFERENCES rooms (id), user_id TEXT NOT NULL, role TEXT NOT NULL,
    PRIMARY KEY (room_id, user_id, role)
  ) STRICT, WITHOUT ROWID;
  ${restrictionTable('room_mutes')}
  ${restrictionTable('room_bans')}
  CREATE TABLE room_unsent (
    n INTEGER PRIMARY KEY NOT NULL, room_id TEXT NOT NULL REFERENCES rooms (id), eid TEXT NOT NULL UNIQUE, t TEXT NOT NULL,
    at INTEGER NOT NULL, actor TEXT NOT NULL, d TEXT NOT NULL
  ) STRICT;
  CREATE INDEX room_unsent_room ON room_unsent (room_id);
  CREATE TABLE room_log (
    pos INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL, room_id TEXT NOT NULL, eid TEXT NOT NULL UNIQUE, t TEXT NOT NULL,
    at INTEGER NOT NULL, actor TEXT NOT NULL, d TEXT NOT NULL, epoch INTEGER NOT NULL, seq INTEGER NOT NULL
  ) STRICT;
  CREATE INDEX room_log_room ON room_log (room_id);
  CREATE INDEX room_log_at ON room_log (at);`,
  `${['room_unsent', 'room_log'].map(addMarks).join('\n')}
  CREATE TABLE plugins (
    name TEXT PRIMARY KEY NOT NULL, manifest TEXT NOT NULL, "grant" TEXT NOT NULL, settings TEXT NOT NULL,
    settings_version INTEGER NOT NULL, state TEXT NOT NULL, place TEXT NOT NULL, source TEXT NOT NULL,
    changed_at INTEGER NOT NULL, changed_by TEXT NOT NULL
  ) STRICT;
  CREATE TABLE plugin_cursors (plugin TEXT PRIMARY KEY NOT NULL, pos INTEGER NOT NULL, acked TEXT NOT NULL) STRICT;
  CREATE TABLE plugin_dead (
    id INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL, plugin TEXT NOT NULL, pos INTEGER NOT NULL, room_id TEXT NOT NULL,
    eid TEXT NOT NULL, t TEXT NOT NULL, at INTEGER NOT NULL, actor TEXT NOT NULL, d TEXT NOT NULL, epoch INTEGER NOT NULL,
    seq INTEGER NOT NULL, hops INTEGER NOT NULL DEFAULT 0, only_user TEXT, unchecked TEXT,
    attempts INTEGER NOT NULL, error TEXT NOT NULL, dead_at INTEGER NOT NULL,
    UNIQUE (plugin, pos)
  ) STRICT;
  CREATE INDEX plugin_dead_plugin ON plugin_dead (plugin);`,
  `ALTER TABLE rooms ADD COLUMN takedown TEXT;`,
  `ALTER TABLE rooms ADD COLUMN gift_pos INTEGER NOT NULL DEFAULT 0;`,
  `CREATE TABLE admin_audit (
    n INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL, at INTEGER NOT NULL, actor TEXT NOT NULL, action TEXT NOT NULL,
    target TEXT NOT NULL, kind TEXT NOT NULL, ask_n INTEGER, ik TEXT, body_hash TEXT, d TEXT NOT NULL, hash TEXT NOT NULL
  ) STRICT;
  CREATE UNIQUE INDEX admin_audit_key ON admin_audit (ik, actor, action) WHERE kind = 'asked' AND ik IS NOT NULL;
  CREATE INDEX admin_audit_ask ON admin_audit (ask_n) WHERE ask_n IS NOT NULL;
  CREATE TRIGGER admin_audit_no_update BEFORE UPDATE ON admin_audit BEGIN SELECT RAISE(ABORT, 'the audit is never changed'); END;
  CREATE TRIGGER admin_audit_no_delete BEFORE DELETE ON admin_audit BEGIN SELECT RAISE(ABORT, 'the audit is never changed'); END;
  CREATE TABLE money_requests (
    id TEXT PRIMARY KEY NOT NULL, state TEXT NOT NULL, at INTEGER NOT NULL, "by" TEXT NOT NULL, d TEXT NOT NULL,
    decided_at INTEGER, decided_by TEXT, note TEXT
  ) STRICT;
  CREATE INDEX money_requests_state ON money_requests (state, id);`,
  `ALTER TABLE rooms ADD COLUMN owner_name TEXT NOT NULL DEFAULT '';
  CREATE TABLE room_boards (
    room_id TEXT PRIMARY KEY NOT NULL REFERENCES rooms (id), form TEXT NOT NULL, pos INTEGER NOT NULL, tx_id TEXT NOT NULL,
    coin INTEGER NOT NULL
  ) STRICT;
  CREATE TABLE room_scores (
    room_id TEXT NOT NULL REFERENCES rooms (id), board TEXT NOT NULL, win TEXT NOT NULL, member TEXT NOT NULL,
    name TEXT NOT NULL, score INTEGER NOT NULL, reached INTEGER NOT NULL, at INTEGER NOT NULL,
    PRIMARY KEY (room_id, board, win, member)
  ) STRICT, WITHOUT ROWID;`,
  `ALTER TABLE rooms ADD COLUMN live_ban TEXT;`,
]
