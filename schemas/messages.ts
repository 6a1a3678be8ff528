/**
 * Commands and events with their shapes and bounds: the one `Messages` map.
 *
 * `livehouse.proto` is the wire contract; here the same messages have the bounds that a stranger's input is checked against, and
 * the TypeScript types that the engine works with. A test holds both equal, field by field.
 * Adding a feature: a message in livehouse.proto, `npm run generate`, a line here, a file in `engine/live/`.
 */
import { type Static, type TObject, Type } from '@sinclair/typebox'

/** Ids from outside flow into bus subjects and account names. */
export const idPattern = '^[A-Za-z0-9_-]{1,64}$'
const Id = Type.String({ pattern: idPattern })
const safeMax = Number.MAX_SAFE_INTEGER
const Instant = Type.Integer({ minimum: -1, maximum: safeMax })
const Count = Type.Integer({ minimum: 0, maximum: safeMax })
const Count32 = Type.Integer({ minimum: 0, maximum: 0x7fffffff })
const dayMs = 86_400_000
const Text = (maxLength: number) => Type.String({ maxLength })
const optional = Type.Optional

export const roles = ['admin', 'controller', 'assistant'] as const
export const modes = ['scroll', 'top', 'bottom', 'reverse'] as const
export const sizes = ['s', 'm', 'l'] as const
const oneOf = <const T extends readonly string[]>(values: T) =>
  Type.Unsafe<T[number]>(Type.String({ enum: [...values], pattern: `^(${values.join('|')})$` }))

export const Person = Type.Object({
  id: Type.String(),
  name: Type.String(),
  role: optional(Type.String()),
  bot: optional(Type.Boolean()),
})
export const RoomInfo = Type.Object({
  id: Id,
  ownerId: Id,
  title: Type.String(),
  intro: Type.String(),
  theme: Type.String(),
  categoryId: Type.String(),
  cover: Type.String(),
  state: oneOf(['open', 'closed'] as const),
  liveId: optional(Type.String()),
  openedAt: optional(Instant),
  version: Count,
})
const roomText = {
  title: optional(Type.String({ minLength: 1, maxLength: 120 })),
  intro: optional(Text(2000)),
  theme: optional(Text(64)),
  categoryId: optional(Type.String({ pattern: '^[A-Za-z0-9_-]{0,64}$' })),
  cover: optional(Text(1024)),
}
export const RoomPatch = Type.Object(roomText)
const switches = {
  chat: Type.Boolean(),
  gift: Type.Boolean(),
  like: Type.Boolean(),
  mic: Type.Boolean(),
  pk: Type.Boolean(),
  link: Type.Boolean(),
  slowModeMs: Type.Integer({ minimum: 0, maximum: 120_000 }),
  muteAll: Type.Boolean(),
  uniqueChat: Type.Boolean(),
  emoteOnly: Type.Boolean(),
  reverseMode: Type.Boolean(),
}
export const Settings = Type.Object(switches)
export const SettingsPatch = Type.Partial(Settings, { additionalProperties: false, minProperties: 1 })
export const Online = Type.Object({ unique: Count32, connections: Count32, peak: Count32 })
export const WallItem = Type.Object({
  id: Id,
  messageId: optional(Id),
  text: Type.String(),
  from: optional(Person),
  by: Type.String(),
  shownAt: Instant,
  untilAt: Instant,
})
export const micSeatsMax = 9
const SeatNo = Type.Integer({ minimum: 1, maximum: micSeatsMax })
const MicInvitation = Type.Object({ inviteId: Id, by: Person, seatNo: optional(SeatNo), expireAt: Instant })
const MicGrant = Type.Object({ seatNo: SeatNo, joinByAt: Instant })
export const Me = Type.Object({
  userId: Type.String(),
  name: Type.String(),
  roles: Type.Array(Type.String()),
  anonymous: Type.Boolean(),
  mutedUntilAt: optional(Instant),
  invitation: optional(MicInvitation),
  granted: optional(MicGrant),
})
export const Restriction = Type.Object({
  userId: Id,
  untilAt: Instant,
  reason: Type.String(),
  by: Type.String(),
  at: Instant,
})
export const RoleGrant = Type.Object({ userId: Id, role: Type.String() })
export const RoomListItem = Type.Object({
  id: Id,
  title: Type.String(),
  categoryId: Type.String(),
  cover: Type.String(),
  ownerId: Id,
  online: Count32,
  openedAt: Instant,
})
export const Resume = Type.Object({ epoch: Count, seq: Count })
export const Limits = Type.Object({
  inboxMax: Count32,
  inboundFrameBytesMax: Count32,
  roomsPerSessionMax: Count32,
  danmakuCodePointsMax: Count32,
  danmakuPerClientMax: Count32,
})
export const ReplyTo = Type.Object({ id: Id, userId: Type.String(), name: Type.String() })
export const DanmakuSent = Type.Object({
  id: Id,
  from: Person,
  text: Type.String(),
  mode: oneOf(modes),
  color: Type.Integer({ minimum: 0, maximum: 0xffffff }),
  size: oneOf(sizes),
  emoteId: optional(Type.String()),
  replyTo: optional(ReplyTo),
})
export const EventEnvelope = Type.Object({
  t: Type.String(),
  room: optional(Type.String()),
  seq: optional(Count),
  at: optional(Instant),
  d: Type.Unknown(),
})
/** A plugin's state of the room for those who come late, as JSON text. */
export const Extension = Type.Object({ plugin: Type.String(), json: Type.String() })
export const mediaKinds = ['audio', 'video'] as const
export const streamLines = ['primary', 'backup'] as const
/** Of a picture by RTP: what the media node takes, and every browser plays. */
export const ingestCodecs = ['h264', 'vp8'] as const
export const MediaTrack = Type.Object({
  id: Id,
  userId: Id,
  kind: oneOf(mediaKinds),
  source: oneOf(['main', 'seat'] as const),
  seatNo: optional(Count32),
  muted: optional(Type.Boolean()),
})
export const StreamLine = Type.Object({
  line: oneOf(streamLines),
  state: oneOf(['idle', 'up', 'down'] as const),
  via: optional(oneOf(['webrtc', 'whip', 'rtp'] as const)),
  kbps: optional(Count32),
})
export const StreamInfo = Type.Object({
  state: oneOf(['off', 'live', 'unavailable'] as const),
  tracks: Type.Array(MediaTrack),
  lines: Type.Array(StreamLine),
  line: optional(oneOf(streamLines)),
  degradeLevel: Count32,
  sinceAt: optional(Instant),
})
export const Seat = Type.Object({
  no: SeatNo,
  state: oneOf(['open', 'reserved', 'live', 'suspended'] as const),
  locked: Type.Boolean(),
  user: optional(Person),
  kind: optional(oneOf(mediaKinds)),
  mutedBy: optional(oneOf(['host', 'self'] as const)),
})
export const MicInfo = Type.Object({ seats: Type.Array(Seat), waiting: Count32, place: optional(Count32) })
export const MicApplicant = Type.Object({
  user: Person,
  kind: oneOf(mediaKinds),
  note: optional(Type.String()),
  place: Count32,
  appliedAt: Instant,
})
/** What mediasoup gives and takes, as JSON text; whoever uses it checks what is in it. */
const MediaJson = Text(12_000)
export const RoomJoinReply = Type.Object({
  epoch: Count,
  seq: Count,
  resumed: optional(Type.Boolean()),
  resync: optional(Type.Boolean()),
  room: optional(RoomInfo),
  settings: optional(Settings),
  online: optional(Online),
  likes: optional(Count),
  shares: optional(Count),
  danmaku: optional(Type.Array(EventEnvelope)),
  wall: optional(WallItem),
  me: optional(Me),
  ext: optional(Type.Array(Extension)),
  stream: optional(StreamInfo),
  mic: optional(MicInfo),
})

/** Coins on the wire: JavaScript counts that far. Sums over many people are text. */
const Coins = Count
const CoinText = Type.String({ pattern: '^[0-9]{1,40}$' })
export const GiftItem = Type.Object({
  id: Id,
  name: Type.String(),
  priceCoin: Coins,
  kind: Type.String(),
  comboable: Type.Boolean(),
  effectId: optional(Type.String()),
  tags: Type.Array(Type.String()),
  countMax: Count32,
  minLevel: optional(Count32),
})
export const boards = ['live', 'day', 'week', 'total'] as const
export const RankRow = Type.Object({ member: Person, scoreCoin: CoinText })
export const giftCountMax = 1_314
const giftShown = { from: Person, to: Person, giftId: Id, name: Type.String(), valueCoin: Coins }

/**
 * How a session runs a command. `ordered`: one in flight, in the order of arrival. `free`: never waits. `paid`: never waits either, up to
 * eight in flight: a slow charge holds up nothing.
 * `who`: the least that the sender must be. Rights inside a room are the room's own decision.
 */
interface CommandRule {
  run: 'ordered' | 'free' | 'paid'
  who: 'anyone' | 'user'
  /** It concerns one room, named in the envelope. */
  room: boolean
  /** The session must have joined that room; of `paid` outside it only the answer to what was paid with this key before is given. */
  joined: boolean
}
const ordered: CommandRule = { run: 'ordered', who: 'user', room: true, joined: false }
const command = <D extends TObject, R extends TObject>(d: D, reply: R, rule: Partial<CommandRule> = {}) => ({
  d,
  reply,
  ...ordered,
  ...rule,
})
const nothing = Type.Object({})
const Reason = optional(Text(200))
/** What viewers of the picture ask: never waits for their danmaku. */
const watching: Partial<CommandRule> = { run: 'free', who: 'anyone', joined: true }

export const commands = {
  'session.open': command(
    Type.Object({
      token: optional(Text(4096)),
      platform: optional(Text(32)),
      deviceId: optional(Id),
      proto: optional(Text(32)),
    }),
    Type.Object({
      sid: Id,
      userId: Type.String(),
      name: Type.String(),
      anonymous: Type.Boolean(),
      serverAt: Instant,
      heartbeatMs: Count32,
      expiresAt: optional(Instant),
      limits: Limits,
    }),
    { who: 'anyone', room: false },
  ),
  'session.renew': command(Type.Object({ token: Text(4096) }), Type.Object({ expiresAt: Instant }), { room: false }),
  'session.ping': command(
    Type.Object({ at: optional(Type.Integer({ minimum: 0, maximum: safeMax })) }),
    Type.Object({ at: optional(Instant), serverAt: Instant }),
    { run: 'free', who: 'anyone', room: false },
  ),
  'room.join': command(Type.Object({ source: optional(Text(64)), resume: optional(Resume) }), RoomJoinReply, { who: 'anyone' }),
  'room.leave': command(nothing, nothing, { who: 'anyone' }),
  'room.create': command(
    Type.Object({
      ...roomText,
      title: Type.String({ minLength: 1, maxLength: 120 }),
      roomId: optional(Id),
      ownerId: optional(Id),
    }),
    Type.Object({ room: RoomInfo }),
    { room: false },
  ),
  'room.update': command(Type.Object(roomText, { minProperties: 1 }), Type.Object({ room: RoomInfo })),
  'room.open': command(Type.Object({ plan: optional(Text(64)) }), Type.Object({ liveId: Id })),
  'room.close': command(Type.Object({ reason: Reason }), Type.Object({ liveId: Id })),
  'room.set_settings': command(SettingsPatch, Type.Object({ settings: Settings })),
  'room.grant_role': command(Type.Object({ userId: Id, role: oneOf(roles) }), nothing),
  'room.revoke_role': command(Type.Object({ userId: Id, role: oneOf(roles) }), nothing),
  'room.mute': command(
    Type.Object({ userId: Id, durationMs: Type.Integer({ minimum: -1, maximum: 14 * dayMs }), reason: Reason }),
    Type.Object({ untilAt: Instant }),
  ),
  'room.unmute': command(Type.Object({ userId: Id }), nothing),
  'room.kick': command(
    Type.Object({ userId: Id, banMs: optional(Type.Integer({ minimum: -1, maximum: 365 * dayMs })), reason: Reason }),
    Type.Object({ untilAt: Instant }),
  ),
  'room.unban': command(Type.Object({ userId: Id }), nothing),
  'room.list': command(
    Type.Object({
      categoryId: optional(Text(64)),
      cursor: optional(Text(128)),
      limit: optional(Type.Integer({ minimum: 1, maximum: 100 })),
    }),
    Type.Object({ items: Type.Array(RoomListItem), cursor: optional(Type.String()) }),
    { run: 'free', who: 'anyone', room: false },
  ),
  'room.list_restrictions': command(
    nothing,
    Type.Object({ mutes: Type.Array(Restriction), bans: Type.Array(Restriction), roles: Type.Array(RoleGrant) }),
    { run: 'free' },
  ),
  'danmaku.send': command(
    Type.Object({
      text: optional(Text(4000)),
      mode: optional(oneOf(modes)),
      color: optional(Type.Integer({ minimum: 0, maximum: 0xffffff })),
      size: optional(oneOf(sizes)),
      emoteId: optional(Id),
      replyTo: optional(Id),
    }),
    Type.Object({ id: Id, seq: Count, text: Type.String() }),
    { joined: true },
  ),
  'danmaku.remove': command(
    Type.Object({ id: optional(Id), userId: optional(Id), sinceAt: optional(Instant) }),
    Type.Object({ ids: Type.Array(Id) }),
  ),
  'like.tap': command(Type.Object({ n: optional(Type.Integer({ minimum: 1, maximum: 30 })) }), Type.Object({ total: Count }), {
    run: 'free',
    joined: true,
  }),
  'share.report': command(Type.Object({ channel: optional(Text(32)) }), Type.Object({ total: Count }), {
    run: 'free',
    joined: true,
  }),
  'wall.show': command(
    Type.Object({
      messageId: optional(Id),
      text: optional(Type.String({ minLength: 1, maxLength: 200 })),
      showMs: optional(Type.Integer({ minimum: 1000, maximum: dayMs })),
    }),
    Type.Object({ item: WallItem }),
  ),
  'wall.hide': command(nothing, nothing),
  'gift.list': command(nothing, Type.Object({ items: Type.Array(GiftItem), version: Type.String() }), {
    run: 'free',
    who: 'anyone',
  }),
  'gift.send': command(
    Type.Object({
      giftId: Id,
      count: optional(Type.Integer({ minimum: 1, maximum: giftCountMax })),
      to: optional(Id),
      comboId: optional(Id),
    }),
    Type.Object({ txId: Id, balanceCoin: Coins, comboId: optional(Id), comboCount: optional(Count32) }),
    { run: 'paid', joined: true },
  ),
  'wallet.get': command(nothing, Type.Object({ coinPaid: Coins, coinBonus: Coins, bean: CoinText, level: optional(Count32) }), {
    run: 'free',
    room: false,
  }),
  'rank.get': command(
    Type.Object({ board: oneOf(boards), limit: optional(Type.Integer({ minimum: 1, maximum: 100 })), window: optional(Id) }),
    Type.Object({
      rows: Type.Array(RankRow),
      place: optional(Count32),
      scoreCoin: optional(CoinText),
      window: optional(Type.String()),
      counting: optional(Type.Boolean()),
    }),
    { run: 'free', who: 'anyone' },
  ),
  'stream.get_capabilities': command(nothing, Type.Object({ rtpJson: MediaJson }), { ...watching }),
  'stream.create_transport': command(
    Type.Object({ direction: oneOf(['send', 'recv'] as const), rtpJson: optional(MediaJson) }),
    Type.Object({ transportId: Id, paramsJson: MediaJson, iceServersJson: MediaJson }),
    { ...watching },
  ),
  'stream.connect_transport': command(Type.Object({ transportId: Id, dtlsJson: MediaJson }), nothing, { ...watching }),
  'stream.restart_ice': command(Type.Object({ transportId: Id }), Type.Object({ iceJson: MediaJson }), { ...watching }),
  'stream.publish': command(
    Type.Object({
      transportId: Id,
      kind: oneOf(mediaKinds),
      rtpJson: MediaJson,
      source: oneOf(['cam', 'mic', 'screen', 'virtual'] as const),
      line: optional(oneOf(streamLines)),
    }),
    Type.Object({ producerId: Id }),
    { run: 'free', joined: true },
  ),
  'stream.unpublish': command(Type.Object({ producerId: Id }), nothing, { run: 'free', joined: true }),
  'stream.play': command(Type.Object({ trackId: Id, transportId: Id }), Type.Object({ consumerId: Id, paramsJson: MediaJson }), {
    ...watching,
  }),
  'stream.resume_play': command(Type.Object({ consumerId: Id }), nothing, { ...watching }),
  'stream.pause_play': command(Type.Object({ consumerId: Id }), nothing, { ...watching }),
  'stream.stop_play': command(Type.Object({ consumerId: Id }), nothing, { ...watching }),
  'stream.set_layers': command(
    Type.Object({
      consumerId: Id,
      spatial: Type.Integer({ minimum: 0, maximum: 7 }),
      temporal: optional(Type.Integer({ minimum: 0, maximum: 7 })),
    }),
    nothing,
    { ...watching },
  ),
  'stream.switch_line': command(
    Type.Object({ line: oneOf(['primary', 'backup', 'auto'] as const) }),
    Type.Object({ line: oneOf(streamLines) }),
  ),
  'stream.select_source': command(Type.Object({ producerId: Id }), nothing),
  'stream.open_ingest': command(
    Type.Object({ line: optional(oneOf(streamLines)), codec: optional(oneOf(ingestCodecs)) }),
    Type.Object({ ingestJson: MediaJson }),
  ),
  'stream.report_qos': command(
    Type.Object({
      windowMs: Type.Integer({ minimum: 1, maximum: 60_000 }),
      playMs: Type.Integer({ minimum: 0, maximum: 60_000 }),
      stallMs: Type.Integer({ minimum: 0, maximum: 60_000 }),
      rttMs: optional(Type.Integer({ minimum: 0, maximum: 60_000 })),
      lossBps: optional(Type.Integer({ minimum: 0, maximum: 10_000 })),
      avSkewMs: optional(Type.Integer({ minimum: -60_000, maximum: 60_000 })),
    }),
    nothing,
    { ...watching },
  ),
  'stream.stop': command(Type.Object({ reason: Reason }), nothing),
  'mic.apply': command(
    Type.Object({ kind: optional(oneOf(mediaKinds)), note: optional(Text(100)) }),
    Type.Object({ place: Count32 }),
    { joined: true },
  ),
  'mic.cancel': command(nothing, nothing),
  'mic.list': command(nothing, Type.Object({ applicants: Type.Array(MicApplicant), invited: Type.Array(Person) }), {
    run: 'free',
  }),
  'mic.invite': command(
    Type.Object({
      userId: Id,
      seatNo: optional(SeatNo),
      timeoutMs: optional(Type.Integer({ minimum: 5_000, maximum: 120_000 })),
    }),
    Type.Object({ inviteId: Id, expireAt: Instant }),
  ),
  'mic.accept': command(Type.Object({ userId: optional(Id), inviteId: optional(Id), seatNo: optional(SeatNo) }), MicGrant),
  'mic.reject': command(Type.Object({ userId: optional(Id), inviteId: optional(Id), reason: Reason }), nothing),
  'mic.join': command(Type.Object({ seatNo: SeatNo }), Type.Object({ seat: Seat }), { joined: true }),
  'mic.leave': command(nothing, nothing),
  'mic.move': command(Type.Object({ seatNo: SeatNo }), nothing, { joined: true }),
  'mic.mute_seat': command(Type.Object({ seatNo: SeatNo }), nothing),
  'mic.unmute_seat': command(Type.Object({ seatNo: SeatNo }), nothing),
  'mic.lock_seat': command(Type.Object({ seatNo: SeatNo }), nothing),
  'mic.unlock_seat': command(Type.Object({ seatNo: SeatNo }), nothing),
  'mic.drop': command(Type.Object({ seatNo: SeatNo, reason: Reason }), nothing),
} as const

export type CommandName = keyof typeof commands
export type CommandInput<T extends CommandName> = Static<(typeof commands)[T]['d']>
export type CommandReply<T extends CommandName> = Static<(typeof commands)[T]['reply']>

/** high: never sampled or dropped. normal: sampled to the client cap. low: the latest value per tick. */
export type Lane = 'high' | 'normal' | 'low'
export const lanes = ['high', 'normal', 'low'] as const
const event = <D extends TObject, L extends Lane>(lane: L, d: D) => ({ lane, d })
const By = { by: Type.String() }

/** Facts of a room, with seq. */
export const events = {
  'room.created': event('high', Type.Object({ room: RoomInfo })),
  'room.updated': event('high', Type.Object({ patch: RoomPatch, version: Count, ...By })),
  'room.opened': event('high', Type.Object({ liveId: Id, openedAt: Instant })),
  'room.closed': event(
    'high',
    Type.Object({
      liveId: Id,
      reason: Type.String(),
      stats: Type.Object({ durationMs: Count, peak: Count32, danmaku: Count, likes: Count }),
    }),
  ),
  'room.taken_down': event('high', Type.Object({ reason: Type.String(), caseId: optional(Id) })),
  'room.restored': event('high', Type.Object({ ...By })),
  'room.settings_changed': event('high', Type.Object({ patch: Type.Partial(Settings), ...By })),
  'room.role_changed': event('high', Type.Object({ userId: Id, role: Type.String(), granted: Type.Boolean(), ...By })),
  'room.user_muted': event('high', Type.Object({ userId: Id, untilAt: Instant, reason: Type.String(), ...By })),
  'room.user_unmuted': event('high', Type.Object({ userId: Id, ...By })),
  'room.user_kicked': event('high', Type.Object({ userId: Id, untilAt: Instant, reason: Type.String(), ...By })),
  'message.removed': event('high', Type.Object({ ids: Type.Array(Id) })),
  'wall.shown': event('high', Type.Object({ item: WallItem })),
  'wall.hidden': event('high', Type.Object({ id: Id })),
  'gift.sent': event(
    'high',
    Type.Object({
      txId: Id,
      ...giftShown,
      count: Count32,
      unitCoin: Coins,
      comboId: optional(Id),
      comboCount: optional(Count32),
      comboExpireAt: optional(Instant),
      effectId: optional(Type.String()),
      replayed: optional(Type.Boolean()),
      collapsed: optional(Count32),
      senders: optional(Count32),
    }),
  ),
  'gift.combo_ended': event(
    'high',
    Type.Object({ comboId: Id, from: Person, to: Person, giftId: Id, comboCount: Count32, totalCount: Count, totalCoin: Coins }),
  ),
  'world.gift_banner': event('high', Type.Object({ roomId: Id, ...giftShown })),
  'rank.changed': event('low', Type.Object({ board: Type.String(), rows: Type.Array(RankRow), window: optional(Type.String()) })),
  'stream.started': event('high', Type.Object({ sinceAt: Instant })),
  'stream.stopped': event('high', Type.Object({ reason: Type.String() })),
  'stream.published': event('high', Type.Object({ track: MediaTrack })),
  'stream.unpublished': event('high', Type.Object({ trackId: Id, reason: Type.String() })),
  'stream.track_changed': event('high', Type.Object({ track: MediaTrack })),
  'stream.line_switched': event(
    'high',
    Type.Object({ from: oneOf(streamLines), to: oneOf(streamLines), gapMs: Count32, cause: Type.String() }),
  ),
  'stream.lines_changed': event('low', Type.Object({ lines: Type.Array(StreamLine), line: optional(oneOf(streamLines)) })),
  'stream.source_selected': event('high', Type.Object({ producerId: Id, source: Type.String() })),
  'stream.migrated': event('high', Type.Object({ hint: Type.String() })),
  'stream.degraded': event('high', Type.Object({ level: Count32, ...By })),
  'mic.seat_changed': event('high', Type.Object({ seat: Seat, ...By })),
  'mic.queue_changed': event('high', Type.Object({ waiting: Count32 })),
  'danmaku.sent': event('normal', DanmakuSent),
  'like.changed': event('low', Type.Object({ total: Count, delta: Count })),
  'share.changed': event('low', Type.Object({ total: Count })),
  'room.online': event('low', Online),
  'room.user_joined': event('low', Type.Object({ user: Person, source: optional(Type.String()) })),
} as const

export type EventName = keyof typeof events
export type EventData<T extends EventName> = Static<(typeof events)[T]['d']>

/** Facts of one connection, without seq. */
export const sessionEvents = {
  'room.lagging': Type.Object({ bufferedBytes: Count }),
  'room.resynced': Type.Object({ snapshot: RoomJoinReply }),
  'server.draining': Type.Object({ reconnectAfterMs: Count32 }),
  'session.expiring': Type.Object({ expiresAt: Instant }),
  'wallet.changed': Type.Object({ coinPaid: Coins, coinBonus: Coins, reason: Type.String() }),
  'stream.consumer_closed': Type.Object({ consumerId: Id, reason: Type.String() }),
  'stream.transport_closed': Type.Object({ transportId: Id, reason: Type.String() }),
  'mic.applied': Type.Object({ applicant: MicApplicant }),
  'mic.place_changed': Type.Object({ place: Count32 }),
  'mic.invited': MicInvitation,
  'mic.accepted': MicGrant,
  'mic.rejected': Type.Object({ reason: Type.String(), by: Person }),
  'mic.timed_out': Type.Object({ what: Type.String() }),
  'message.rejected': Type.Object({ caseId: Id, text: Type.String(), reason: Type.String() }),
} as const

export type SessionEventName = keyof typeof sessionEvents
export type SessionEventData<T extends SessionEventName> = Static<(typeof sessionEvents)[T]>

export type Messages = { [T in CommandName]: { d: CommandInput<T>; reply: CommandReply<T> } } & {
  [T in EventName]: EventData<T>
} & { [T in SessionEventName]: SessionEventData<T> }

export type DanmakuData = Static<typeof DanmakuSent>
export type PersonShape = Static<typeof Person>
export type RoomInfoShape = Static<typeof RoomInfo>
export type SettingsShape = Static<typeof Settings>
export type OnlineShape = Static<typeof Online>
export type WallItemShape = Static<typeof WallItem>
export type MeShape = Static<typeof Me>
export type MediaTrackShape = Static<typeof MediaTrack>
export type StreamLineShape = Static<typeof StreamLine>
export type StreamInfoShape = Static<typeof StreamInfo>
export type SeatShape = Static<typeof Seat>
export type MicInfoShape = Static<typeof MicInfo>
export type MicApplicantShape = Static<typeof MicApplicant>
export type ExtensionShape = Static<typeof Extension>
export type RestrictionShape = Static<typeof Restriction>
export type RoomListItemShape = Static<typeof RoomListItem>
export type Role = (typeof roles)[number]
