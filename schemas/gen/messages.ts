// Made by schemas/generate.ts from livehouse.proto: do not edit.
import type { Codec } from '../protobuf.ts'

export interface ClientFrame {
  requests?: Request[] | undefined
}
export const ClientFrame: Codec<ClientFrame> = {
  encode(m, w) {
    if (m.requests !== undefined) for (const item of m.requests) {
      w.uint(10)
      w.nested(Request.encode, item)
    }
  },
  decode(r, end) {
    const m: ClientFrame = { requests: [] }
    while (r.pos < end) {
      const tag = r.uint(end)
      switch (tag) {
        case 10:
          ;(m.requests ??= []).push(Request.decode(r, r.enter(end)))
          break
        default:
          r.skip(tag, end)
      }
    }
    return m
  },
}

export interface Request {
  id?: string | undefined
  t?: string | undefined
  room?: string | undefined
  ik?: string | undefined
  d?: Uint8Array | undefined
  json?: string | undefined
}
export const Request: Codec<Request> = {
  encode(m, w) {
    if (m.id !== undefined) {
      w.uint(10)
      w.string(m.id)
    }
    if (m.t !== undefined) {
      w.uint(18)
      w.string(m.t)
    }
    if (m.room !== undefined) {
      w.uint(26)
      w.string(m.room)
    }
    if (m.ik !== undefined) {
      w.uint(34)
      w.string(m.ik)
    }
    if (m.d !== undefined) {
      w.uint(42)
      w.raw(m.d)
    }
    if (m.json !== undefined) {
      w.uint(50)
      w.string(m.json)
    }
  },
  decode(r, end) {
    const m: Request = {}
    while (r.pos < end) {
      const tag = r.uint(end)
      switch (tag) {
        case 10:
          m.id = r.string(end)
          break
        case 18:
          m.t = r.string(end)
          break
        case 26:
          m.room = r.string(end)
          break
        case 34:
          m.ik = r.string(end)
          break
        case 42:
          m.d = r.raw(end)
          break
        case 50:
          m.json = r.string(end)
          break
        default:
          r.skip(tag, end)
      }
    }
    return m
  },
}

export interface ServerFrame {
  messages?: ServerMessage[] | undefined
}
export const ServerFrame: Codec<ServerFrame> = {
  encode(m, w) {
    if (m.messages !== undefined) for (const item of m.messages) {
      w.uint(10)
      w.nested(ServerMessage.encode, item)
    }
  },
  decode(r, end) {
    const m: ServerFrame = { messages: [] }
    while (r.pos < end) {
      const tag = r.uint(end)
      switch (tag) {
        case 10:
          ;(m.messages ??= []).push(ServerMessage.decode(r, r.enter(end)))
          break
        default:
          r.skip(tag, end)
      }
    }
    return m
  },
}

export interface ServerMessage {
  event?: Event | undefined
  reply?: Reply | undefined
}
export const ServerMessage: Codec<ServerMessage> = {
  encode(m, w) {
    if (m.event !== undefined) {
      w.uint(10)
      w.nested(Event.encode, m.event)
    }
    if (m.reply !== undefined) {
      w.uint(18)
      w.nested(Reply.encode, m.reply)
    }
  },
  decode(r, end) {
    const m: ServerMessage = {}
    while (r.pos < end) {
      const tag = r.uint(end)
      switch (tag) {
        case 10:
          m.event = Event.decode(r, r.enter(end))
          break
        case 18:
          m.reply = Reply.decode(r, r.enter(end))
          break
        default:
          r.skip(tag, end)
      }
    }
    return m
  },
}

export interface Event {
  t?: string | undefined
  room?: string | undefined
  seq?: number | undefined
  at?: number | undefined
  d?: Uint8Array | undefined
  json?: string | undefined
}
export const Event: Codec<Event> = {
  encode(m, w) {
    if (m.t !== undefined) {
      w.uint(10)
      w.string(m.t)
    }
    if (m.room !== undefined) {
      w.uint(18)
      w.string(m.room)
    }
    if (m.seq !== undefined) {
      w.uint(24)
      w.int(m.seq)
    }
    if (m.at !== undefined) {
      w.uint(32)
      w.int(m.at)
    }
    if (m.d !== undefined) {
      w.uint(42)
      w.raw(m.d)
    }
    if (m.json !== undefined) {
      w.uint(50)
      w.string(m.json)
    }
  },
  decode(r, end) {
    const m: Event = {}
    while (r.pos < end) {
      const tag = r.uint(end)
      switch (tag) {
        case 10:
          m.t = r.string(end)
          break
        case 18:
          m.room = r.string(end)
          break
        case 24:
          m.seq = r.int(end)
          break
        case 32:
          m.at = r.int(end)
          break
        case 42:
          m.d = r.raw(end)
          break
        case 50:
          m.json = r.string(end)
          break
        default:
          r.skip(tag, end)
      }
    }
    return m
  },
}

export interface Reply {
  re?: string | undefined
  ok?: boolean | undefined
  d?: Uint8Array | undefined
  err?: Error | undefined
  t?: string | undefined
  replayed?: boolean | undefined
  json?: string | undefined
}
export const Reply: Codec<Reply> = {
  encode(m, w) {
    if (m.re !== undefined) {
      w.uint(10)
      w.string(m.re)
    }
    if (m.ok !== undefined) {
      w.uint(16)
      w.bool(m.ok)
    }
    if (m.d !== undefined) {
      w.uint(26)
      w.raw(m.d)
    }
    if (m.err !== undefined) {
      w.uint(34)
      w.nested(Error.encode, m.err)
    }
    if (m.t !== undefined) {
      w.uint(42)
      w.string(m.t)
    }
    if (m.replayed !== undefined) {
      w.uint(48)
      w.bool(m.replayed)
    }
    if (m.json !== undefined) {
      w.uint(58)
      w.string(m.json)
    }
  },
  decode(r, end) {
    const m: Reply = {}
    while (r.pos < end) {
      const tag = r.uint(end)
      switch (tag) {
        case 10:
          m.re = r.string(end)
          break
        case 16:
          m.ok = r.bool(end)
          break
        case 26:
          m.d = r.raw(end)
          break
        case 34:
          m.err = Error.decode(r, r.enter(end))
          break
        case 42:
          m.t = r.string(end)
          break
        case 48:
          m.replayed = r.bool(end)
          break
        case 58:
          m.json = r.string(end)
          break
        default:
          r.skip(tag, end)
      }
    }
    return m
  },
}

export interface Error {
  code?: string | undefined
  msg?: string | undefined
  retryAfterMs?: number | undefined
  d?: ErrorDetail | undefined
}
export const Error: Codec<Error> = {
  encode(m, w) {
    if (m.code !== undefined) {
      w.uint(10)
      w.string(m.code)
    }
    if (m.msg !== undefined) {
      w.uint(18)
      w.string(m.msg)
    }
    if (m.retryAfterMs !== undefined) {
      w.uint(24)
      w.int(m.retryAfterMs)
    }
    if (m.d !== undefined) {
      w.uint(34)
      w.nested(ErrorDetail.encode, m.d)
    }
  },
  decode(r, end) {
    const m: Error = {}
    while (r.pos < end) {
      const tag = r.uint(end)
      switch (tag) {
        case 10:
          m.code = r.string(end)
          break
        case 18:
          m.msg = r.string(end)
          break
        case 24:
          m.retryAfterMs = r.int(end)
          break
        case 34:
          m.d = ErrorDetail.decode(r, r.enter(end))
          break
        default:
          r.skip(tag, end)
      }
    }
    return m
  },
}

export interface ErrorDetail {
  field?: string | undefined
  untilAt?: number | undefined
  max?: number | undefined
  hint?: string | undefined
  caseId?: string | undefined
  resetAt?: number | undefined
}
export const ErrorDetail: Codec<ErrorDetail> = {
  encode(m, w) {
    if (m.field !== undefined) {
      w.uint(10)
      w.string(m.field)
    }
    if (m.untilAt !== undefined) {
      w.uint(16)
      w.int(m.untilAt)
    }
    if (m.max !== undefined) {
      w.uint(24)
      w.int(m.max)
    }
    if (m.hint !== undefined) {
      w.uint(34)
      w.string(m.hint)
    }
    if (m.caseId !== undefined) {
      w.uint(42)
      w.string(m.caseId)
    }
    if (m.resetAt !== undefined) {
      w.uint(48)
      w.int(m.resetAt)
    }
  },
  decode(r, end) {
    const m: ErrorDetail = {}
    while (r.pos < end) {
      const tag = r.uint(end)
      switch (tag) {
        case 10:
          m.field = r.string(end)
          break
        case 16:
          m.untilAt = r.int(end)
          break
        case 24:
          m.max = r.int(end)
          break
        case 34:
          m.hint = r.string(end)
          break
        case 42:
          m.caseId = r.string(end)
          break
        case 48:
          m.resetAt = r.int(end)
          break
        default:
          r.skip(tag, end)
      }
    }
    return m
  },
}

export interface Person {
  id?: string | undefined
  name?: string | undefined
  role?: string | undefined
  bot?: boolean | undefined
}
export const Person: Codec<Person> = {
  encode(m, w) {
    if (m.id !== undefined) {
      w.uint(10)
      w.string(m.id)
    }
    if (m.name !== undefined) {
      w.uint(18)
      w.string(m.name)
    }
    if (m.role !== undefined) {
      w.uint(26)
      w.string(m.role)
    }
    if (m.bot !== undefined) {
      w.uint(32)
      w.bool(m.bot)
    }
  },
  decode(r, end) {
    const m: Person = {}
    while (r.pos < end) {
      const tag = r.uint(end)
      switch (tag) {
        case 10:
          m.id = r.string(end)
          break
        case 18:
          m.name = r.string(end)
          break
        case 26:
          m.role = r.string(end)
          break
        case 32:
          m.bot = r.bool(end)
          break
        default:
          r.skip(tag, end)
      }
    }
    return m
  },
}

export interface RoomInfo {
  id?: string | undefined
  ownerId?: string | undefined
  title?: string | undefined
  intro?: string | undefined
  theme?: string | undefined
  categoryId?: string | undefined
  cover?: string | undefined
  state?: string | undefined
  liveId?: string | undefined
  openedAt?: number | undefined
  version?: number | undefined
}
export const RoomInfo: Codec<RoomInfo> = {
  encode(m, w) {
    if (m.id !== undefined) {
      w.uint(10)
      w.string(m.id)
    }
    if (m.ownerId !== undefined) {
      w.uint(18)
      w.string(m.ownerId)
    }
    if (m.title !== undefined) {
      w.uint(26)
      w.string(m.title)
    }
    if (m.intro !== undefined) {
      w.uint(34)
      w.string(m.intro)
    }
    if (m.theme !== undefined) {
      w.uint(42)
      w.string(m.theme)
    }
    if (m.categoryId !== undefined) {
      w.uint(50)
      w.string(m.categoryId)
    }
    if (m.cover !== undefined) {
      w.uint(58)
      w.string(m.cover)
    }
    if (m.state !== undefined) {
      w.uint(66)
      w.string(m.state)
    }
    if (m.liveId !== undefined) {
      w.uint(74)
      w.string(m.liveId)
    }
    if (m.openedAt !== undefined) {
      w.uint(80)
      w.int(m.openedAt)
    }
    if (m.version !== undefined) {
      w.uint(88)
      w.int(m.version)
    }
  },
  decode(r, end) {
    const m: RoomInfo = {}
    while (r.pos < end) {
      const tag = r.uint(end)
      switch (tag) {
        case 10:
          m.id = r.string(end)
          break
        case 18:
          m.ownerId = r.string(end)
          break
        case 26:
          m.title = r.string(end)
          break
        case 34:
          m.intro = r.string(end)
          break
        case 42:
          m.theme = r.string(end)
          break
        case 50:
          m.categoryId = r.string(end)
          break
        case 58:
          m.cover = r.string(end)
          break
        case 66:
          m.state = r.string(end)
          break
        case 74:
          m.liveId = r.string(end)
          break
        case 80:
          m.openedAt = r.int(end)
          break
        case 88:
          m.version = r.int(end)
          break
        default:
          r.skip(tag, end)
      }
    }
    return m
  },
}

export interface RoomPatch {
  title?: string | undefined
  intro?: string | undefined
  theme?: string | undefined
  categoryId?: string | undefined
  cover?: string | undefined
}
export const RoomPatch: Codec<RoomPatch> = {
  encode(m, w) {
    if (m.title !== undefined) {
      w.uint(10)
      w.string(m.title)
    }
    if (m.intro !== undefined) {
      w.uint(18)
      w.string(m.intro)
    }
    if (m.theme !== undefined) {
      w.uint(26)
      w.string(m.theme)
    }
    if (m.categoryId !== undefined) {
      w.uint(34)
      w.string(m.categoryId)
    }
    if (m.cover !== undefined) {
      w.uint(42)
      w.string(m.cover)
    }
  },
  decode(r, end) {
    const m: RoomPatch = {}
    while (r.pos < end) {
      const tag = r.uint(end)
      switch (tag) {
        case 10:
          m.title = r.string(end)
          break
        case 18:
          m.intro = r.string(end)
          break
        case 26:
          m.theme = r.string(end)
          break
        case 34:
          m.categoryId = r.string(end)
          break
        case 42:
          m.cover = r.string(end)
          break
        default:
          r.skip(tag, end)
      }
    }
    return m
  },
}

export interface Settings {
  chat?: boolean | undefined
  gift?: boolean | undefined
  like?: boolean | undefined
  mic?: boolean | undefined
  pk?: boolean | undefined
  link?: boolean | undefined
  slowModeMs?: number | undefined
  muteAll?: boolean | undefined
  uniqueChat?: boolean | undefined
  emoteOnly?: boolean | undefined
  reverseMode?: boolean | undefined
}
export const Settings: Codec<Settings> = {
  encode(m, w) {
    if (m.chat !== undefined) {
      w.uint(8)
      w.bool(m.chat)
    }
    if (m.gift !== undefined) {
      w.uint(16)
      w.bool(m.gift)
    }
    if (m.like !== undefined) {
      w.uint(24)
      w.bool(m.like)
    }
    if (m.mic !== undefined) {
      w.uint(32)
      w.bool(m.mic)
    }
    if (m.pk !== undefined) {
      w.uint(40)
      w.bool(m.pk)
    }
    if (m.link !== undefined) {
      w.uint(48)
      w.bool(m.link)
    }
    if (m.slowModeMs !== undefined) {
      w.uint(56)
      w.int32(m.slowModeMs)
    }
    if (m.muteAll !== undefined) {
      w.uint(64)
      w.bool(m.muteAll)
    }
    if (m.uniqueChat !== undefined) {
      w.uint(72)
      w.bool(m.uniqueChat)
    }
    if (m.emoteOnly !== undefined) {
      w.uint(80)
      w.bool(m.emoteOnly)
    }
    if (m.reverseMode !== undefined) {
      w.uint(88)
      w.bool(m.reverseMode)
    }
  },
  decode(r, end) {
    const m: Settings = {}
    while (r.pos < end) {
      const tag = r.uint(end)
      switch (tag) {
        case 8:
          m.chat = r.bool(end)
          break
        case 16:
          m.gift = r.bool(end)
          break
        case 24:
          m.like = r.bool(end)
          break
        case 32:
          m.mic = r.bool(end)
          break
        case 40:
          m.pk = r.bool(end)
          break
        case 48:
          m.link = r.bool(end)
          break
        case 56:
          m.slowModeMs = r.int32(end)
          break
        case 64:
          m.muteAll = r.bool(end)
          break
        case 72:
          m.uniqueChat = r.bool(end)
          break
        case 80:
          m.emoteOnly = r.bool(end)
          break
        case 88:
          m.reverseMode = r.bool(end)
          break
        default:
          r.skip(tag, end)
      }
    }
    return m
  },
}

export interface Online {
  unique?: number | undefined
  connections?: number | undefined
  peak?: number | undefined
}
export const Online: Codec<Online> = {
  encode(m, w) {
    if (m.unique !== undefined) {
      w.uint(8)
      w.int32(m.unique)
    }
    if (m.connections !== undefined) {
      w.uint(16)
      w.int32(m.connections)
    }
    if (m.peak !== undefined) {
      w.uint(24)
      w.int32(m.peak)
    }
  },
  decode(r, end) {
    const m: Online = {}
    while (r.pos < end) {
      const tag = r.uint(end)
      switch (tag) {
        case 8:
          m.unique = r.int32(end)
          break
        case 16:
          m.connections = r.int32(end)
          break
        case 24:
          m.peak = r.int32(end)
          break
        default:
          r.skip(tag, end)
      }
    }
    return m
  },
}

export interface WallItem {
  id?: string | undefined
  messageId?: string | undefined
  text?: string | undefined
  from?: Person | undefined
  by?: string | undefined
  shownAt?: number | undefined
  untilAt?: number | undefined
}
export const WallItem: Codec<WallItem> = {
  encode(m, w) {
    if (m.id !== undefined) {
      w.uint(10)
      w.string(m.id)
    }
    if (m.messageId !== undefined) {
      w.uint(18)
      w.string(m.messageId)
    }
    if (m.text !== undefined) {
      w.uint(26)
      w.string(m.text)
    }
    if (m.from !== undefined) {
      w.uint(34)
      w.nested(Person.encode, m.from)
    }
    if (m.by !== undefined) {
      w.uint(42)
      w.string(m.by)
    }
    if (m.shownAt !== undefined) {
      w.uint(48)
      w.int(m.shownAt)
    }
    if (m.untilAt !== undefined) {
      w.uint(56)
      w.int(m.untilAt)
    }
  },
  decode(r, end) {
    const m: WallItem = {}
    while (r.pos < end) {
      const tag = r.uint(end)
      switch (tag) {
        case 10:
          m.id = r.string(end)
          break
        case 18:
          m.messageId = r.string(end)
          break
        case 26:
          m.text = r.string(end)
          break
        case 34:
          m.from = Person.decode(r, r.enter(end))
          break
        case 42:
          m.by = r.string(end)
          break
        case 48:
          m.shownAt = r.int(end)
          break
        case 56:
          m.untilAt = r.int(end)
          break
        default:
          r.skip(tag, end)
      }
    }
    return m
  },
}

export interface Me {
  userId?: string | undefined
  name?: string | undefined
  roles?: string[] | undefined
  anonymous?: boolean | undefined
  mutedUntilAt?: number | undefined
  invitation?: MicInvited | undefined
  granted?: MicAccepted | undefined
}
export const Me: Codec<Me> = {
  encode(m, w) {
    if (m.userId !== undefined) {
      w.uint(10)
      w.string(m.userId)
    }
    if (m.name !== undefined) {
      w.uint(18)
      w.string(m.name)
    }
    if (m.roles !== undefined) for (const item of m.roles) {
      w.uint(26)
      w.string(item)
    }
    if (m.anonymous !== undefined) {
      w.uint(32)
      w.bool(m.anonymous)
    }
    if (m.mutedUntilAt !== undefined) {
      w.uint(40)
      w.int(m.mutedUntilAt)
    }
    if (m.invitation !== undefined) {
      w.uint(50)
      w.nested(MicInvited.encode, m.invitation)
    }
    if (m.granted !== undefined) {
      w.uint(58)
      w.nested(MicAccepted.encode, m.granted)
    }
  },
  decode(r, end) {
    const m: Me = { roles: [] }
    while (r.pos < end) {
      const tag = r.uint(end)
      switch (tag) {
        case 10:
          m.userId = r.string(end)
          break
        case 18:
          m.name = r.string(end)
          break
        case 26:
          ;(m.roles ??= []).push(r.string(end))
          break
        case 32:
          m.anonymous = r.bool(end)
          break
        case 40:
          m.mutedUntilAt = r.int(end)
          break
        case 50:
          m.invitation = MicInvited.decode(r, r.enter(end))
          break
        case 58:
          m.granted = MicAccepted.decode(r, r.enter(end))
          break
        default:
          r.skip(tag, end)
      }
    }
    return m
  },
}

export interface Restriction {
  userId?: string | undefined
  untilAt?: number | undefined
  reason?: string | undefined
  by?: string | undefined
  at?: number | undefined
}
export const Restriction: Codec<Restriction> = {
  encode(m, w) {
    if (m.userId !== undefined) {
      w.uint(10)
      w.string(m.userId)
    }
    if (m.untilAt !== undefined) {
      w.uint(16)
      w.int(m.untilAt)
    }
    if (m.reason !== undefined) {
      w.uint(26)
      w.string(m.reason)
    }
    if (m.by !== undefined) {
      w.uint(34)
      w.string(m.by)
    }
    if (m.at !== undefined) {
      w.uint(40)
      w.int(m.at)
    }
  },
  decode(r, end) {
    const m: Restriction = {}
    while (r.pos < end) {
      const tag = r.uint(end)
      switch (tag) {
        case 10:
          m.userId = r.string(end)
          break
        case 16:
          m.untilAt = r.int(end)
          break
        case 26:
          m.reason = r.string(end)
          break
        case 34:
          m.by = r.string(end)
          break
        case 40:
          m.at = r.int(end)
          break
        default:
          r.skip(tag, end)
      }
    }
    return m
  },
}

export interface RoleGrant {
  userId?: string | undefined
  role?: string | undefined
}
export const RoleGrant: Codec<RoleGrant> = {
  encode(m, w) {
    if (m.userId !== undefined) {
      w.uint(10)
      w.string(m.userId)
    }
    if (m.role !== undefined) {
      w.uint(18)
      w.string(m.role)
    }
  },
  decode(r, end) {
    const m: RoleGrant = {}
    while (r.pos < end) {
      const tag = r.uint(end)
      switch (tag) {
        case 10:
          m.userId = r.string(end)
          break
        case 18:
          m.role = r.string(end)
          break
        default:
          r.skip(tag, end)
      }
    }
    return m
  },
}

export interface RoomListItem {
  id?: string | undefined
  title?: string | undefined
  categoryId?: string | undefined
  cover?: string | undefined
  ownerId?: string | undefined
  online?: number | undefined
  openedAt?: number | undefined
}
export const RoomListItem: Codec<RoomListItem> = {
  encode(m, w) {
    if (m.id !== undefined) {
      w.uint(10)
      w.string(m.id)
    }
    if (m.title !== undefined) {
      w.uint(18)
      w.string(m.title)
    }
    if (m.categoryId !== undefined) {
      w.uint(26)
      w.string(m.categoryId)
    }
    if (m.cover !== undefined) {
      w.uint(34)
      w.string(m.cover)
    }
    if (m.ownerId !== undefined) {
      w.uint(42)
      w.string(m.ownerId)
    }
    if (m.online !== undefined) {
      w.uint(48)
      w.int32(m.online)
    }
    if (m.openedAt !== undefined) {
      w.uint(56)
      w.int(m.openedAt)
    }
  },
  decode(r, end) {
    const m: RoomListItem = {}
    while (r.pos < end) {
      const tag = r.uint(end)
      switch (tag) {
        case 10:
          m.id = r.string(end)
          break
        case 18:
          m.title = r.string(end)
          break
        case 26:
          m.categoryId = r.string(end)
          break
        case 34:
          m.cover = r.string(end)
          break
        case 42:
          m.ownerId = r.string(end)
          break
        case 48:
          m.online = r.int32(end)
          break
        case 56:
          m.openedAt = r.int(end)
          break
        default:
          r.skip(tag, end)
      }
    }
    return m
  },
}

export interface Resume {
  epoch?: number | undefined
  seq?: number | undefined
}
export const Resume: Codec<Resume> = {
  encode(m, w) {
    if (m.epoch !== undefined) {
      w.uint(8)
      w.int(m.epoch)
    }
    if (m.seq !== undefined) {
      w.uint(16)
      w.int(m.seq)
    }
  },
  decode(r, end) {
    const m: Resume = {}
    while (r.pos < end) {
      const tag = r.uint(end)
      switch (tag) {
        case 8:
          m.epoch = r.int(end)
          break
        case 16:
          m.seq = r.int(end)
          break
        default:
          r.skip(tag, end)
      }
    }
    return m
  },
}

export interface Limits {
  inboxMax?: number | undefined
  inboundFrameBytesMax?: number | undefined
  roomsPerSessionMax?: number | undefined
  danmakuCodePointsMax?: number | undefined
  danmakuPerClientMax?: number | undefined
}
export const Limits: Codec<Limits> = {
  encode(m, w) {
    if (m.inboxMax !== undefined) {
      w.uint(8)
      w.int32(m.inboxMax)
    }
    if (m.inboundFrameBytesMax !== undefined) {
      w.uint(16)
      w.int32(m.inboundFrameBytesMax)
    }
    if (m.roomsPerSessionMax !== undefined) {
      w.uint(24)
      w.int32(m.roomsPerSessionMax)
    }
    if (m.danmakuCodePointsMax !== undefined) {
      w.uint(32)
      w.int32(m.danmakuCodePointsMax)
    }
    if (m.danmakuPerClientMax !== undefined) {
      w.uint(40)
      w.int32(m.danmakuPerClientMax)
    }
  },
  decode(r, end) {
    const m: Limits = {}
    while (r.pos < end) {
      const tag = r.uint(end)
      switch (tag) {
        case 8:
          m.inboxMax = r.int32(end)
          break
        case 16:
          m.inboundFrameBytesMax = r.int32(end)
          break
        case 24:
          m.roomsPerSessionMax = r.int32(end)
          break
        case 32:
          m.danmakuCodePointsMax = r.int32(end)
          break
        case 40:
          m.danmakuPerClientMax = r.int32(end)
          break
        default:
          r.skip(tag, end)
      }
    }
    return m
  },
}

export interface Extension {
  plugin?: string | undefined
  json?: string | undefined
}
export const Extension: Codec<Extension> = {
  encode(m, w) {
    if (m.plugin !== undefined) {
      w.uint(10)
      w.string(m.plugin)
    }
    if (m.json !== undefined) {
      w.uint(18)
      w.string(m.json)
    }
  },
  decode(r, end) {
    const m: Extension = {}
    while (r.pos < end) {
      const tag = r.uint(end)
      switch (tag) {
        case 10:
          m.plugin = r.string(end)
          break
        case 18:
          m.json = r.string(end)
          break
        default:
          r.skip(tag, end)
      }
    }
    return m
  },
}

export interface SessionOpen {
  token?: string | undefined
  platform?: string | undefined
  deviceId?: string | undefined
  proto?: string | undefined
}
export const SessionOpen: Codec<SessionOpen> = {
  encode(m, w) {
    if (m.token !== undefined) {
      w.uint(10)
      w.string(m.token)
    }
    if (m.platform !== undefined) {
      w.uint(18)
      w.string(m.platform)
    }
    if (m.deviceId !== undefined) {
      w.uint(26)
      w.string(m.deviceId)
    }
    if (m.proto !== undefined) {
      w.uint(34)
      w.string(m.proto)
    }
  },
  decode(r, end) {
    const m: SessionOpen = {}
    while (r.pos < end) {
      const tag = r.uint(end)
      switch (tag) {
        case 10:
          m.token = r.string(end)
          break
        case 18:
          m.platform = r.string(end)
          break
        case 26:
          m.deviceId = r.string(end)
          break
        case 34:
          m.proto = r.string(end)
          break
        default:
          r.skip(tag, end)
      }
    }
    return m
  },
}

export interface SessionOpenReply {
  sid?: string | undefined
  userId?: string | undefined
  name?: string | undefined
  anonymous?: boolean | undefined
  serverAt?: number | undefined
  heartbeatMs?: number | undefined
  expiresAt?: number | undefined
  limits?: Limits | undefined
}
export const SessionOpenReply: Codec<SessionOpenReply> = {
  encode(m, w) {
    if (m.sid !== undefined) {
      w.uint(10)
      w.string(m.sid)
    }
    if (m.userId !== undefined) {
      w.uint(18)
      w.string(m.userId)
    }
    if (m.name !== undefined) {
      w.uint(26)
      w.string(m.name)
    }
    if (m.anonymous !== undefined) {
      w.uint(32)
      w.bool(m.anonymous)
    }
    if (m.serverAt !== undefined) {
      w.uint(40)
      w.int(m.serverAt)
    }
    if (m.heartbeatMs !== undefined) {
      w.uint(48)
      w.int32(m.heartbeatMs)
    }
    if (m.expiresAt !== undefined) {
      w.uint(56)
      w.int(m.expiresAt)
    }
    if (m.limits !== undefined) {
      w.uint(66)
      w.nested(Limits.encode, m.limits)
    }
  },
  decode(r, end) {
    const m: SessionOpenReply = {}
    while (r.pos < end) {
      const tag = r.uint(end)
      switch (tag) {
        case 10:
          m.sid = r.string(end)
          break
        case 18:
          m.userId = r.string(end)
          break
        case 26:
          m.name = r.string(end)
          break
        case 32:
          m.anonymous = r.bool(end)
          break
        case 40:
          m.serverAt = r.int(end)
          break
        case 48:
          m.heartbeatMs = r.int32(end)
          break
        case 56:
          m.expiresAt = r.int(end)
          break
        case 66:
          m.limits = Limits.decode(r, r.enter(end))
          break
        default:
          r.skip(tag, end)
      }
    }
    return m
  },
}

export interface SessionRenew {
  token?: string | undefined
}
export const SessionRenew: Codec<SessionRenew> = {
  encode(m, w) {
    if (m.token !== undefined) {
      w.uint(10)
      w.string(m.token)
    }
  },
  decode(r, end) {
    const m: SessionRenew = {}
    while (r.pos < end) {
      const tag = r.uint(end)
      switch (tag) {
        case 10:
          m.token = r.string(end)
          break
        default:
          r.skip(tag, end)
      }
    }
    return m
  },
}

export interface SessionRenewReply {
  expiresAt?: number | undefined
}
export const SessionRenewReply: Codec<SessionRenewReply> = {
  encode(m, w) {
    if (m.expiresAt !== undefined) {
      w.uint(8)
      w.int(m.expiresAt)
    }
  },
  decode(r, end) {
    const m: SessionRenewReply = {}
    while (r.pos < end) {
      const tag = r.uint(end)
      switch (tag) {
        case 8:
          m.expiresAt = r.int(end)
          break
        default:
          r.skip(tag, end)
      }
    }
    return m
  },
}

export interface SessionPing {
  at?: number | undefined
}
export const SessionPing: Codec<SessionPing> = {
  encode(m, w) {
    if (m.at !== undefined) {
      w.uint(8)
      w.int(m.at)
    }
  },
  decode(r, end) {
    const m: SessionPing = {}
    while (r.pos < end) {
      const tag = r.uint(end)
      switch (tag) {
        case 8:
          m.at = r.int(end)
          break
        default:
          r.skip(tag, end)
      }
    }
    return m
  },
}

export interface SessionPingReply {
  at?: number | undefined
  serverAt?: number | undefined
}
export const SessionPingReply: Codec<SessionPingReply> = {
  encode(m, w) {
    if (m.at !== undefined) {
      w.uint(8)
      w.int(m.at)
    }
    if (m.serverAt !== undefined) {
      w.uint(16)
      w.int(m.serverAt)
    }
  },
  decode(r, end) {
    const m: SessionPingReply = {}
    while (r.pos < end) {
      const tag = r.uint(end)
      switch (tag) {
        case 8:
          m.at = r.int(end)
          break
        case 16:
          m.serverAt = r.int(end)
          break
        default:
          r.skip(tag, end)
      }
    }
    return m
  },
}

export interface RoomJoin {
  source?: string | undefined
  resume?: Resume | undefined
}
export const RoomJoin: Codec<RoomJoin> = {
  encode(m, w) {
    if (m.source !== undefined) {
      w.uint(10)
      w.string(m.source)
    }
    if (m.resume !== undefined) {
      w.uint(18)
      w.nested(Resume.encode, m.resume)
    }
  },
  decode(r, end) {
    const m: RoomJoin = {}
    while (r.pos < end) {
      const tag = r.uint(end)
      switch (tag) {
        case 10:
          m.source = r.string(end)
          break
        case 18:
          m.resume = Resume.decode(r, r.enter(end))
          break
        default:
          r.skip(tag, end)
      }
    }
    return m
  },
}

export interface RoomJoinReply {
  epoch?: number | undefined
  seq?: number | undefined
  resumed?: boolean | undefined
  resync?: boolean | undefined
  room?: RoomInfo | undefined
  settings?: Settings | undefined
  online?: Online | undefined
  likes?: number | undefined
  shares?: number | undefined
  danmaku?: Event[] | undefined
  wall?: WallItem | undefined
  me?: Me | undefined
  ext?: Extension[] | undefined
  stream?: StreamInfo | undefined
  mic?: MicInfo | undefined
}
export const RoomJoinReply: Codec<RoomJoinReply> = {
  encode(m, w) {
    if (m.epoch !== undefined) {
      w.uint(8)
      w.int(m.epoch)
    }
    if (m.seq !== undefined) {
      w.uint(16)
      w.int(m.seq)
    }
    if (m.resumed !== undefined) {
      w.uint(24)
      w.bool(m.resumed)
    }
    if (m.resync !== undefined) {
      w.uint(32)
      w.bool(m.resync)
    }
    if (m.room !== undefined) {
      w.uint(42)
      w.nested(RoomInfo.encode, m.room)
    }
    if (m.settings !== undefined) {
      w.uint(50)
      w.nested(Settings.encode, m.settings)
    }
    if (m.online !== undefined) {
      w.uint(58)
      w.nested(Online.encode, m.online)
    }
    if (m.likes !== undefined) {
      w.uint(64)
      w.int(m.likes)
    }
    if (m.shares !== undefined) {
      w.uint(72)
      w.int(m.shares)
    }
    if (m.danmaku !== undefined) for (const item of m.danmaku) {
      w.uint(82)
      w.nested(Event.encode, item)
    }
    if (m.wall !== undefined) {
      w.uint(90)
      w.nested(WallItem.encode, m.wall)
    }
    if (m.me !== undefined) {
      w.uint(98)
      w.nested(Me.encode, m.me)
    }
    if (m.ext !== undefined) for (const item of m.ext) {
      w.uint(106)
      w.nested(Extension.encode, item)
    }
    if (m.stream !== undefined) {
      w.uint(114)
      w.nested(StreamInfo.encode, m.stream)
    }
    if (m.mic !== undefined) {
      w.uint(122)
      w.nested(MicInfo.encode, m.mic)
    }
  },
  decode(r, end) {
    const m: RoomJoinReply = { danmaku: [], ext: [] }
    while (r.pos < end) {
      const tag = r.uint(end)
      switch (tag) {
        case 8:
          m.epoch = r.int(end)
          break
        case 16:
          m.seq = r.int(end)
          break
        case 24:
          m.resumed = r.bool(end)
          break
        case 32:
          m.resync = r.bool(end)
          break
        case 42:
          m.room = RoomInfo.decode(r, r.enter(end))
          break
        case 50:
          m.settings = Settings.decode(r, r.enter(end))
          break
        case 58:
          m.online = Online.decode(r, r.enter(end))
          break
        case 64:
          m.likes = r.int(end)
          break
        case 72:
          m.shares = r.int(end)
          break
        case 82:
          ;(m.danmaku ??= []).push(Event.decode(r, r.enter(end)))
          break
        case 90:
          m.wall = WallItem.decode(r, r.enter(end))
          break
        case 98:
          m.me = Me.decode(r, r.enter(end))
          break
        case 106:
          ;(m.ext ??= []).push(Extension.decode(r, r.enter(end)))
          break
        case 114:
          m.stream = StreamInfo.decode(r, r.enter(end))
          break
        case 122:
          m.mic = MicInfo.decode(r, r.enter(end))
          break
        default:
          r.skip(tag, end)
      }
    }
    return m
  },
}

export interface RoomLeave {

}
export const RoomLeave: Codec<RoomLeave> = {
  encode(_m, _w) {

  },
  decode(r, end) {
    const m: RoomLeave = {}
    while (r.pos < end) {
      const tag = r.uint(end)
      switch (tag) {

        default:
          r.skip(tag, end)
      }
    }
    return m
  },
}

export interface RoomLeaveReply {

}
export const RoomLeaveReply: Codec<RoomLeaveReply> = {
  encode(_m, _w) {

  },
  decode(r, end) {
    const m: RoomLeaveReply = {}
    while (r.pos < end) {
      const tag = r.uint(end)
      switch (tag) {

        default:
          r.skip(tag, end)
      }
    }
    return m
  },
}

export interface RoomCreate {
  roomId?: string | undefined
  ownerId?: string | undefined
  title?: string | undefined
  intro?: string | undefined
  theme?: string | undefined
  categoryId?: string | undefined
  cover?: string | undefined
}
export const RoomCreate: Codec<RoomCreate> = {
  encode(m, w) {
    if (m.roomId !== undefined) {
      w.uint(10)
      w.string(m.roomId)
    }
    if (m.ownerId !== undefined) {
      w.uint(18)
      w.string(m.ownerId)
    }
    if (m.title !== undefined) {
      w.uint(26)
      w.string(m.title)
    }
    if (m.intro !== undefined) {
      w.uint(34)
      w.string(m.intro)
    }
    if (m.theme !== undefined) {
      w.uint(42)
      w.string(m.theme)
    }
    if (m.categoryId !== undefined) {
      w.uint(50)
      w.string(m.categoryId)
    }
    if (m.cover !== undefined) {
      w.uint(58)
      w.string(m.cover)
    }
  },
  decode(r, end) {
    const m: RoomCreate = {}
    while (r.pos < end) {
      const tag = r.uint(end)
      switch (tag) {
        case 10:
          m.roomId = r.string(end)
          break
        case 18:
          m.ownerId = r.string(end)
          break
        case 26:
          m.title = r.string(end)
          break
        case 34:
          m.intro = r.string(end)
          break
        case 42:
          m.theme = r.string(end)
          break
        case 50:
          m.categoryId = r.string(end)
          break
        case 58:
          m.cover = r.string(end)
          break
        default:
          r.skip(tag, end)
      }
    }
    return m
  },
}

export interface RoomCreateReply {
  room?: RoomInfo | undefined
}
export const RoomCreateReply: Codec<RoomCreateReply> = {
  encode(m, w) {
    if (m.room !== undefined) {
      w.uint(10)
      w.nested(RoomInfo.encode, m.room)
    }
  },
  decode(r, end) {
    const m: RoomCreateReply = {}
    while (r.pos < end) {
      const tag = r.uint(end)
      switch (tag) {
        case 10:
          m.room = RoomInfo.decode(r, r.enter(end))
          break
        default:
          r.skip(tag, end)
      }
    }
    return m
  },
}

export interface RoomUpdate {
  title?: string | undefined
  intro?: string | undefined
  theme?: string | undefined
  categoryId?: string | undefined
  cover?: string | undefined
}
export const RoomUpdate: Codec<RoomUpdate> = {
  encode(m, w) {
    if (m.title !== undefined) {
      w.uint(10)
      w.string(m.title)
    }
    if (m.intro !== undefined) {
      w.uint(18)
      w.string(m.intro)
    }
    if (m.theme !== undefined) {
      w.uint(26)
      w.string(m.theme)
    }
    if (m.categoryId !== undefined) {
      w.uint(34)
      w.string(m.categoryId)
    }
    if (m.cover !== undefined) {
      w.uint(42)
      w.string(m.cover)
    }
  },
  decode(r, end) {
    const m: RoomUpdate = {}
    while (r.pos < end) {
      const tag = r.uint(end)
      switch (tag) {
        case 10:
          m.title = r.string(end)
          break
        case 18:
          m.intro = r.string(end)
          break
        case 26:
          m.theme = r.string(end)
          break
        case 34:
          m.categoryId = r.string(end)
          break
        case 42:
          m.cover = r.string(end)
          break
        default:
          r.skip(tag, end)
      }
    }
    return m
  },
}

export interface RoomUpdateReply {
  room?: RoomInfo | undefined
}
export const RoomUpdateReply: Codec<RoomUpdateReply> = {
  encode(m, w) {
    if (m.room !== undefined) {
      w.uint(10)
      w.nested(RoomInfo.encode, m.room)
    }
  },
  decode(r, end) {
    const m: RoomUpdateReply = {}
    while (r.pos < end) {
      const tag = r.uint(end)
      switch (tag) {
        case 10:
          m.room = RoomInfo.decode(r, r.enter(end))
          break
        default:
          r.skip(tag, end)
      }
    }
    return m
  },
}

export interface RoomOpen {
  plan?: string | undefined
}
export const RoomOpen: Codec<RoomOpen> = {
  encode(m, w) {
    if (m.plan !== undefined) {
      w.uint(10)
      w.string(m.plan)
    }
  },
  decode(r, end) {
    const m: RoomOpen = {}
    while (r.pos < end) {
      const tag = r.uint(end)
      switch (tag) {
        case 10:
          m.plan = r.string(end)
          break
        default:
          r.skip(tag, end)
      }
    }
    return m
  },
}

export interface RoomOpenReply {
  liveId?: string | undefined
}
export const RoomOpenReply: Codec<RoomOpenReply> = {
  encode(m, w) {
    if (m.liveId !== undefined) {
      w.uint(10)
      w.string(m.liveId)
    }
  },
  decode(r, end) {
    const m: RoomOpenReply = {}
    while (r.pos < end) {
      const tag = r.uint(end)
      switch (tag) {
        case 10:
          m.liveId = r.string(end)
          break
        default:
          r.skip(tag, end)
      }
    }
    return m
  },
}

export interface RoomClose {
  reason?: string | undefined
}
export const RoomClose: Codec<RoomClose> = {
  encode(m, w) {
    if (m.reason !== undefined) {
      w.uint(10)
      w.string(m.reason)
    }
  },
  decode(r, end) {
    const m: RoomClose = {}
    while (r.pos < end) {
      const tag = r.uint(end)
      switch (tag) {
        case 10:
          m.reason = r.string(end)
          break
        default:
          r.skip(tag, end)
      }
    }
    return m
  },
}

export interface RoomCloseReply {
  liveId?: string | undefined
}
export const RoomCloseReply: Codec<RoomCloseReply> = {
  encode(m, w) {
    if (m.liveId !== undefined) {
      w.uint(10)
      w.string(m.liveId)
    }
  },
  decode(r, end) {
    const m: RoomCloseReply = {}
    while (r.pos < end) {
      const tag = r.uint(end)
      switch (tag) {
        case 10:
          m.liveId = r.string(end)
          break
        default:
          r.skip(tag, end)
      }
    }
    return m
  },
}

export interface RoomSetSettings {
  chat?: boolean | undefined
  gift?: boolean | undefined
  like?: boolean | undefined
  mic?: boolean | undefined
  pk?: boolean | undefined
  link?: boolean | undefined
  slowModeMs?: number | undefined
  muteAll?: boolean | undefined
  uniqueChat?: boolean | undefined
  emoteOnly?: boolean | undefined
  reverseMode?: boolean | undefined
}
export const RoomSetSettings: Codec<RoomSetSettings> = {
  encode(m, w) {
    if (m.chat !== undefined) {
      w.uint(8)
      w.bool(m.chat)
    }
    if (m.gift !== undefined) {
      w.uint(16)
      w.bool(m.gift)
    }
    if (m.like !== undefined) {
      w.uint(24)
      w.bool(m.like)
    }
    if (m.mic !== undefined) {
      w.uint(32)
      w.bool(m.mic)
    }
    if (m.pk !== undefined) {
      w.uint(40)
      w.bool(m.pk)
    }
    if (m.link !== undefined) {
      w.uint(48)
      w.bool(m.link)
    }
    if (m.slowModeMs !== undefined) {
      w.uint(56)
      w.int32(m.slowModeMs)
    }
    if (m.muteAll !== undefined) {
      w.uint(64)
      w.bool(m.muteAll)
    }
    if (m.uniqueChat !== undefined) {
      w.uint(72)
      w.bool(m.uniqueChat)
    }
    if (m.emoteOnly !== undefined) {
      w.uint(80)
      w.bool(m.emoteOnly)
    }
    if (m.reverseMode !== undefined) {
      w.uint(88)
      w.bool(m.reverseMode)
    }
  },
  decode(r, end) {
    const m: RoomSetSettings = {}
    while (r.pos < end) {
      const tag = r.uint(end)
      switch (tag) {
        case 8:
          m.chat = r.bool(end)
          break
        case 16:
          m.gift = r.bool(end)
          break
        case 24:
          m.like = r.bool(end)
          break
        case 32:
          m.mic = r.bool(end)
          break
        case 40:
          m.pk = r.bool(end)
          break
        case 48:
          m.link = r.bool(end)
          break
        case 56:
          m.slowModeMs = r.int32(end)
          break
        case 64:
          m.muteAll = r.bool(end)
          break
        case 72:
          m.uniqueChat = r.bool(end)
          break
        case 80:
          m.emoteOnly = r.bool(end)
          break
        case 88:
          m.reverseMode = r.bool(end)
          break
        default:
          r.skip(tag, end)
      }
    }
    return m
  },
}

export interface RoomSetSettingsReply {
  settings?: Settings | undefined
}
export const RoomSetSettingsReply: Codec<RoomSetSettingsReply> = {
  encode(m, w) {
    if (m.settings !== undefined) {
      w.uint(10)
      w.nested(Settings.encode, m.settings)
    }
  },
  decode(r, end) {
    const m: RoomSetSettingsReply = {}
    while (r.pos < end) {
      const tag = r.uint(end)
      switch (tag) {
        case 10:
          m.settings = Settings.decode(r, r.enter(end))
          break
        default:
          r.skip(tag, end)
      }
    }
    return m
  },
}

export interface RoomGrantRole {
  userId?: string | undefined
  role?: string | undefined
}
export const RoomGrantRole: Codec<RoomGrantRole> = {
  encode(m, w) {
    if (m.userId !== undefined) {
      w.uint(10)
      w.string(m.userId)
    }
    if (m.role !== undefined) {
      w.uint(18)
      w.string(m.role)
    }
  },
  decode(r, end) {
    const m: RoomGrantRole = {}
    while (r.pos < end) {
      const tag = r.uint(end)
      switch (tag) {
        case 10:
          m.userId = r.string(end)
          break
        case 18:
          m.role = r.string(end)
          break
        default:
          r.skip(tag, end)
      }
    }
    return m
  },
}

export interface RoomGrantRoleReply {

}
export const RoomGrantRoleReply: Codec<RoomGrantRoleReply> = {
  encode(_m, _w) {

  },
  decode(r, end) {
    const m: RoomGrantRoleReply = {}
    while (r.pos < end) {
      const tag = r.uint(end)
      switch (tag) {

        default:
          r.skip(tag, end)
      }
    }
    return m
  },
}

export interface RoomRevokeRole {
  userId?: string | undefined
  role?: string | undefined
}
export const RoomRevokeRole: Codec<RoomRevokeRole> = {
  encode(m, w) {
    if (m.userId !== undefined) {
      w.uint(10)
      w.string(m.userId)
    }
    if (m.role !== undefined) {
      w.uint(18)
      w.string(m.role)
    }
  },
  decode(r, end) {
    const m: RoomRevokeRole = {}
    while (r.pos < end) {
      const tag = r.uint(end)
      switch (tag) {
        case 10:
          m.userId = r.string(end)
          break
        case 18:
          m.role = r.string(end)
          break
        default:
          r.skip(tag, end)
      }
    }
    return m
  },
}

export interface RoomRevokeRoleReply {

}
export const RoomRevokeRoleReply: Codec<RoomRevokeRoleReply> = {
  encode(_m, _w) {

  },
  decode(r, end) {
    const m: RoomRevokeRoleReply = {}
    while (r.pos < end) {
      const tag = r.uint(end)
      switch (tag) {

        default:
          r.skip(tag, end)
      }
    }
    return m
  },
}

export interface RoomMute {
  userId?: string | undefined
  durationMs?: number | undefined
  reason?: string | undefined
}
export const RoomMute: Codec<RoomMute> = {
  encode(m, w) {
    if (m.userId !== undefined) {
      w.uint(10)
      w.string(m.userId)
    }
    if (m.durationMs !== undefined) {
      w.uint(16)
      w.int(m.durationMs)
    }
    if (m.reason !== undefined) {
      w.uint(26)
      w.string(m.reason)
    }
  },
  decode(r, end) {
    const m: RoomMute = {}
    while (r.pos < end) {
      const tag = r.uint(end)
      switch (tag) {
        case 10:
          m.userId = r.string(end)
          break
        case 16:
          m.durationMs = r.int(end)
          break
        case 26:
          m.reason = r.string(end)
          break
        default:
          r.skip(tag, end)
      }
    }
    return m
  },
}

export interface RoomMuteReply {
  untilAt?: number | undefined
}
export const RoomMuteReply: Codec<RoomMuteReply> = {
  encode(m, w) {
    if (m.untilAt !== undefined) {
      w.uint(8)
      w.int(m.untilAt)
    }
  },
  decode(r, end) {
    const m: RoomMuteReply = {}
    while (r.pos < end) {
      const tag = r.uint(end)
      switch (tag) {
        case 8:
          m.untilAt = r.int(end)
          break
        default:
          r.skip(tag, end)
      }
    }
    return m
  },
}

export interface RoomUnmute {
  userId?: string | undefined
}
export const RoomUnmute: Codec<RoomUnmute> = {
  encode(m, w) {
    if (m.userId !== undefined) {
      w.uint(10)
      w.string(m.userId)
    }
  },
  decode(r, end) {
    const m: RoomUnmute = {}
    while (r.pos < end) {
      const tag = r.uint(end)
      switch (tag) {
        case 10:
          m.userId = r.string(end)
          break
        default:
          r.skip(tag, end)
      }
    }
    return m
  },
}

export interface RoomUnmuteReply {

}
export const RoomUnmuteReply: Codec<RoomUnmuteReply> = {
  encode(_m, _w) {

  },
  decode(r, end) {
    const m: RoomUnmuteReply = {}
    while (r.pos < end) {
      const tag = r.uint(end)
      switch (tag) {

        default:
          r.skip(tag, end)
      }
    }
    return m
  },
}

export interface RoomKick {
  userId?: string | undefined
  banMs?: number | undefined
  reason?: string | undefined
}
export const RoomKick: Codec<RoomKick> = {
  encode(m, w) {
    if (m.userId !== undefined) {
      w.uint(10)
      w.string(m.userId)
    }
    if (m.banMs !== undefined) {
      w.uint(16)
      w.int(m.banMs)
    }
    if (m.reason !== undefined) {
      w.uint(26)
      w.string(m.reason)
    }
  },
  decode(r, end) {
    const m: RoomKick = {}
    while (r.pos < end) {
      const tag = r.uint(end)
      switch (tag) {
        case 10:
          m.userId = r.string(end)
          break
        case 16:
          m.banMs = r.int(end)
          break
        case 26:
          m.reason = r.string(end)
          break
        default:
          r.skip(tag, end)
      }
    }
    return m
  },
}

export interface RoomKickReply {
  untilAt?: number | undefined
}
export const RoomKickReply: Codec<RoomKickReply> = {
  encode(m, w) {
    if (m.untilAt !== undefined) {
      w.uint(8)
      w.int(m.untilAt)
    }
  },
  decode(r, end) {
    const m: RoomKickReply = {}
    while (r.pos < end) {
      const tag = r.uint(end)
      switch (tag) {
        case 8:
          m.untilAt = r.int(end)
          break
        default:
          r.skip(tag, end)
      }
    }
    return m
  },
}

export interface RoomUnban {
  userId?: string | undefined
}
export const RoomUnban: Codec<RoomUnban> = {
  encode(m, w) {
    if (m.userId !== undefined) {
      w.uint(10)
      w.string(m.userId)
    }
  },
  decode(r, end) {
    const m: RoomUnban = {}
    while (r.pos < end) {
      const tag = r.uint(end)
      switch (tag) {
        case 10:
          m.userId = r.string(end)
          break
        default:
          r.skip(tag, end)
      }
    }
    return m
  },
}

export interface RoomUnbanReply {

}
export const RoomUnbanReply: Codec<RoomUnbanReply> = {
  encode(_m, _w) {

  },
  decode(r, end) {
    const m: RoomUnbanReply = {}
    while (r.pos < end) {
      const tag = r.uint(end)
      switch (tag) {

        default:
          r.skip(tag, end)
      }
    }
    return m
  },
}

export interface RoomList {
  categoryId?: string | undefined
  cursor?: string | undefined
  limit?: number | undefined
}
export const RoomList: Codec<RoomList> = {
  encode(m, w) {
    if (m.categoryId !== undefined) {
      w.uint(10)
      w.string(m.categoryId)
    }
    if (m.cursor !== undefined) {
      w.uint(18)
      w.string(m.cursor)
    }
    if (m.limit !== undefined) {
      w.uint(24)
      w.int32(m.limit)
    }
  },
  decode(r, end) {
    const m: RoomList = {}
    while (r.pos < end) {
      const tag = r.uint(end)
      switch (tag) {
        case 10:
          m.categoryId = r.string(end)
          break
        case 18:
          m.cursor = r.string(end)
          break
        case 24:
          m.limit = r.int32(end)
          break
        default:
          r.skip(tag, end)
      }
    }
    return m
  },
}

export interface RoomListReply {
  items?: RoomListItem[] | undefined
  cursor?: string | undefined
}
export const RoomListReply: Codec<RoomListReply> = {
  encode(m, w) {
    if (m.items !== undefined) for (const item of m.items) {
      w.uint(10)
      w.nested(RoomListItem.encode, item)
    }
    if (m.cursor !== undefined) {
      w.uint(18)
      w.string(m.cursor)
    }
  },
  decode(r, end) {
    const m: RoomListReply = { items: [] }
    while (r.pos < end) {
      const tag = r.uint(end)
      switch (tag) {
        case 10:
          ;(m.items ??= []).push(RoomListItem.decode(r, r.enter(end)))
          break
        case 18:
          m.cursor = r.string(end)
          break
        default:
          r.skip(tag, end)
      }
    }
    return m
  },
}

export interface RoomListRestrictions {

}
export const RoomListRestrictions: Codec<RoomListRestrictions> = {
  encode(_m, _w) {

  },
  decode(r, end) {
    const m: RoomListRestrictions = {}
    while (r.pos < end) {
      const tag = r.uint(end)
      switch (tag) {

        default:
          r.skip(tag, end)
      }
    }
    return m
  },
}

export interface RoomListRestrictionsReply {
  mutes?: Restriction[] | undefined
  bans?: Restriction[] | undefined
  roles?: RoleGrant[] | undefined
}
export const RoomListRestrictionsReply: Codec<RoomListRestrictionsReply> = {
  encode(m, w) {
    if (m.mutes !== undefined) for (const item of m.mutes) {
      w.uint(10)
      w.nested(Restriction.encode, item)
    }
    if (m.bans !== undefined) for (const item of m.bans) {
      w.uint(18)
      w.nested(Restriction.encode, item)
    }
    if (m.roles !== undefined) for (const item of m.roles) {
      w.uint(26)
      w.nested(RoleGrant.encode, item)
    }
  },
  decode(r, end) {
    const m: RoomListRestrictionsReply = { mutes: [], bans: [], roles: [] }
    while (r.pos < end) {
      const tag = r.uint(end)
      switch (tag) {
        case 10:
          ;(m.mutes ??= []).push(Restriction.decode(r, r.enter(end)))
          break
        case 18:
          ;(m.bans ??= []).push(Restriction.decode(r, r.enter(end)))
          break
        case 26:
          ;(m.roles ??= []).push(RoleGrant.decode(r, r.enter(end)))
          break
        default:
          r.skip(tag, end)
      }
    }
    return m
  },
}

export interface DanmakuSend {
  text?: string | undefined
  mode?: string | undefined
  color?: number | undefined
  size?: string | undefined
  emoteId?: string | undefined
  replyTo?: string | undefined
}
export const DanmakuSend: Codec<DanmakuSend> = {
  encode(m, w) {
    if (m.text !== undefined) {
      w.uint(10)
      w.string(m.text)
    }
    if (m.mode !== undefined) {
      w.uint(18)
      w.string(m.mode)
    }
    if (m.color !== undefined) {
      w.uint(24)
      w.int32(m.color)
    }
    if (m.size !== undefined) {
      w.uint(34)
      w.string(m.size)
    }
    if (m.emoteId !== undefined) {
      w.uint(42)
      w.string(m.emoteId)
    }
    if (m.replyTo !== undefined) {
      w.uint(50)
      w.string(m.replyTo)
    }
  },
  decode(r, end) {
    const m: DanmakuSend = {}
    while (r.pos < end) {
      const tag = r.uint(end)
      switch (tag) {
        case 10:
          m.text = r.string(end)
          break
        case 18:
          m.mode = r.string(end)
          break
        case 24:
          m.color = r.int32(end)
          break
        case 34:
          m.size = r.string(end)
          break
        case 42:
          m.emoteId = r.string(end)
          break
        case 50:
          m.replyTo = r.string(end)
          break
        default:
          r.skip(tag, end)
      }
    }
    return m
  },
}

export interface DanmakuSendReply {
  id?: string | undefined
  seq?: number | undefined
  text?: string | undefined
}
export const DanmakuSendReply: Codec<DanmakuSendReply> = {
  encode(m, w) {
    if (m.id !== undefined) {
      w.uint(10)
      w.string(m.id)
    }
    if (m.seq !== undefined) {
      w.uint(16)
      w.int(m.seq)
    }
    if (m.text !== undefined) {
      w.uint(26)
      w.string(m.text)
    }
  },
  decode(r, end) {
    const m: DanmakuSendReply = {}
    while (r.pos < end) {
      const tag = r.uint(end)
      switch (tag) {
        case 10:
          m.id = r.string(end)
          break
        case 16:
          m.seq = r.int(end)
          break
        case 26:
          m.text = r.string(end)
          break
        default:
          r.skip(tag, end)
      }
    }
    return m
  },
}

export interface DanmakuRemove {
  id?: string | undefined
  userId?: string | undefined
  sinceAt?: number | undefined
}
export const DanmakuRemove: Codec<DanmakuRemove> = {
  encode(m, w) {
    if (m.id !== undefined) {
      w.uint(10)
      w.string(m.id)
    }
    if (m.userId !== undefined) {
      w.uint(18)
      w.string(m.userId)
    }
    if (m.sinceAt !== undefined) {
      w.uint(24)
      w.int(m.sinceAt)
    }
  },
  decode(r, end) {
    const m: DanmakuRemove = {}
    while (r.pos < end) {
      const tag = r.uint(end)
      switch (tag) {
        case 10:
          m.id = r.string(end)
          break
        case 18:
          m.userId = r.string(end)
          break
        case 24:
          m.sinceAt = r.int(end)
          break
        default:
          r.skip(tag, end)
      }
    }
    return m
  },
}

export interface DanmakuRemoveReply {
  ids?: string[] | undefined
}
export const DanmakuRemoveReply: Codec<DanmakuRemoveReply> = {
  encode(m, w) {
    if (m.ids !== undefined) for (const item of m.ids) {
      w.uint(10)
      w.string(item)
    }
  },
  decode(r, end) {
    const m: DanmakuRemoveReply = { ids: [] }
    while (r.pos < end) {
      const tag = r.uint(end)
      switch (tag) {
        case 10:
          ;(m.ids ??= []).push(r.string(end))
          break
        default:
          r.skip(tag, end)
      }
    }
    return m
  },
}

export interface LikeTap {
  n?: number | undefined
}
export const LikeTap: Codec<LikeTap> = {
  encode(m, w) {
    if (m.n !== undefined) {
      w.uint(8)
      w.int32(m.n)
    }
  },
  decode(r, end) {
    const m: LikeTap = {}
    while (r.pos < end) {
      const tag = r.uint(end)
      switch (tag) {
        case 8:
          m.n = r.int32(end)
          break
        default:
          r.skip(tag, end)
      }
    }
    return m
  },
}

export interface LikeTapReply {
  total?: number | undefined
}
export const LikeTapReply: Codec<LikeTapReply> = {
  encode(m, w) {
    if (m.total !== undefined) {
      w.uint(8)
      w.int(m.total)
    }
  },
  decode(r, end) {
    const m: LikeTapReply = {}
    while (r.pos < end) {
      const tag = r.uint(end)
      switch (tag) {
        case 8:
          m.total = r.int(end)
          break
        default:
          r.skip(tag, end)
      }
    }
    return m
  },
}

export interface ShareReport {
  channel?: string | undefined
}
export const ShareReport: Codec<ShareReport> = {
  encode(m, w) {
    if (m.channel !== undefined) {
      w.uint(10)
      w.string(m.channel)
    }
  },
  decode(r, end) {
    const m: ShareReport = {}
    while (r.pos < end) {
      const tag = r.uint(end)
      switch (tag) {
        case 10:
          m.channel = r.string(end)
          break
        default:
          r.skip(tag, end)
      }
    }
    return m
  },
}

export interface ShareReportReply {
  total?: number | undefined
}
export const ShareReportReply: Codec<ShareReportReply> = {
  encode(m, w) {
    if (m.total !== undefined) {
      w.uint(8)
      w.int(m.total)
    }
  },
  decode(r, end) {
    const m: ShareReportReply = {}
    while (r.pos < end) {
      const tag = r.uint(end)
      switch (tag) {
        case 8:
          m.total = r.int(end)
          break
        default:
          r.skip(tag, end)
      }
    }
    return m
  },
}

export interface WallShow {
  messageId?: string | undefined
  text?: string | undefined
  showMs?: number | undefined
}
export const WallShow: Codec<WallShow> = {
  encode(m, w) {
    if (m.messageId !== undefined) {
      w.uint(10)
      w.string(m.messageId)
    }
    if (m.text !== undefined) {
      w.uint(18)
      w.string(m.text)
    }
    if (m.showMs !== undefined) {
      w.uint(24)
      w.int(m.showMs)
    }
  },
  decode(r, end) {
    const m: WallShow = {}
    while (r.pos < end) {
      const tag = r.uint(end)
      switch (tag) {
        case 10:
          m.messageId = r.string(end)
          break
        case 18:
          m.text = r.string(end)
          break
        case 24:
          m.showMs = r.int(end)
          break
        default:
          r.skip(tag, end)
      }
    }
    return m
  },
}

export interface WallShowReply {
  item?: WallItem | undefined
}
export const WallShowReply: Codec<WallShowReply> = {
  encode(m, w) {
    if (m.item !== undefined) {
      w.uint(10)
      w.nested(WallItem.encode, m.item)
    }
  },
  decode(r, end) {
    const m: WallShowReply = {}
    while (r.pos < end) {
      const tag = r.uint(end)
      switch (tag) {
        case 10:
          m.item = WallItem.decode(r, r.enter(end))
          break
        default:
          r.skip(tag, end)
      }
    }
    return m
  },
}

export interface WallHide {

}
export const WallHide: Codec<WallHide> = {
  encode(_m, _w) {

  },
  decode(r, end) {
    const m: WallHide = {}
    while (r.pos < end) {
      const tag = r.uint(end)
      switch (tag) {

        default:
          r.skip(tag, end)
      }
    }
    return m
  },
}

export interface WallHideReply {

}
export const WallHideReply: Codec<WallHideReply> = {
  encode(_m, _w) {

  },
  decode(r, end) {
    const m: WallHideReply = {}
    while (r.pos < end) {
      const tag = r.uint(end)
      switch (tag) {

        default:
          r.skip(tag, end)
      }
    }
    return m
  },
}

export interface ReplyTo {
  id?: string | undefined
  userId?: string | undefined
  name?: string | undefined
}
export const ReplyTo: Codec<ReplyTo> = {
  encode(m, w) {
    if (m.id !== undefined) {
      w.uint(10)
      w.string(m.id)
    }
    if (m.userId !== undefined) {
      w.uint(18)
      w.string(m.userId)
    }
    if (m.name !== undefined) {
      w.uint(26)
      w.string(m.name)
    }
  },
  decode(r, end) {
    const m: ReplyTo = {}
    while (r.pos < end) {
      const tag = r.uint(end)
      switch (tag) {
        case 10:
          m.id = r.string(end)
          break
        case 18:
          m.userId = r.string(end)
          break
        case 26:
          m.name = r.string(end)
          break
        default:
          r.skip(tag, end)
      }
    }
    return m
  },
}

export interface DanmakuSent {
  id?: string | undefined
  from?: Person | undefined
  text?: string | undefined
  mode?: string | undefined
  color?: number | undefined
  size?: string | undefined
  emoteId?: string | undefined
  replyTo?: ReplyTo | undefined
}
export const DanmakuSent: Codec<DanmakuSent> = {
  encode(m, w) {
    if (m.id !== undefined) {
      w.uint(10)
      w.string(m.id)
    }
    if (m.from !== undefined) {
      w.uint(18)
      w.nested(Person.encode, m.from)
    }
    if (m.text !== undefined) {
      w.uint(26)
      w.string(m.text)
    }
    if (m.mode !== undefined) {
      w.uint(34)
      w.string(m.mode)
    }
    if (m.color !== undefined) {
      w.uint(40)
      w.int32(m.color)
    }
    if (m.size !== undefined) {
      w.uint(50)
      w.string(m.size)
    }
    if (m.emoteId !== undefined) {
      w.uint(58)
      w.string(m.emoteId)
    }
    if (m.replyTo !== undefined) {
      w.uint(66)
      w.nested(ReplyTo.encode, m.replyTo)
    }
  },
  decode(r, end) {
    const m: DanmakuSent = {}
    while (r.pos < end) {
      const tag = r.uint(end)
      switch (tag) {
        case 10:
          m.id = r.string(end)
          break
        case 18:
          m.from = Person.decode(r, r.enter(end))
          break
        case 26:
          m.text = r.string(end)
          break
        case 34:
          m.mode = r.string(end)
          break
        case 40:
          m.color = r.int32(end)
          break
        case 50:
          m.size = r.string(end)
          break
        case 58:
          m.emoteId = r.string(end)
          break
        case 66:
          m.replyTo = ReplyTo.decode(r, r.enter(end))
          break
        default:
          r.skip(tag, end)
      }
    }
    return m
  },
}

export interface MessageRemoved {
  ids?: string[] | undefined
}
export const MessageRemoved: Codec<MessageRemoved> = {
  encode(m, w) {
    if (m.ids !== undefined) for (const item of m.ids) {
      w.uint(10)
      w.string(item)
    }
  },
  decode(r, end) {
    const m: MessageRemoved = { ids: [] }
    while (r.pos < end) {
      const tag = r.uint(end)
      switch (tag) {
        case 10:
          ;(m.ids ??= []).push(r.string(end))
          break
        default:
          r.skip(tag, end)
      }
    }
    return m
  },
}

export interface LikeChanged {
  total?: number | undefined
  delta?: number | undefined
}
export const LikeChanged: Codec<LikeChanged> = {
  encode(m, w) {
    if (m.total !== undefined) {
      w.uint(8)
      w.int(m.total)
    }
    if (m.delta !== undefined) {
      w.uint(16)
      w.int(m.delta)
    }
  },
  decode(r, end) {
    const m: LikeChanged = {}
    while (r.pos < end) {
      const tag = r.uint(end)
      switch (tag) {
        case 8:
          m.total = r.int(end)
          break
        case 16:
          m.delta = r.int(end)
          break
        default:
          r.skip(tag, end)
      }
    }
    return m
  },
}

export interface ShareChanged {
  total?: number | undefined
}
export const ShareChanged: Codec<ShareChanged> = {
  encode(m, w) {
    if (m.total !== undefined) {
      w.uint(8)
      w.int(m.total)
    }
  },
  decode(r, end) {
    const m: ShareChanged = {}
    while (r.pos < end) {
      const tag = r.uint(end)
      switch (tag) {
        case 8:
          m.total = r.int(end)
          break
        default:
          r.skip(tag, end)
      }
    }
    return m
  },
}

export interface WallShown {
  item?: WallItem | undefined
}
export const WallShown: Codec<WallShown> = {
  encode(m, w) {
    if (m.item !== undefined) {
      w.uint(10)
      w.nested(WallItem.encode, m.item)
    }
  },
  decode(r, end) {
    const m: WallShown = {}
    while (r.pos < end) {
      const tag = r.uint(end)
      switch (tag) {
        case 10:
          m.item = WallItem.decode(r, r.enter(end))
          break
        default:
          r.skip(tag, end)
      }
    }
    return m
  },
}

export interface WallHidden {
  id?: string | undefined
}
export const WallHidden: Codec<WallHidden> = {
  encode(m, w) {
    if (m.id !== undefined) {
      w.uint(10)
      w.string(m.id)
    }
  },
  decode(r, end) {
    const m: WallHidden = {}
    while (r.pos < end) {
      const tag = r.uint(end)
      switch (tag) {
        case 10:
          m.id = r.string(end)
          break
        default:
          r.skip(tag, end)
      }
    }
    return m
  },
}

export interface RoomUserJoined {
  user?: Person | undefined
  source?: string | undefined
}
export const RoomUserJoined: Codec<RoomUserJoined> = {
  encode(m, w) {
    if (m.user !== undefined) {
      w.uint(10)
      w.nested(Person.encode, m.user)
    }
    if (m.source !== undefined) {
      w.uint(18)
      w.string(m.source)
    }
  },
  decode(r, end) {
    const m: RoomUserJoined = {}
    while (r.pos < end) {
      const tag = r.uint(end)
      switch (tag) {
        case 10:
          m.user = Person.decode(r, r.enter(end))
          break
        case 18:
          m.source = r.string(end)
          break
        default:
          r.skip(tag, end)
      }
    }
    return m
  },
}

export interface RoomOnline {
  unique?: number | undefined
  connections?: number | undefined
  peak?: number | undefined
}
export const RoomOnline: Codec<RoomOnline> = {
  encode(m, w) {
    if (m.unique !== undefined) {
      w.uint(8)
      w.int32(m.unique)
    }
    if (m.connections !== undefined) {
      w.uint(16)
      w.int32(m.connections)
    }
    if (m.peak !== undefined) {
      w.uint(24)
      w.int32(m.peak)
    }
  },
  decode(r, end) {
    const m: RoomOnline = {}
    while (r.pos < end) {
      const tag = r.uint(end)
      switch (tag) {
        case 8:
          m.unique = r.int32(end)
          break
        case 16:
          m.connections = r.int32(end)
          break
        case 24:
          m.peak = r.int32(end)
          break
        default:
          r.skip(tag, end)
      }
    }
    return m
  },
}

export interface RoomCreated {
  room?: RoomInfo | undefined
}
export const RoomCreated: Codec<RoomCreated> = {
  encode(m, w) {
    if (m.room !== undefined) {
      w.uint(10)
      w.nested(RoomInfo.encode, m.room)
    }
  },
  decode(r, end) {
    const m: RoomCreated = {}
    while (r.pos < end) {
      const tag = r.uint(end)
      switch (tag) {
        case 10:
          m.room = RoomInfo.decode(r, r.enter(end))
          break
        default:
          r.skip(tag, end)
      }
    }
    return m
  },
}

export interface RoomUpdated {
  patch?: RoomPatch | undefined
  version?: number | undefined
  by?: string | undefined
}
export const RoomUpdated: Codec<RoomUpdated> = {
  encode(m, w) {
    if (m.patch !== undefined) {
      w.uint(10)
      w.nested(RoomPatch.encode, m.patch)
    }
    if (m.version !== undefined) {
      w.uint(16)
      w.int(m.version)
    }
    if (m.by !== undefined) {
      w.uint(26)
      w.string(m.by)
    }
  },
  decode(r, end) {
    const m: RoomUpdated = {}
    while (r.pos < end) {
      const tag = r.uint(end)
      switch (tag) {
        case 10:
          m.patch = RoomPatch.decode(r, r.enter(end))
          break
        case 16:
          m.version = r.int(end)
          break
        case 26:
          m.by = r.string(end)
          break
        default:
          r.skip(tag, end)
      }
    }
    return m
  },
}

export interface RoomOpened {
  liveId?: string | undefined
  openedAt?: number | undefined
}
export const RoomOpened: Codec<RoomOpened> = {
  encode(m, w) {
    if (m.liveId !== undefined) {
      w.uint(10)
      w.string(m.liveId)
    }
    if (m.openedAt !== undefined) {
      w.uint(16)
      w.int(m.openedAt)
    }
  },
  decode(r, end) {
    const m: RoomOpened = {}
    while (r.pos < end) {
      const tag = r.uint(end)
      switch (tag) {
        case 10:
          m.liveId = r.string(end)
          break
        case 16:
          m.openedAt = r.int(end)
          break
        default:
          r.skip(tag, end)
      }
    }
    return m
  },
}

export interface RoomStats {
  durationMs?: number | undefined
  peak?: number | undefined
  danmaku?: number | undefined
  likes?: number | undefined
}
export const RoomStats: Codec<RoomStats> = {
  encode(m, w) {
    if (m.durationMs !== undefined) {
      w.uint(8)
      w.int(m.durationMs)
    }
    if (m.peak !== undefined) {
      w.uint(16)
      w.int32(m.peak)
    }
    if (m.danmaku !== undefined) {
      w.uint(24)
      w.int(m.danmaku)
    }
    if (m.likes !== undefined) {
      w.uint(32)
      w.int(m.likes)
    }
  },
  decode(r, end) {
    const m: RoomStats = {}
    while (r.pos < end) {
      const tag = r.uint(end)
      switch (tag) {
        case 8:
          m.durationMs = r.int(end)
          break
        case 16:
          m.peak = r.int32(end)
          break
        case 24:
          m.danmaku = r.int(end)
          break
        case 32:
          m.likes = r.int(end)
          break
        default:
          r.skip(tag, end)
      }
    }
    return m
  },
}

export interface RoomClosed {
  liveId?: string | undefined
  reason?: string | undefined
  stats?: RoomStats | undefined
}
export const RoomClosed: Codec<RoomClosed> = {
  encode(m, w) {
    if (m.liveId !== undefined) {
      w.uint(10)
      w.string(m.liveId)
    }
    if (m.reason !== undefined) {
      w.uint(18)
      w.string(m.reason)
    }
    if (m.stats !== undefined) {
      w.uint(26)
      w.nested(RoomStats.encode, m.stats)
    }
  },
  decode(r, end) {
    const m: RoomClosed = {}
    while (r.pos < end) {
      const tag = r.uint(end)
      switch (tag) {
        case 10:
          m.liveId = r.string(end)
          break
        case 18:
          m.reason = r.string(end)
          break
        case 26:
          m.stats = RoomStats.decode(r, r.enter(end))
          break
        default:
          r.skip(tag, end)
      }
    }
    return m
  },
}

export interface RoomTakenDown {
  reason?: string | undefined
  caseId?: string | undefined
}
export const RoomTakenDown: Codec<RoomTakenDown> = {
  encode(m, w) {
    if (m.reason !== undefined) {
      w.uint(10)
      w.string(m.reason)
    }
    if (m.caseId !== undefined) {
      w.uint(18)
      w.string(m.caseId)
    }
  },
  decode(r, end) {
    const m: RoomTakenDown = {}
    while (r.pos < end) {
      const tag = r.uint(end)
      switch (tag) {
        case 10:
          m.reason = r.string(end)
          break
        case 18:
          m.caseId = r.string(end)
          break
        default:
          r.skip(tag, end)
      }
    }
    return m
  },
}

export interface RoomRestored {
  by?: string | undefined
}
export const RoomRestored: Codec<RoomRestored> = {
  encode(m, w) {
    if (m.by !== undefined) {
      w.uint(10)
      w.string(m.by)
    }
  },
  decode(r, end) {
    const m: RoomRestored = {}
    while (r.pos < end) {
      const tag = r.uint(end)
      switch (tag) {
        case 10:
          m.by = r.string(end)
          break
        default:
          r.skip(tag, end)
      }
    }
    return m
  },
}

export interface RoomSettingsChanged {
  patch?: Settings | undefined
  by?: string | undefined
}
export const RoomSettingsChanged: Codec<RoomSettingsChanged> = {
  encode(m, w) {
    if (m.patch !== undefined) {
      w.uint(10)
      w.nested(Settings.encode, m.patch)
    }
    if (m.by !== undefined) {
      w.uint(18)
      w.string(m.by)
    }
  },
  decode(r, end) {
    const m: RoomSettingsChanged = {}
    while (r.pos < end) {
      const tag = r.uint(end)
      switch (tag) {
        case 10:
          m.patch = Settings.decode(r, r.enter(end))
          break
        case 18:
          m.by = r.string(end)
          break
        default:
          r.skip(tag, end)
      }
    }
    return m
  },
}

export interface RoomRoleChanged {
  userId?: string | undefined
  role?: string | undefined
  granted?: boolean | undefined
  by?: string | undefined
}
export const RoomRoleChanged: Codec<RoomRoleChanged> = {
  encode(m, w) {
    if (m.userId !== undefined) {
      w.uint(10)
      w.string(m.userId)
    }
    if (m.role !== undefined) {
      w.uint(18)
      w.string(m.role)
    }
    if (m.granted !== undefined) {
      w.uint(24)
      w.bool(m.granted)
    }
    if (m.by !== undefined) {
      w.uint(34)
      w.string(m.by)
    }
  },
  decode(r, end) {
    const m: RoomRoleChanged = {}
    while (r.pos < end) {
      const tag = r.uint(end)
      switch (tag) {
        case 10:
          m.userId = r.string(end)
          break
        case 18:
          m.role = r.string(end)
          break
        case 24:
          m.granted = r.bool(end)
          break
        case 34:
          m.by = r.string(end)
          break
        default:
          r.skip(tag, end)
      }
    }
    return m
  },
}

export interface RoomUserMuted {
  userId?: string | undefined
  untilAt?: number | undefined
  reason?: string | undefined
  by?: string | undefined
}
export const RoomUserMuted: Codec<RoomUserMuted> = {
  encode(m, w) {
    if (m.userId !== undefined) {
      w.uint(10)
      w.string(m.userId)
    }
    if (m.untilAt !== undefined) {
      w.uint(16)
      w.int(m.untilAt)
    }
    if (m.reason !== undefined) {
      w.uint(26)
      w.string(m.reason)
    }
    if (m.by !== undefined) {
      w.uint(34)
      w.string(m.by)
    }
  },
  decode(r, end) {
    const m: RoomUserMuted = {}
    while (r.pos < end) {
      const tag = r.uint(end)
      switch (tag) {
        case 10:
          m.userId = r.string(end)
          break
        case 16:
          m.untilAt = r.int(end)
          break
        case 26:
          m.reason = r.string(end)
          break
        case 34:
          m.by = r.string(end)
          break
        default:
          r.skip(tag, end)
      }
    }
    return m
  },
}

export interface RoomUserUnmuted {
  userId?: string | undefined
  by?: string | undefined
}
export const RoomUserUnmuted: Codec<RoomUserUnmuted> = {
  encode(m, w) {
    if (m.userId !== undefined) {
      w.uint(10)
      w.string(m.userId)
    }
    if (m.by !== undefined) {
      w.uint(18)
      w.string(m.by)
    }
  },
  decode(r, end) {
    const m: RoomUserUnmuted = {}
    while (r.pos < end) {
      const tag = r.uint(end)
      switch (tag) {
        case 10:
          m.userId = r.string(end)
          break
        case 18:
          m.by = r.string(end)
          break
        default:
          r.skip(tag, end)
      }
    }
    return m
  },
}

export interface RoomUserKicked {
  userId?: string | undefined
  untilAt?: number | undefined
  reason?: string | undefined
  by?: string | undefined
}
export const RoomUserKicked: Codec<RoomUserKicked> = {
  encode(m, w) {
    if (m.userId !== undefined) {
      w.uint(10)
      w.string(m.userId)
    }
    if (m.untilAt !== undefined) {
      w.uint(16)
      w.int(m.untilAt)
    }
    if (m.reason !== undefined) {
      w.uint(26)
      w.string(m.reason)
    }
    if (m.by !== undefined) {
      w.uint(34)
      w.string(m.by)
    }
  },
  decode(r, end) {
    const m: RoomUserKicked = {}
    while (r.pos < end) {
      const tag = r.uint(end)
      switch (tag) {
        case 10:
          m.userId = r.string(end)
          break
        case 16:
          m.untilAt = r.int(end)
          break
        case 26:
          m.reason = r.string(end)
          break
        case 34:
          m.by = r.string(end)
          break
        default:
          r.skip(tag, end)
      }
    }
    return m
  },
}

export interface GiftItem {
  id?: string | undefined
  name?: string | undefined
  priceCoin?: number | undefined
  kind?: string | undefined
  comboable?: boolean | undefined
  effectId?: string | undefined
  tags?: string[] | undefined
  countMax?: number | undefined
  minLevel?: number | undefined
}
export const GiftItem: Codec<GiftItem> = {
  encode(m, w) {
    if (m.id !== undefined) {
      w.uint(10)
      w.string(m.id)
    }
    if (m.name !== undefined) {
      w.uint(18)
      w.string(m.name)
    }
    if (m.priceCoin !== undefined) {
      w.uint(24)
      w.int(m.priceCoin)
    }
    if (m.kind !== undefined) {
      w.uint(34)
      w.string(m.kind)
    }
    if (m.comboable !== undefined) {
      w.uint(40)
      w.bool(m.comboable)
    }
    if (m.effectId !== undefined) {
      w.uint(50)
      w.string(m.effectId)
    }
    if (m.tags !== undefined) for (const item of m.tags) {
      w.uint(58)
      w.string(item)
    }
    if (m.countMax !== undefined) {
      w.uint(64)
      w.int32(m.countMax)
    }
    if (m.minLevel !== undefined) {
      w.uint(72)
      w.int32(m.minLevel)
    }
  },
  decode(r, end) {
    const m: GiftItem = { tags: [] }
    while (r.pos < end) {
      const tag = r.uint(end)
      switch (tag) {
        case 10:
          m.id = r.string(end)
          break
        case 18:
          m.name = r.string(end)
          break
        case 24:
          m.priceCoin = r.int(end)
          break
        case 34:
          m.kind = r.string(end)
          break
        case 40:
          m.comboable = r.bool(end)
          break
        case 50:
          m.effectId = r.string(end)
          break
        case 58:
          ;(m.tags ??= []).push(r.string(end))
          break
        case 64:
          m.countMax = r.int32(end)
          break
        case 72:
          m.minLevel = r.int32(end)
          break
        default:
          r.skip(tag, end)
      }
    }
    return m
  },
}

export interface GiftList {

}
export const GiftList: Codec<GiftList> = {
  encode(_m, _w) {

  },
  decode(r, end) {
    const m: GiftList = {}
    while (r.pos < end) {
      const tag = r.uint(end)
      switch (tag) {

        default:
          r.skip(tag, end)
      }
    }
    return m
  },
}

export interface GiftListReply {
  items?: GiftItem[] | undefined
  version?: string | undefined
}
export const GiftListReply: Codec<GiftListReply> = {
  encode(m, w) {
    if (m.items !== undefined) for (const item of m.items) {
      w.uint(10)
      w.nested(GiftItem.encode, item)
    }
    if (m.version !== undefined) {
      w.uint(18)
      w.string(m.version)
    }
  },
  decode(r, end) {
    const m: GiftListReply = { items: [] }
    while (r.pos < end) {
      const tag = r.uint(end)
      switch (tag) {
        case 10:
          ;(m.items ??= []).push(GiftItem.decode(r, r.enter(end)))
          break
        case 18:
          m.version = r.string(end)
          break
        default:
          r.skip(tag, end)
      }
    }
    return m
  },
}

export interface GiftSend {
  giftId?: string | undefined
  count?: number | undefined
  to?: string | undefined
  comboId?: string | undefined
}
export const GiftSend: Codec<GiftSend> = {
  encode(m, w) {
    if (m.giftId !== undefined) {
      w.uint(10)
      w.string(m.giftId)
    }
    if (m.count !== undefined) {
      w.uint(16)
      w.int32(m.count)
    }
    if (m.to !== undefined) {
      w.uint(26)
      w.string(m.to)
    }
    if (m.comboId !== undefined) {
      w.uint(34)
      w.string(m.comboId)
    }
  },
  decode(r, end) {
    const m: GiftSend = {}
    while (r.pos < end) {
      const tag = r.uint(end)
      switch (tag) {
        case 10:
          m.giftId = r.string(end)
          break
        case 16:
          m.count = r.int32(end)
          break
        case 26:
          m.to = r.string(end)
          break
        case 34:
          m.comboId = r.string(end)
          break
        default:
          r.skip(tag, end)
      }
    }
    return m
  },
}

export interface GiftSendReply {
  txId?: string | undefined
  balanceCoin?: number | undefined
  comboId?: string | undefined
  comboCount?: number | undefined
}
export const GiftSendReply: Codec<GiftSendReply> = {
  encode(m, w) {
    if (m.txId !== undefined) {
      w.uint(10)
      w.string(m.txId)
    }
    if (m.balanceCoin !== undefined) {
      w.uint(16)
      w.int(m.balanceCoin)
    }
    if (m.comboId !== undefined) {
      w.uint(26)
      w.string(m.comboId)
    }
    if (m.comboCount !== undefined) {
      w.uint(32)
      w.int32(m.comboCount)
    }
  },
  decode(r, end) {
    const m: GiftSendReply = {}
    while (r.pos < end) {
      const tag = r.uint(end)
      switch (tag) {
        case 10:
          m.txId = r.string(end)
          break
        case 16:
          m.balanceCoin = r.int(end)
          break
        case 26:
          m.comboId = r.string(end)
          break
        case 32:
          m.comboCount = r.int32(end)
          break
        default:
          r.skip(tag, end)
      }
    }
    return m
  },
}

export interface GiftSent {
  txId?: string | undefined
  from?: Person | undefined
  to?: Person | undefined
  giftId?: string | undefined
  name?: string | undefined
  count?: number | undefined
  unitCoin?: number | undefined
  valueCoin?: number | undefined
  comboId?: string | undefined
  comboCount?: number | undefined
  comboExpireAt?: number | undefined
  effectId?: string | undefined
  replayed?: boolean | undefined
  collapsed?: number | undefined
  senders?: number | undefined
}
export const GiftSent: Codec<GiftSent> = {
  encode(m, w) {
    if (m.txId !== undefined) {
      w.uint(10)
      w.string(m.txId)
    }
    if (m.from !== undefined) {
      w.uint(18)
      w.nested(Person.encode, m.from)
    }
    if (m.to !== undefined) {
      w.uint(26)
      w.nested(Person.encode, m.to)
    }
    if (m.giftId !== undefined) {
      w.uint(34)
      w.string(m.giftId)
    }
    if (m.name !== undefined) {
      w.uint(42)
      w.string(m.name)
    }
    if (m.count !== undefined) {
      w.uint(48)
      w.int32(m.count)
    }
    if (m.unitCoin !== undefined) {
      w.uint(56)
      w.int(m.unitCoin)
    }
    if (m.valueCoin !== undefined) {
      w.uint(64)
      w.int(m.valueCoin)
    }
    if (m.comboId !== undefined) {
      w.uint(74)
      w.string(m.comboId)
    }
    if (m.comboCount !== undefined) {
      w.uint(80)
      w.int32(m.comboCount)
    }
    if (m.comboExpireAt !== undefined) {
      w.uint(88)
      w.int(m.comboExpireAt)
    }
    if (m.effectId !== undefined) {
      w.uint(98)
      w.string(m.effectId)
    }
    if (m.replayed !== undefined) {
      w.uint(104)
      w.bool(m.replayed)
    }
    if (m.collapsed !== undefined) {
      w.uint(112)
      w.int32(m.collapsed)
    }
    if (m.senders !== undefined) {
      w.uint(120)
      w.int32(m.senders)
    }
  },
  decode(r, end) {
    const m: GiftSent = {}
    while (r.pos < end) {
      const tag = r.uint(end)
      switch (tag) {
        case 10:
          m.txId = r.string(end)
          break
        case 18:
          m.from = Person.decode(r, r.enter(end))
          break
        case 26:
          m.to = Person.decode(r, r.enter(end))
          break
        case 34:
          m.giftId = r.string(end)
          break
        case 42:
          m.name = r.string(end)
          break
        case 48:
          m.count = r.int32(end)
          break
        case 56:
          m.unitCoin = r.int(end)
          break
        case 64:
          m.valueCoin = r.int(end)
          break
        case 74:
          m.comboId = r.string(end)
          break
        case 80:
          m.comboCount = r.int32(end)
          break
        case 88:
          m.comboExpireAt = r.int(end)
          break
        case 98:
          m.effectId = r.string(end)
          break
        case 104:
          m.replayed = r.bool(end)
          break
        case 112:
          m.collapsed = r.int32(end)
          break
        case 120:
          m.senders = r.int32(end)
          break
        default:
          r.skip(tag, end)
      }
    }
    return m
  },
}

export interface GiftComboEnded {
  comboId?: string | undefined
  from?: Person | undefined
  to?: Person | undefined
  giftId?: string | undefined
  comboCount?: number | undefined
  totalCount?: number | undefined
  totalCoin?: number | undefined
}
export const GiftComboEnded: Codec<GiftComboEnded> = {
  encode(m, w) {
    if (m.comboId !== undefined) {
      w.uint(10)
      w.string(m.comboId)
    }
    if (m.from !== undefined) {
      w.uint(18)
      w.nested(Person.encode, m.from)
    }
    if (m.to !== undefined) {
      w.uint(26)
      w.nested(Person.encode, m.to)
    }
    if (m.giftId !== undefined) {
      w.uint(34)
      w.string(m.giftId)
    }
    if (m.comboCount !== undefined) {
      w.uint(40)
      w.int32(m.comboCount)
    }
    if (m.totalCount !== undefined) {
      w.uint(48)
      w.int(m.totalCount)
    }
    if (m.totalCoin !== undefined) {
      w.uint(56)
      w.int(m.totalCoin)
    }
  },
  decode(r, end) {
    const m: GiftComboEnded = {}
    while (r.pos < end) {
      const tag = r.uint(end)
      switch (tag) {
        case 10:
          m.comboId = r.string(end)
          break
        case 18:
          m.from = Person.decode(r, r.enter(end))
          break
        case 26:
          m.to = Person.decode(r, r.enter(end))
          break
        case 34:
          m.giftId = r.string(end)
          break
        case 40:
          m.comboCount = r.int32(end)
          break
        case 48:
          m.totalCount = r.int(end)
          break
        case 56:
          m.totalCoin = r.int(end)
          break
        default:
          r.skip(tag, end)
      }
    }
    return m
  },
}

export interface WorldGiftBanner {
  roomId?: string | undefined
  from?: Person | undefined
  to?: Person | undefined
  giftId?: string | undefined
  name?: string | undefined
  valueCoin?: number | undefined
}
export const WorldGiftBanner: Codec<WorldGiftBanner> = {
  encode(m, w) {
    if (m.roomId !== undefined) {
      w.uint(10)
      w.string(m.roomId)
    }
    if (m.from !== undefined) {
      w.uint(18)
      w.nested(Person.encode, m.from)
    }
    if (m.to !== undefined) {
      w.uint(26)
      w.nested(Person.encode, m.to)
    }
    if (m.giftId !== undefined) {
      w.uint(34)
      w.string(m.giftId)
    }
    if (m.name !== undefined) {
      w.uint(42)
      w.string(m.name)
    }
    if (m.valueCoin !== undefined) {
      w.uint(48)
      w.int(m.valueCoin)
    }
  },
  decode(r, end) {
    const m: WorldGiftBanner = {}
    while (r.pos < end) {
      const tag = r.uint(end)
      switch (tag) {
        case 10:
          m.roomId = r.string(end)
          break
        case 18:
          m.from = Person.decode(r, r.enter(end))
          break
        case 26:
          m.to = Person.decode(r, r.enter(end))
          break
        case 34:
          m.giftId = r.string(end)
          break
        case 42:
          m.name = r.string(end)
          break
        case 48:
          m.valueCoin = r.int(end)
          break
        default:
          r.skip(tag, end)
      }
    }
    return m
  },
}

export interface WalletGet {

}
export const WalletGet: Codec<WalletGet> = {
  encode(_m, _w) {

  },
  decode(r, end) {
    const m: WalletGet = {}
    while (r.pos < end) {
      const tag = r.uint(end)
      switch (tag) {

        default:
          r.skip(tag, end)
      }
    }
    return m
  },
}

export interface WalletGetReply {
  coinPaid?: number | undefined
  coinBonus?: number | undefined
  bean?: string | undefined
  level?: number | undefined
}
export const WalletGetReply: Codec<WalletGetReply> = {
  encode(m, w) {
    if (m.coinPaid !== undefined) {
      w.uint(8)
      w.int(m.coinPaid)
    }
    if (m.coinBonus !== undefined) {
      w.uint(16)
      w.int(m.coinBonus)
    }
    if (m.bean !== undefined) {
      w.uint(26)
      w.string(m.bean)
    }
    if (m.level !== undefined) {
      w.uint(32)
      w.int32(m.level)
    }
  },
  decode(r, end) {
    const m: WalletGetReply = {}
    while (r.pos < end) {
      const tag = r.uint(end)
      switch (tag) {
        case 8:
          m.coinPaid = r.int(end)
          break
        case 16:
          m.coinBonus = r.int(end)
          break
        case 26:
          m.bean = r.string(end)
          break
        case 32:
          m.level = r.int32(end)
          break
        default:
          r.skip(tag, end)
      }
    }
    return m
  },
}

export interface RankRow {
  member?: Person | undefined
  scoreCoin?: string | undefined
}
export const RankRow: Codec<RankRow> = {
  encode(m, w) {
    if (m.member !== undefined) {
      w.uint(10)
      w.nested(Person.encode, m.member)
    }
    if (m.scoreCoin !== undefined) {
      w.uint(18)
      w.string(m.scoreCoin)
    }
  },
  decode(r, end) {
    const m: RankRow = {}
    while (r.pos < end) {
      const tag = r.uint(end)
      switch (tag) {
        case 10:
          m.member = Person.decode(r, r.enter(end))
          break
        case 18:
          m.scoreCoin = r.string(end)
          break
        default:
          r.skip(tag, end)
      }
    }
    return m
  },
}

export interface RankGet {
  board?: string | undefined
  limit?: number | undefined
  window?: string | undefined
}
export const RankGet: Codec<RankGet> = {
  encode(m, w) {
    if (m.board !== undefined) {
      w.uint(10)
      w.string(m.board)
    }
    if (m.limit !== undefined) {
      w.uint(16)
      w.int32(m.limit)
    }
    if (m.window !== undefined) {
      w.uint(26)
      w.string(m.window)
    }
  },
  decode(r, end) {
    const m: RankGet = {}
    while (r.pos < end) {
      const tag = r.uint(end)
      switch (tag) {
        case 10:
          m.board = r.string(end)
          break
        case 16:
          m.limit = r.int32(end)
          break
        case 26:
          m.window = r.string(end)
          break
        default:
          r.skip(tag, end)
      }
    }
    return m
  },
}

export interface RankGetReply {
  rows?: RankRow[] | undefined
  place?: number | undefined
  scoreCoin?: string | undefined
  window?: string | undefined
  counting?: boolean | undefined
}
export const RankGetReply: Codec<RankGetReply> = {
  encode(m, w) {
    if (m.rows !== undefined) for (const item of m.rows) {
      w.uint(10)
      w.nested(RankRow.encode, item)
    }
    if (m.place !== undefined) {
      w.uint(16)
      w.int32(m.place)
    }
    if (m.scoreCoin !== undefined) {
      w.uint(26)
      w.string(m.scoreCoin)
    }
    if (m.window !== undefined) {
      w.uint(34)
      w.string(m.window)
    }
    if (m.counting !== undefined) {
      w.uint(40)
      w.bool(m.counting)
    }
  },
  decode(r, end) {
    const m: RankGetReply = { rows: [] }
    while (r.pos < end) {
      const tag = r.uint(end)
      switch (tag) {
        case 10:
          ;(m.rows ??= []).push(RankRow.decode(r, r.enter(end)))
          break
        case 16:
          m.place = r.int32(end)
          break
        case 26:
          m.scoreCoin = r.string(end)
          break
        case 34:
          m.window = r.string(end)
          break
        case 40:
          m.counting = r.bool(end)
          break
        default:
          r.skip(tag, end)
      }
    }
    return m
  },
}

export interface RankChanged {
  board?: string | undefined
  rows?: RankRow[] | undefined
  window?: string | undefined
}
export const RankChanged: Codec<RankChanged> = {
  encode(m, w) {
    if (m.board !== undefined) {
      w.uint(10)
      w.string(m.board)
    }
    if (m.rows !== undefined) for (const item of m.rows) {
      w.uint(18)
      w.nested(RankRow.encode, item)
    }
    if (m.window !== undefined) {
      w.uint(26)
      w.string(m.window)
    }
  },
  decode(r, end) {
    const m: RankChanged = { rows: [] }
    while (r.pos < end) {
      const tag = r.uint(end)
      switch (tag) {
        case 10:
          m.board = r.string(end)
          break
        case 18:
          ;(m.rows ??= []).push(RankRow.decode(r, r.enter(end)))
          break
        case 26:
          m.window = r.string(end)
          break
        default:
          r.skip(tag, end)
      }
    }
    return m
  },
}

export interface MediaTrack {
  id?: string | undefined
  userId?: string | undefined
  kind?: string | undefined
  source?: string | undefined
  seatNo?: number | undefined
  muted?: boolean | undefined
}
export const MediaTrack: Codec<MediaTrack> = {
  encode(m, w) {
    if (m.id !== undefined) {
      w.uint(10)
      w.string(m.id)
    }
    if (m.userId !== undefined) {
      w.uint(18)
      w.string(m.userId)
    }
    if (m.kind !== undefined) {
      w.uint(26)
      w.string(m.kind)
    }
    if (m.source !== undefined) {
      w.uint(34)
      w.string(m.source)
    }
    if (m.seatNo !== undefined) {
      w.uint(40)
      w.int32(m.seatNo)
    }
    if (m.muted !== undefined) {
      w.uint(48)
      w.bool(m.muted)
    }
  },
  decode(r, end) {
    const m: MediaTrack = {}
    while (r.pos < end) {
      const tag = r.uint(end)
      switch (tag) {
        case 10:
          m.id = r.string(end)
          break
        case 18:
          m.userId = r.string(end)
          break
        case 26:
          m.kind = r.string(end)
          break
        case 34:
          m.source = r.string(end)
          break
        case 40:
          m.seatNo = r.int32(end)
          break
        case 48:
          m.muted = r.bool(end)
          break
        default:
          r.skip(tag, end)
      }
    }
    return m
  },
}

export interface StreamLine {
  line?: string | undefined
  state?: string | undefined
  via?: string | undefined
  kbps?: number | undefined
}
export const StreamLine: Codec<StreamLine> = {
  encode(m, w) {
    if (m.line !== undefined) {
      w.uint(10)
      w.string(m.line)
    }
    if (m.state !== undefined) {
      w.uint(18)
      w.string(m.state)
    }
    if (m.via !== undefined) {
      w.uint(26)
      w.string(m.via)
    }
    if (m.kbps !== undefined) {
      w.uint(32)
      w.int32(m.kbps)
    }
  },
  decode(r, end) {
    const m: StreamLine = {}
    while (r.pos < end) {
      const tag = r.uint(end)
      switch (tag) {
        case 10:
          m.line = r.string(end)
          break
        case 18:
          m.state = r.string(end)
          break
        case 26:
          m.via = r.string(end)
          break
        case 32:
          m.kbps = r.int32(end)
          break
        default:
          r.skip(tag, end)
      }
    }
    return m
  },
}

export interface StreamInfo {
  state?: string | undefined
  tracks?: MediaTrack[] | undefined
  lines?: StreamLine[] | undefined
  line?: string | undefined
  degradeLevel?: number | undefined
  sinceAt?: number | undefined
}
export const StreamInfo: Codec<StreamInfo> = {
  encode(m, w) {
    if (m.state !== undefined) {
      w.uint(10)
      w.string(m.state)
    }
    if (m.tracks !== undefined) for (const item of m.tracks) {
      w.uint(18)
      w.nested(MediaTrack.encode, item)
    }
    if (m.lines !== undefined) for (const item of m.lines) {
      w.uint(26)
      w.nested(StreamLine.encode, item)
    }
    if (m.line !== undefined) {
      w.uint(34)
      w.string(m.line)
    }
    if (m.degradeLevel !== undefined) {
      w.uint(40)
      w.int32(m.degradeLevel)
    }
    if (m.sinceAt !== undefined) {
      w.uint(48)
      w.int(m.sinceAt)
    }
  },
  decode(r, end) {
    const m: StreamInfo = { tracks: [], lines: [] }
    while (r.pos < end) {
      const tag = r.uint(end)
      switch (tag) {
        case 10:
          m.state = r.string(end)
          break
        case 18:
          ;(m.tracks ??= []).push(MediaTrack.decode(r, r.enter(end)))
          break
        case 26:
          ;(m.lines ??= []).push(StreamLine.decode(r, r.enter(end)))
          break
        case 34:
          m.line = r.string(end)
          break
        case 40:
          m.degradeLevel = r.int32(end)
          break
        case 48:
          m.sinceAt = r.int(end)
          break
        default:
          r.skip(tag, end)
      }
    }
    return m
  },
}

export interface StreamGetCapabilities {

}
export const StreamGetCapabilities: Codec<StreamGetCapabilities> = {
  encode(_m, _w) {

  },
  decode(r, end) {
    const m: StreamGetCapabilities = {}
    while (r.pos < end) {
      const tag = r.uint(end)
      switch (tag) {

        default:
          r.skip(tag, end)
      }
    }
    return m
  },
}

export interface StreamGetCapabilitiesReply {
  rtpJson?: string | undefined
}
export const StreamGetCapabilitiesReply: Codec<StreamGetCapabilitiesReply> = {
  encode(m, w) {
    if (m.rtpJson !== undefined) {
      w.uint(10)
      w.string(m.rtpJson)
    }
  },
  decode(r, end) {
    const m: StreamGetCapabilitiesReply = {}
    while (r.pos < end) {
      const tag = r.uint(end)
      switch (tag) {
        case 10:
          m.rtpJson = r.string(end)
          break
        default:
          r.skip(tag, end)
      }
    }
    return m
  },
}

export interface StreamCreateTransport {
  direction?: string | undefined
  rtpJson?: string | undefined
}
export const StreamCreateTransport: Codec<StreamCreateTransport> = {
  encode(m, w) {
    if (m.direction !== undefined) {
      w.uint(10)
      w.string(m.direction)
    }
    if (m.rtpJson !== undefined) {
      w.uint(18)
      w.string(m.rtpJson)
    }
  },
  decode(r, end) {
    const m: StreamCreateTransport = {}
    while (r.pos < end) {
      const tag = r.uint(end)
      switch (tag) {
        case 10:
          m.direction = r.string(end)
          break
        case 18:
          m.rtpJson = r.string(end)
          break
        default:
          r.skip(tag, end)
      }
    }
    return m
  },
}

export interface StreamCreateTransportReply {
  transportId?: string | undefined
  paramsJson?: string | undefined
  iceServersJson?: string | undefined
}
export const StreamCreateTransportReply: Codec<StreamCreateTransportReply> = {
  encode(m, w) {
    if (m.transportId !== undefined) {
      w.uint(10)
      w.string(m.transportId)
    }
    if (m.paramsJson !== undefined) {
      w.uint(18)
      w.string(m.paramsJson)
    }
    if (m.iceServersJson !== undefined) {
      w.uint(26)
      w.string(m.iceServersJson)
    }
  },
  decode(r, end) {
    const m: StreamCreateTransportReply = {}
    while (r.pos < end) {
      const tag = r.uint(end)
      switch (tag) {
        case 10:
          m.transportId = r.string(end)
          break
        case 18:
          m.paramsJson = r.string(end)
          break
        case 26:
          m.iceServersJson = r.string(end)
          break
        default:
          r.skip(tag, end)
      }
    }
    return m
  },
}

export interface StreamConnectTransport {
  transportId?: string | undefined
  dtlsJson?: string | undefined
}
export const StreamConnectTransport: Codec<StreamConnectTransport> = {
  encode(m, w) {
    if (m.transportId !== undefined) {
      w.uint(10)
      w.string(m.transportId)
    }
    if (m.dtlsJson !== undefined) {
      w.uint(18)
      w.string(m.dtlsJson)
    }
  },
  decode(r, end) {
    const m: StreamConnectTransport = {}
    while (r.pos < end) {
      const tag = r.uint(end)
      switch (tag) {
        case 10:
          m.transportId = r.string(end)
          break
        case 18:
          m.dtlsJson = r.string(end)
          break
        default:
          r.skip(tag, end)
      }
    }
    return m
  },
}

export interface StreamConnectTransportReply {

}
export const StreamConnectTransportReply: Codec<StreamConnectTransportReply> = {
  encode(_m, _w) {

  },
  decode(r, end) {
    const m: StreamConnectTransportReply = {}
    while (r.pos < end) {
      const tag = r.uint(end)
      switch (tag) {

        default:
          r.skip(tag, end)
      }
    }
    return m
  },
}

export interface StreamRestartIce {
  transportId?: string | undefined
}
export const StreamRestartIce: Codec<StreamRestartIce> = {
  encode(m, w) {
    if (m.transportId !== undefined) {
      w.uint(10)
      w.string(m.transportId)
    }
  },
  decode(r, end) {
    const m: StreamRestartIce = {}
    while (r.pos < end) {
      const tag = r.uint(end)
      switch (tag) {
        case 10:
          m.transportId = r.string(end)
          break
        default:
          r.skip(tag, end)
      }
    }
    return m
  },
}

export interface StreamRestartIceReply {
  iceJson?: string | undefined
}
export const StreamRestartIceReply: Codec<StreamRestartIceReply> = {
  encode(m, w) {
    if (m.iceJson !== undefined) {
      w.uint(10)
      w.string(m.iceJson)
    }
  },
  decode(r, end) {
    const m: StreamRestartIceReply = {}
    while (r.pos < end) {
      const tag = r.uint(end)
      switch (tag) {
        case 10:
          m.iceJson = r.string(end)
          break
        default:
          r.skip(tag, end)
      }
    }
    return m
  },
}

export interface StreamPublish {
  transportId?: string | undefined
  kind?: string | undefined
  rtpJson?: string | undefined
  source?: string | undefined
  line?: string | undefined
}
export const StreamPublish: Codec<StreamPublish> = {
  encode(m, w) {
    if (m.transportId !== undefined) {
      w.uint(10)
      w.string(m.transportId)
    }
    if (m.kind !== undefined) {
      w.uint(18)
      w.string(m.kind)
    }
    if (m.rtpJson !== undefined) {
      w.uint(26)
      w.string(m.rtpJson)
    }
    if (m.source !== undefined) {
      w.uint(34)
      w.string(m.source)
    }
    if (m.line !== undefined) {
      w.uint(42)
      w.string(m.line)
    }
  },
  decode(r, end) {
    const m: StreamPublish = {}
    while (r.pos < end) {
      const tag = r.uint(end)
      switch (tag) {
        case 10:
          m.transportId = r.string(end)
          break
        case 18:
          m.kind = r.string(end)
          break
        case 26:
          m.rtpJson = r.string(end)
          break
        case 34:
          m.source = r.string(end)
          break
        case 42:
          m.line = r.string(end)
          break
        default:
          r.skip(tag, end)
      }
    }
    return m
  },
}

export interface StreamPublishReply {
  producerId?: string | undefined
}
export const StreamPublishReply: Codec<StreamPublishReply> = {
  encode(m, w) {
    if (m.producerId !== undefined) {
      w.uint(10)
      w.string(m.producerId)
    }
  },
  decode(r, end) {
    const m: StreamPublishReply = {}
    while (r.pos < end) {
      const tag = r.uint(end)
      switch (tag) {
        case 10:
          m.producerId = r.string(end)
          break
        default:
          r.skip(tag, end)
      }
    }
    return m
  },
}

export interface StreamUnpublish {
  producerId?: string | undefined
}
export const StreamUnpublish: Codec<StreamUnpublish> = {
  encode(m, w) {
    if (m.producerId !== undefined) {
      w.uint(10)
      w.string(m.producerId)
    }
  },
  decode(r, end) {
    const m: StreamUnpublish = {}
    while (r.pos < end) {
      const tag = r.uint(end)
      switch (tag) {
        case 10:
          m.producerId = r.string(end)
          break
        default:
          r.skip(tag, end)
      }
    }
    return m
  },
}

export interface StreamUnpublishReply {

}
export const StreamUnpublishReply: Codec<StreamUnpublishReply> = {
  encode(_m, _w) {

  },
  decode(r, end) {
    const m: StreamUnpublishReply = {}
    while (r.pos < end) {
      const tag = r.uint(end)
      switch (tag) {

        default:
          r.skip(tag, end)
      }
    }
    return m
  },
}

export interface StreamPlay {
  trackId?: string | undefined
  transportId?: string | undefined
}
export const StreamPlay: Codec<StreamPlay> = {
  encode(m, w) {
    if (m.trackId !== undefined) {
      w.uint(10)
      w.string(m.trackId)
    }
    if (m.transportId !== undefined) {
      w.uint(18)
      w.string(m.transportId)
    }
  },
  decode(r, end) {
    const m: StreamPlay = {}
    while (r.pos < end) {
      const tag = r.uint(end)
      switch (tag) {
        case 10:
          m.trackId = r.string(end)
          break
        case 18:
          m.transportId = r.string(end)
          break
        default:
          r.skip(tag, end)
      }
    }
    return m
  },
}

export interface StreamPlayReply {
  consumerId?: string | undefined
  paramsJson?: string | undefined
}
export const StreamPlayReply: Codec<StreamPlayReply> = {
  encode(m, w) {
    if (m.consumerId !== undefined) {
      w.uint(10)
      w.string(m.consumerId)
    }
    if (m.paramsJson !== undefined) {
      w.uint(18)
      w.string(m.paramsJson)
    }
  },
  decode(r, end) {
    const m: StreamPlayReply = {}
    while (r.pos < end) {
      const tag = r.uint(end)
      switch (tag) {
        case 10:
          m.consumerId = r.string(end)
          break
        case 18:
          m.paramsJson = r.string(end)
          break
        default:
          r.skip(tag, end)
      }
    }
    return m
  },
}

export interface StreamResumePlay {
  consumerId?: string | undefined
}
export const StreamResumePlay: Codec<StreamResumePlay> = {
  encode(m, w) {
    if (m.consumerId !== undefined) {
      w.uint(10)
      w.string(m.consumerId)
    }
  },
  decode(r, end) {
    const m: StreamResumePlay = {}
    while (r.pos < end) {
      const tag = r.uint(end)
      switch (tag) {
        case 10:
          m.consumerId = r.string(end)
          break
        default:
          r.skip(tag, end)
      }
    }
    return m
  },
}

export interface StreamResumePlayReply {

}
export const StreamResumePlayReply: Codec<StreamResumePlayReply> = {
  encode(_m, _w) {

  },
  decode(r, end) {
    const m: StreamResumePlayReply = {}
    while (r.pos < end) {
      const tag = r.uint(end)
      switch (tag) {

        default:
          r.skip(tag, end)
      }
    }
    return m
  },
}

export interface StreamPausePlay {
  consumerId?: string | undefined
}
export const StreamPausePlay: Codec<StreamPausePlay> = {
  encode(m, w) {
    if (m.consumerId !== undefined) {
      w.uint(10)
      w.string(m.consumerId)
    }
  },
  decode(r, end) {
    const m: StreamPausePlay = {}
    while (r.pos < end) {
      const tag = r.uint(end)
      switch (tag) {
        case 10:
          m.consumerId = r.string(end)
          break
        default:
          r.skip(tag, end)
      }
    }
    return m
  },
}

export interface StreamPausePlayReply {

}
export const StreamPausePlayReply: Codec<StreamPausePlayReply> = {
  encode(_m, _w) {

  },
  decode(r, end) {
    const m: StreamPausePlayReply = {}
    while (r.pos < end) {
      const tag = r.uint(end)
      switch (tag) {

        default:
          r.skip(tag, end)
      }
    }
    return m
  },
}

export interface StreamStopPlay {
  consumerId?: string | undefined
}
export const StreamStopPlay: Codec<StreamStopPlay> = {
  encode(m, w) {
    if (m.consumerId !== undefined) {
      w.uint(10)
      w.string(m.consumerId)
    }
  },
  decode(r, end) {
    const m: StreamStopPlay = {}
    while (r.pos < end) {
      const tag = r.uint(end)
      switch (tag) {
        case 10:
          m.consumerId = r.string(end)
          break
        default:
          r.skip(tag, end)
      }
    }
    return m
  },
}

export interface StreamStopPlayReply {

}
export const StreamStopPlayReply: Codec<StreamStopPlayReply> = {
  encode(_m, _w) {

  },
  decode(r, end) {
    const m: StreamStopPlayReply = {}
    while (r.pos < end) {
      const tag = r.uint(end)
      switch (tag) {

        default:
          r.skip(tag, end)
      }
    }
    return m
  },
}

export interface StreamSetLayers {
  consumerId?: string | undefined
  spatial?: number | undefined
  temporal?: number | undefined
}
export const StreamSetLayers: Codec<StreamSetLayers> = {
  encode(m, w) {
    if (m.consumerId !== undefined) {
      w.uint(10)
      w.string(m.consumerId)
    }
    if (m.spatial !== undefined) {
      w.uint(16)
      w.int32(m.spatial)
    }
    if (m.temporal !== undefined) {
      w.uint(24)
      w.int32(m.temporal)
    }
  },
  decode(r, end) {
    const m: StreamSetLayers = {}
    while (r.pos < end) {
      const tag = r.uint(end)
      switch (tag) {
        case 10:
          m.consumerId = r.string(end)
          break
        case 16:
          m.spatial = r.int32(end)
          break
        case 24:
          m.temporal = r.int32(end)
          break
        default:
          r.skip(tag, end)
      }
    }
    return m
  },
}

export interface StreamSetLayersReply {

}
export const StreamSetLayersReply: Codec<StreamSetLayersReply> = {
  encode(_m, _w) {

  },
  decode(r, end) {
    const m: StreamSetLayersReply = {}
    while (r.pos < end) {
      const tag = r.uint(end)
      switch (tag) {

        default:
          r.skip(tag, end)
      }
    }
    return m
  },
}

export interface StreamSwitchLine {
  line?: string | undefined
}
export const StreamSwitchLine: Codec<StreamSwitchLine> = {
  encode(m, w) {
    if (m.line !== undefined) {
      w.uint(10)
      w.string(m.line)
    }
  },
  decode(r, end) {
    const m: StreamSwitchLine = {}
    while (r.pos < end) {
      const tag = r.uint(end)
      switch (tag) {
        case 10:
          m.line = r.string(end)
          break
        default:
          r.skip(tag, end)
      }
    }
    return m
  },
}

export interface StreamSwitchLineReply {
  line?: string | undefined
}
export const StreamSwitchLineReply: Codec<StreamSwitchLineReply> = {
  encode(m, w) {
    if (m.line !== undefined) {
      w.uint(10)
      w.string(m.line)
    }
  },
  decode(r, end) {
    const m: StreamSwitchLineReply = {}
    while (r.pos < end) {
      const tag = r.uint(end)
      switch (tag) {
        case 10:
          m.line = r.string(end)
          break
        default:
          r.skip(tag, end)
      }
    }
    return m
  },
}

export interface StreamSelectSource {
  producerId?: string | undefined
}
export const StreamSelectSource: Codec<StreamSelectSource> = {
  encode(m, w) {
    if (m.producerId !== undefined) {
      w.uint(10)
      w.string(m.producerId)
    }
  },
  decode(r, end) {
    const m: StreamSelectSource = {}
    while (r.pos < end) {
      const tag = r.uint(end)
      switch (tag) {
        case 10:
          m.producerId = r.string(end)
          break
        default:
          r.skip(tag, end)
      }
    }
    return m
  },
}

export interface StreamSelectSourceReply {

}
export const StreamSelectSourceReply: Codec<StreamSelectSourceReply> = {
  encode(_m, _w) {

  },
  decode(r, end) {
    const m: StreamSelectSourceReply = {}
    while (r.pos < end) {
      const tag = r.uint(end)
      switch (tag) {

        default:
          r.skip(tag, end)
      }
    }
    return m
  },
}

export interface StreamOpenIngest {
  line?: string | undefined
  codec?: string | undefined
}
export const StreamOpenIngest: Codec<StreamOpenIngest> = {
  encode(m, w) {
    if (m.line !== undefined) {
      w.uint(10)
      w.string(m.line)
    }
    if (m.codec !== undefined) {
      w.uint(18)
      w.string(m.codec)
    }
  },
  decode(r, end) {
    const m: StreamOpenIngest = {}
    while (r.pos < end) {
      const tag = r.uint(end)
      switch (tag) {
        case 10:
          m.line = r.string(end)
          break
        case 18:
          m.codec = r.string(end)
          break
        default:
          r.skip(tag, end)
      }
    }
    return m
  },
}

export interface StreamOpenIngestReply {
  ingestJson?: string | undefined
}
export const StreamOpenIngestReply: Codec<StreamOpenIngestReply> = {
  encode(m, w) {
    if (m.ingestJson !== undefined) {
      w.uint(10)
      w.string(m.ingestJson)
    }
  },
  decode(r, end) {
    const m: StreamOpenIngestReply = {}
    while (r.pos < end) {
      const tag = r.uint(end)
      switch (tag) {
        case 10:
          m.ingestJson = r.string(end)
          break
        default:
          r.skip(tag, end)
      }
    }
    return m
  },
}

export interface StreamReportQos {
  windowMs?: number | undefined
  playMs?: number | undefined
  stallMs?: number | undefined
  rttMs?: number | undefined
  lossBps?: number | undefined
  avSkewMs?: number | undefined
}
export const StreamReportQos: Codec<StreamReportQos> = {
  encode(m, w) {
    if (m.windowMs !== undefined) {
      w.uint(8)
      w.int32(m.windowMs)
    }
    if (m.playMs !== undefined) {
      w.uint(16)
      w.int32(m.playMs)
    }
    if (m.stallMs !== undefined) {
      w.uint(24)
      w.int32(m.stallMs)
    }
    if (m.rttMs !== undefined) {
      w.uint(32)
      w.int32(m.rttMs)
    }
    if (m.lossBps !== undefined) {
      w.uint(40)
      w.int32(m.lossBps)
    }
    if (m.avSkewMs !== undefined) {
      w.uint(48)
      w.int32(m.avSkewMs)
    }
  },
  decode(r, end) {
    const m: StreamReportQos = {}
    while (r.pos < end) {
      const tag = r.uint(end)
      switch (tag) {
        case 8:
          m.windowMs = r.int32(end)
          break
        case 16:
          m.playMs = r.int32(end)
          break
        case 24:
          m.stallMs = r.int32(end)
          break
        case 32:
          m.rttMs = r.int32(end)
          break
        case 40:
          m.lossBps = r.int32(end)
          break
        case 48:
          m.avSkewMs = r.int32(end)
          break
        default:
          r.skip(tag, end)
      }
    }
    return m
  },
}

export interface StreamReportQosReply {

}
export const StreamReportQosReply: Codec<StreamReportQosReply> = {
  encode(_m, _w) {

  },
  decode(r, end) {
    const m: StreamReportQosReply = {}
    while (r.pos < end) {
      const tag = r.uint(end)
      switch (tag) {

        default:
          r.skip(tag, end)
      }
    }
    return m
  },
}

export interface StreamStop {
  reason?: string | undefined
}
export const StreamStop: Codec<StreamStop> = {
  encode(m, w) {
    if (m.reason !== undefined) {
      w.uint(10)
      w.string(m.reason)
    }
  },
  decode(r, end) {
    const m: StreamStop = {}
    while (r.pos < end) {
      const tag = r.uint(end)
      switch (tag) {
        case 10:
          m.reason = r.string(end)
          break
        default:
          r.skip(tag, end)
      }
    }
    return m
  },
}

export interface StreamStopReply {

}
export const StreamStopReply: Codec<StreamStopReply> = {
  encode(_m, _w) {

  },
  decode(r, end) {
    const m: StreamStopReply = {}
    while (r.pos < end) {
      const tag = r.uint(end)
      switch (tag) {

        default:
          r.skip(tag, end)
      }
    }
    return m
  },
}

export interface StreamStarted {
  sinceAt?: number | undefined
}
export const StreamStarted: Codec<StreamStarted> = {
  encode(m, w) {
    if (m.sinceAt !== undefined) {
      w.uint(8)
      w.int(m.sinceAt)
    }
  },
  decode(r, end) {
    const m: StreamStarted = {}
    while (r.pos < end) {
      const tag = r.uint(end)
      switch (tag) {
        case 8:
          m.sinceAt = r.int(end)
          break
        default:
          r.skip(tag, end)
      }
    }
    return m
  },
}

export interface StreamStopped {
  reason?: string | undefined
}
export const StreamStopped: Codec<StreamStopped> = {
  encode(m, w) {
    if (m.reason !== undefined) {
      w.uint(10)
      w.string(m.reason)
    }
  },
  decode(r, end) {
    const m: StreamStopped = {}
    while (r.pos < end) {
      const tag = r.uint(end)
      switch (tag) {
        case 10:
          m.reason = r.string(end)
          break
        default:
          r.skip(tag, end)
      }
    }
    return m
  },
}

export interface StreamPublished {
  track?: MediaTrack | undefined
}
export const StreamPublished: Codec<StreamPublished> = {
  encode(m, w) {
    if (m.track !== undefined) {
      w.uint(10)
      w.nested(MediaTrack.encode, m.track)
    }
  },
  decode(r, end) {
    const m: StreamPublished = {}
    while (r.pos < end) {
      const tag = r.uint(end)
      switch (tag) {
        case 10:
          m.track = MediaTrack.decode(r, r.enter(end))
          break
        default:
          r.skip(tag, end)
      }
    }
    return m
  },
}

export interface StreamUnpublished {
  trackId?: string | undefined
  reason?: string | undefined
}
export const StreamUnpublished: Codec<StreamUnpublished> = {
  encode(m, w) {
    if (m.trackId !== undefined) {
      w.uint(10)
      w.string(m.trackId)
    }
    if (m.reason !== undefined) {
      w.uint(18)
      w.string(m.reason)
    }
  },
  decode(r, end) {
    const m: StreamUnpublished = {}
    while (r.pos < end) {
      const tag = r.uint(end)
      switch (tag) {
        case 10:
          m.trackId = r.string(end)
          break
        case 18:
          m.reason = r.string(end)
          break
        default:
          r.skip(tag, end)
      }
    }
    return m
  },
}

export interface StreamTrackChanged {
  track?: MediaTrack | undefined
}
export const StreamTrackChanged: Codec<StreamTrackChanged> = {
  encode(m, w) {
    if (m.track !== undefined) {
      w.uint(10)
      w.nested(MediaTrack.encode, m.track)
    }
  },
  decode(r, end) {
    const m: StreamTrackChanged = {}
    while (r.pos < end) {
      const tag = r.uint(end)
      switch (tag) {
        case 10:
          m.track = MediaTrack.decode(r, r.enter(end))
          break
        default:
          r.skip(tag, end)
      }
    }
    return m
  },
}

export interface StreamLineSwitched {
  from?: string | undefined
  to?: string | undefined
  gapMs?: number | undefined
  cause?: string | undefined
}
export const StreamLineSwitched: Codec<StreamLineSwitched> = {
  encode(m, w) {
    if (m.from !== undefined) {
      w.uint(10)
      w.string(m.from)
    }
    if (m.to !== undefined) {
      w.uint(18)
      w.string(m.to)
    }
    if (m.gapMs !== undefined) {
      w.uint(24)
      w.int32(m.gapMs)
    }
    if (m.cause !== undefined) {
      w.uint(34)
      w.string(m.cause)
    }
  },
  decode(r, end) {
    const m: StreamLineSwitched = {}
    while (r.pos < end) {
      const tag = r.uint(end)
      switch (tag) {
        case 10:
          m.from = r.string(end)
          break
        case 18:
          m.to = r.string(end)
          break
        case 24:
          m.gapMs = r.int32(end)
          break
        case 34:
          m.cause = r.string(end)
          break
        default:
          r.skip(tag, end)
      }
    }
    return m
  },
}

export interface StreamLinesChanged {
  lines?: StreamLine[] | undefined
  line?: string | undefined
}
export const StreamLinesChanged: Codec<StreamLinesChanged> = {
  encode(m, w) {
    if (m.lines !== undefined) for (const item of m.lines) {
      w.uint(10)
      w.nested(StreamLine.encode, item)
    }
    if (m.line !== undefined) {
      w.uint(18)
      w.string(m.line)
    }
  },
  decode(r, end) {
    const m: StreamLinesChanged = { lines: [] }
    while (r.pos < end) {
      const tag = r.uint(end)
      switch (tag) {
        case 10:
          ;(m.lines ??= []).push(StreamLine.decode(r, r.enter(end)))
          break
        case 18:
          m.line = r.string(end)
          break
        default:
          r.skip(tag, end)
      }
    }
    return m
  },
}

export interface StreamSourceSelected {
  producerId?: string | undefined
  source?: string | undefined
}
export const StreamSourceSelected: Codec<StreamSourceSelected> = {
  encode(m, w) {
    if (m.producerId !== undefined) {
      w.uint(10)
      w.string(m.producerId)
    }
    if (m.source !== undefined) {
      w.uint(18)
      w.string(m.source)
    }
  },
  decode(r, end) {
    const m: StreamSourceSelected = {}
    while (r.pos < end) {
      const tag = r.uint(end)
      switch (tag) {
        case 10:
          m.producerId = r.string(end)
          break
        case 18:
          m.source = r.string(end)
          break
        default:
          r.skip(tag, end)
      }
    }
    return m
  },
}

export interface StreamMigrated {
  hint?: string | undefined
}
export const StreamMigrated: Codec<StreamMigrated> = {
  encode(m, w) {
    if (m.hint !== undefined) {
      w.uint(10)
      w.string(m.hint)
    }
  },
  decode(r, end) {
    const m: StreamMigrated = {}
    while (r.pos < end) {
      const tag = r.uint(end)
      switch (tag) {
        case 10:
          m.hint = r.string(end)
          break
        default:
          r.skip(tag, end)
      }
    }
    return m
  },
}

export interface StreamDegraded {
  level?: number | undefined
  by?: string | undefined
}
export const StreamDegraded: Codec<StreamDegraded> = {
  encode(m, w) {
    if (m.level !== undefined) {
      w.uint(8)
      w.int32(m.level)
    }
    if (m.by !== undefined) {
      w.uint(18)
      w.string(m.by)
    }
  },
  decode(r, end) {
    const m: StreamDegraded = {}
    while (r.pos < end) {
      const tag = r.uint(end)
      switch (tag) {
        case 8:
          m.level = r.int32(end)
          break
        case 18:
          m.by = r.string(end)
          break
        default:
          r.skip(tag, end)
      }
    }
    return m
  },
}

export interface StreamConsumerClosed {
  consumerId?: string | undefined
  reason?: string | undefined
}
export const StreamConsumerClosed: Codec<StreamConsumerClosed> = {
  encode(m, w) {
    if (m.consumerId !== undefined) {
      w.uint(10)
      w.string(m.consumerId)
    }
    if (m.reason !== undefined) {
      w.uint(18)
      w.string(m.reason)
    }
  },
  decode(r, end) {
    const m: StreamConsumerClosed = {}
    while (r.pos < end) {
      const tag = r.uint(end)
      switch (tag) {
        case 10:
          m.consumerId = r.string(end)
          break
        case 18:
          m.reason = r.string(end)
          break
        default:
          r.skip(tag, end)
      }
    }
    return m
  },
}

export interface StreamTransportClosed {
  transportId?: string | undefined
  reason?: string | undefined
}
export const StreamTransportClosed: Codec<StreamTransportClosed> = {
  encode(m, w) {
    if (m.transportId !== undefined) {
      w.uint(10)
      w.string(m.transportId)
    }
    if (m.reason !== undefined) {
      w.uint(18)
      w.string(m.reason)
    }
  },
  decode(r, end) {
    const m: StreamTransportClosed = {}
    while (r.pos < end) {
      const tag = r.uint(end)
      switch (tag) {
        case 10:
          m.transportId = r.string(end)
          break
        case 18:
          m.reason = r.string(end)
          break
        default:
          r.skip(tag, end)
      }
    }
    return m
  },
}

export interface Seat {
  no?: number | undefined
  state?: string | undefined
  locked?: boolean | undefined
  user?: Person | undefined
  kind?: string | undefined
  mutedBy?: string | undefined
}
export const Seat: Codec<Seat> = {
  encode(m, w) {
    if (m.no !== undefined) {
      w.uint(8)
      w.int32(m.no)
    }
    if (m.state !== undefined) {
      w.uint(18)
      w.string(m.state)
    }
    if (m.locked !== undefined) {
      w.uint(24)
      w.bool(m.locked)
    }
    if (m.user !== undefined) {
      w.uint(34)
      w.nested(Person.encode, m.user)
    }
    if (m.kind !== undefined) {
      w.uint(42)
      w.string(m.kind)
    }
    if (m.mutedBy !== undefined) {
      w.uint(50)
      w.string(m.mutedBy)
    }
  },
  decode(r, end) {
    const m: Seat = {}
    while (r.pos < end) {
      const tag = r.uint(end)
      switch (tag) {
        case 8:
          m.no = r.int32(end)
          break
        case 18:
          m.state = r.string(end)
          break
        case 24:
          m.locked = r.bool(end)
          break
        case 34:
          m.user = Person.decode(r, r.enter(end))
          break
        case 42:
          m.kind = r.string(end)
          break
        case 50:
          m.mutedBy = r.string(end)
          break
        default:
          r.skip(tag, end)
      }
    }
    return m
  },
}

export interface MicInfo {
  seats?: Seat[] | undefined
  waiting?: number | undefined
  place?: number | undefined
}
export const MicInfo: Codec<MicInfo> = {
  encode(m, w) {
    if (m.seats !== undefined) for (const item of m.seats) {
      w.uint(10)
      w.nested(Seat.encode, item)
    }
    if (m.waiting !== undefined) {
      w.uint(16)
      w.int32(m.waiting)
    }
    if (m.place !== undefined) {
      w.uint(24)
      w.int32(m.place)
    }
  },
  decode(r, end) {
    const m: MicInfo = { seats: [] }
    while (r.pos < end) {
      const tag = r.uint(end)
      switch (tag) {
        case 10:
          ;(m.seats ??= []).push(Seat.decode(r, r.enter(end)))
          break
        case 16:
          m.waiting = r.int32(end)
          break
        case 24:
          m.place = r.int32(end)
          break
        default:
          r.skip(tag, end)
      }
    }
    return m
  },
}

export interface MicApply {
  kind?: string | undefined
  note?: string | undefined
}
export const MicApply: Codec<MicApply> = {
  encode(m, w) {
    if (m.kind !== undefined) {
      w.uint(10)
      w.string(m.kind)
    }
    if (m.note !== undefined) {
      w.uint(18)
      w.string(m.note)
    }
  },
  decode(r, end) {
    const m: MicApply = {}
    while (r.pos < end) {
      const tag = r.uint(end)
      switch (tag) {
        case 10:
          m.kind = r.string(end)
          break
        case 18:
          m.note = r.string(end)
          break
        default:
          r.skip(tag, end)
      }
    }
    return m
  },
}

export interface MicApplyReply {
  place?: number | undefined
}
export const MicApplyReply: Codec<MicApplyReply> = {
  encode(m, w) {
    if (m.place !== undefined) {
      w.uint(8)
      w.int32(m.place)
    }
  },
  decode(r, end) {
    const m: MicApplyReply = {}
    while (r.pos < end) {
      const tag = r.uint(end)
      switch (tag) {
        case 8:
          m.place = r.int32(end)
          break
        default:
          r.skip(tag, end)
      }
    }
    return m
  },
}

export interface MicCancel {

}
export const MicCancel: Codec<MicCancel> = {
  encode(_m, _w) {

  },
  decode(r, end) {
    const m: MicCancel = {}
    while (r.pos < end) {
      const tag = r.uint(end)
      switch (tag) {

        default:
          r.skip(tag, end)
      }
    }
    return m
  },
}

export interface MicCancelReply {

}
export const MicCancelReply: Codec<MicCancelReply> = {
  encode(_m, _w) {

  },
  decode(r, end) {
    const m: MicCancelReply = {}
    while (r.pos < end) {
      const tag = r.uint(end)
      switch (tag) {

        default:
          r.skip(tag, end)
      }
    }
    return m
  },
}

export interface MicApplicant {
  user?: Person | undefined
  kind?: string | undefined
  note?: string | undefined
  place?: number | undefined
  appliedAt?: number | undefined
}
export const MicApplicant: Codec<MicApplicant> = {
  encode(m, w) {
    if (m.user !== undefined) {
      w.uint(10)
      w.nested(Person.encode, m.user)
    }
    if (m.kind !== undefined) {
      w.uint(18)
      w.string(m.kind)
    }
    if (m.note !== undefined) {
      w.uint(26)
      w.string(m.note)
    }
    if (m.place !== undefined) {
      w.uint(32)
      w.int32(m.place)
    }
    if (m.appliedAt !== undefined) {
      w.uint(40)
      w.int(m.appliedAt)
    }
  },
  decode(r, end) {
    const m: MicApplicant = {}
    while (r.pos < end) {
      const tag = r.uint(end)
      switch (tag) {
        case 10:
          m.user = Person.decode(r, r.enter(end))
          break
        case 18:
          m.kind = r.string(end)
          break
        case 26:
          m.note = r.string(end)
          break
        case 32:
          m.place = r.int32(end)
          break
        case 40:
          m.appliedAt = r.int(end)
          break
        default:
          r.skip(tag, end)
      }
    }
    return m
  },
}

export interface MicList {

}
export const MicList: Codec<MicList> = {
  encode(_m, _w) {

  },
  decode(r, end) {
    const m: MicList = {}
    while (r.pos < end) {
      const tag = r.uint(end)
      switch (tag) {

        default:
          r.skip(tag, end)
      }
    }
    return m
  },
}

export interface MicListReply {
  applicants?: MicApplicant[] | undefined
  invited?: Person[] | undefined
}
export const MicListReply: Codec<MicListReply> = {
  encode(m, w) {
    if (m.applicants !== undefined) for (const item of m.applicants) {
      w.uint(10)
      w.nested(MicApplicant.encode, item)
    }
    if (m.invited !== undefined) for (const item of m.invited) {
      w.uint(18)
      w.nested(Person.encode, item)
    }
  },
  decode(r, end) {
    const m: MicListReply = { applicants: [], invited: [] }
    while (r.pos < end) {
      const tag = r.uint(end)
      switch (tag) {
        case 10:
          ;(m.applicants ??= []).push(MicApplicant.decode(r, r.enter(end)))
          break
        case 18:
          ;(m.invited ??= []).push(Person.decode(r, r.enter(end)))
          break
        default:
          r.skip(tag, end)
      }
    }
    return m
  },
}

export interface MicInvite {
  userId?: string | undefined
  seatNo?: number | undefined
  timeoutMs?: number | undefined
}
export const MicInvite: Codec<MicInvite> = {
  encode(m, w) {
    if (m.userId !== undefined) {
      w.uint(10)
      w.string(m.userId)
    }
    if (m.seatNo !== undefined) {
      w.uint(16)
      w.int32(m.seatNo)
    }
    if (m.timeoutMs !== undefined) {
      w.uint(24)
      w.int32(m.timeoutMs)
    }
  },
  decode(r, end) {
    const m: MicInvite = {}
    while (r.pos < end) {
      const tag = r.uint(end)
      switch (tag) {
        case 10:
          m.userId = r.string(end)
          break
        case 16:
          m.seatNo = r.int32(end)
          break
        case 24:
          m.timeoutMs = r.int32(end)
          break
        default:
          r.skip(tag, end)
      }
    }
    return m
  },
}

export interface MicInviteReply {
  inviteId?: string | undefined
  expireAt?: number | undefined
}
export const MicInviteReply: Codec<MicInviteReply> = {
  encode(m, w) {
    if (m.inviteId !== undefined) {
      w.uint(10)
      w.string(m.inviteId)
    }
    if (m.expireAt !== undefined) {
      w.uint(16)
      w.int(m.expireAt)
    }
  },
  decode(r, end) {
    const m: MicInviteReply = {}
    while (r.pos < end) {
      const tag = r.uint(end)
      switch (tag) {
        case 10:
          m.inviteId = r.string(end)
          break
        case 16:
          m.expireAt = r.int(end)
          break
        default:
          r.skip(tag, end)
      }
    }
    return m
  },
}

export interface MicAccept {
  userId?: string | undefined
  inviteId?: string | undefined
  seatNo?: number | undefined
}
export const MicAccept: Codec<MicAccept> = {
  encode(m, w) {
    if (m.userId !== undefined) {
      w.uint(10)
      w.string(m.userId)
    }
    if (m.inviteId !== undefined) {
      w.uint(18)
      w.string(m.inviteId)
    }
    if (m.seatNo !== undefined) {
      w.uint(24)
      w.int32(m.seatNo)
    }
  },
  decode(r, end) {
    const m: MicAccept = {}
    while (r.pos < end) {
      const tag = r.uint(end)
      switch (tag) {
        case 10:
          m.userId = r.string(end)
          break
        case 18:
          m.inviteId = r.string(end)
          break
        case 24:
          m.seatNo = r.int32(end)
          break
        default:
          r.skip(tag, end)
      }
    }
    return m
  },
}

export interface MicAcceptReply {
  seatNo?: number | undefined
  joinByAt?: number | undefined
}
export const MicAcceptReply: Codec<MicAcceptReply> = {
  encode(m, w) {
    if (m.seatNo !== undefined) {
      w.uint(8)
      w.int32(m.seatNo)
    }
    if (m.joinByAt !== undefined) {
      w.uint(16)
      w.int(m.joinByAt)
    }
  },
  decode(r, end) {
    const m: MicAcceptReply = {}
    while (r.pos < end) {
      const tag = r.uint(end)
      switch (tag) {
        case 8:
          m.seatNo = r.int32(end)
          break
        case 16:
          m.joinByAt = r.int(end)
          break
        default:
          r.skip(tag, end)
      }
    }
    return m
  },
}

export interface MicReject {
  userId?: string | undefined
  inviteId?: string | undefined
  reason?: string | undefined
}
export const MicReject: Codec<MicReject> = {
  encode(m, w) {
    if (m.userId !== undefined) {
      w.uint(10)
      w.string(m.userId)
    }
    if (m.inviteId !== undefined) {
      w.uint(18)
      w.string(m.inviteId)
    }
    if (m.reason !== undefined) {
      w.uint(26)
      w.string(m.reason)
    }
  },
  decode(r, end) {
    const m: MicReject = {}
    while (r.pos < end) {
      const tag = r.uint(end)
      switch (tag) {
        case 10:
          m.userId = r.string(end)
          break
        case 18:
          m.inviteId = r.string(end)
          break
        case 26:
          m.reason = r.string(end)
          break
        default:
          r.skip(tag, end)
      }
    }
    return m
  },
}

export interface MicRejectReply {

}
export const MicRejectReply: Codec<MicRejectReply> = {
  encode(_m, _w) {

  },
  decode(r, end) {
    const m: MicRejectReply = {}
    while (r.pos < end) {
      const tag = r.uint(end)
      switch (tag) {

        default:
          r.skip(tag, end)
      }
    }
    return m
  },
}

export interface MicJoin {
  seatNo?: number | undefined
}
export const MicJoin: Codec<MicJoin> = {
  encode(m, w) {
    if (m.seatNo !== undefined) {
      w.uint(8)
      w.int32(m.seatNo)
    }
  },
  decode(r, end) {
    const m: MicJoin = {}
    while (r.pos < end) {
      const tag = r.uint(end)
      switch (tag) {
        case 8:
          m.seatNo = r.int32(end)
          break
        default:
          r.skip(tag, end)
      }
    }
    return m
  },
}

export interface MicJoinReply {
  seat?: Seat | undefined
}
export const MicJoinReply: Codec<MicJoinReply> = {
  encode(m, w) {
    if (m.seat !== undefined) {
      w.uint(10)
      w.nested(Seat.encode, m.seat)
    }
  },
  decode(r, end) {
    const m: MicJoinReply = {}
    while (r.pos < end) {
      const tag = r.uint(end)
      switch (tag) {
        case 10:
          m.seat = Seat.decode(r, r.enter(end))
          break
        default:
          r.skip(tag, end)
      }
    }
    return m
  },
}

export interface MicLeave {

}
export const MicLeave: Codec<MicLeave> = {
  encode(_m, _w) {

  },
  decode(r, end) {
    const m: MicLeave = {}
    while (r.pos < end) {
      const tag = r.uint(end)
      switch (tag) {

        default:
          r.skip(tag, end)
      }
    }
    return m
  },
}

export interface MicLeaveReply {

}
export const MicLeaveReply: Codec<MicLeaveReply> = {
  encode(_m, _w) {

  },
  decode(r, end) {
    const m: MicLeaveReply = {}
    while (r.pos < end) {
      const tag = r.uint(end)
      switch (tag) {

        default:
          r.skip(tag, end)
      }
    }
    return m
  },
}

export interface MicMove {
  seatNo?: number | undefined
}
export const MicMove: Codec<MicMove> = {
  encode(m, w) {
    if (m.seatNo !== undefined) {
      w.uint(8)
      w.int32(m.seatNo)
    }
  },
  decode(r, end) {
    const m: MicMove = {}
    while (r.pos < end) {
      const tag = r.uint(end)
      switch (tag) {
        case 8:
          m.seatNo = r.int32(end)
          break
        default:
          r.skip(tag, end)
      }
    }
    return m
  },
}

export interface MicMoveReply {

}
export const MicMoveReply: Codec<MicMoveReply> = {
  encode(_m, _w) {

  },
  decode(r, end) {
    const m: MicMoveReply = {}
    while (r.pos < end) {
      const tag = r.uint(end)
      switch (tag) {

        default:
          r.skip(tag, end)
      }
    }
    return m
  },
}

export interface MicMuteSeat {
  seatNo?: number | undefined
}
export const MicMuteSeat: Codec<MicMuteSeat> = {
  encode(m, w) {
    if (m.seatNo !== undefined) {
      w.uint(8)
      w.int32(m.seatNo)
    }
  },
  decode(r, end) {
    const m: MicMuteSeat = {}
    while (r.pos < end) {
      const tag = r.uint(end)
      switch (tag) {
        case 8:
          m.seatNo = r.int32(end)
          break
        default:
          r.skip(tag, end)
      }
    }
    return m
  },
}

export interface MicMuteSeatReply {

}
export const MicMuteSeatReply: Codec<MicMuteSeatReply> = {
  encode(_m, _w) {

  },
  decode(r, end) {
    const m: MicMuteSeatReply = {}
    while (r.pos < end) {
      const tag = r.uint(end)
      switch (tag) {

        default:
          r.skip(tag, end)
      }
    }
    return m
  },
}

export interface MicUnmuteSeat {
  seatNo?: number | undefined
}
export const MicUnmuteSeat: Codec<MicUnmuteSeat> = {
  encode(m, w) {
    if (m.seatNo !== undefined) {
      w.uint(8)
      w.int32(m.seatNo)
    }
  },
  decode(r, end) {
    const m: MicUnmuteSeat = {}
    while (r.pos < end) {
      const tag = r.uint(end)
      switch (tag) {
        case 8:
          m.seatNo = r.int32(end)
          break
        default:
          r.skip(tag, end)
      }
    }
    return m
  },
}

export interface MicUnmuteSeatReply {

}
export const MicUnmuteSeatReply: Codec<MicUnmuteSeatReply> = {
  encode(_m, _w) {

  },
  decode(r, end) {
    const m: MicUnmuteSeatReply = {}
    while (r.pos < end) {
      const tag = r.uint(end)
      switch (tag) {

        default:
          r.skip(tag, end)
      }
    }
    return m
  },
}

export interface MicLockSeat {
  seatNo?: number | undefined
}
export const MicLockSeat: Codec<MicLockSeat> = {
  encode(m, w) {
    if (m.seatNo !== undefined) {
      w.uint(8)
      w.int32(m.seatNo)
    }
  },
  decode(r, end) {
    const m: MicLockSeat = {}
    while (r.pos < end) {
      const tag = r.uint(end)
      switch (tag) {
        case 8:
          m.seatNo = r.int32(end)
          break
        default:
          r.skip(tag, end)
      }
    }
    return m
  },
}

export interface MicLockSeatReply {

}
export const MicLockSeatReply: Codec<MicLockSeatReply> = {
  encode(_m, _w) {

  },
  decode(r, end) {
    const m: MicLockSeatReply = {}
    while (r.pos < end) {
      const tag = r.uint(end)
      switch (tag) {

        default:
          r.skip(tag, end)
      }
    }
    return m
  },
}

export interface MicUnlockSeat {
  seatNo?: number | undefined
}
export const MicUnlockSeat: Codec<MicUnlockSeat> = {
  encode(m, w) {
    if (m.seatNo !== undefined) {
      w.uint(8)
      w.int32(m.seatNo)
    }
  },
  decode(r, end) {
    const m: MicUnlockSeat = {}
    while (r.pos < end) {
      const tag = r.uint(end)
      switch (tag) {
        case 8:
          m.seatNo = r.int32(end)
          break
        default:
          r.skip(tag, end)
      }
    }
    return m
  },
}

export interface MicUnlockSeatReply {

}
export const MicUnlockSeatReply: Codec<MicUnlockSeatReply> = {
  encode(_m, _w) {

  },
  decode(r, end) {
    const m: MicUnlockSeatReply = {}
    while (r.pos < end) {
      const tag = r.uint(end)
      switch (tag) {

        default:
          r.skip(tag, end)
      }
    }
    return m
  },
}

export interface MicDrop {
  seatNo?: number | undefined
  reason?: string | undefined
}
export const MicDrop: Codec<MicDrop> = {
  encode(m, w) {
    if (m.seatNo !== undefined) {
      w.uint(8)
      w.int32(m.seatNo)
    }
    if (m.reason !== undefined) {
      w.uint(18)
      w.string(m.reason)
    }
  },
  decode(r, end) {
    const m: MicDrop = {}
    while (r.pos < end) {
      const tag = r.uint(end)
      switch (tag) {
        case 8:
          m.seatNo = r.int32(end)
          break
        case 18:
          m.reason = r.string(end)
          break
        default:
          r.skip(tag, end)
      }
    }
    return m
  },
}

export interface MicDropReply {

}
export const MicDropReply: Codec<MicDropReply> = {
  encode(_m, _w) {

  },
  decode(r, end) {
    const m: MicDropReply = {}
    while (r.pos < end) {
      const tag = r.uint(end)
      switch (tag) {

        default:
          r.skip(tag, end)
      }
    }
    return m
  },
}

export interface MicSeatChanged {
  seat?: Seat | undefined
  by?: string | undefined
}
export const MicSeatChanged: Codec<MicSeatChanged> = {
  encode(m, w) {
    if (m.seat !== undefined) {
      w.uint(10)
      w.nested(Seat.encode, m.seat)
    }
    if (m.by !== undefined) {
      w.uint(18)
      w.string(m.by)
    }
  },
  decode(r, end) {
    const m: MicSeatChanged = {}
    while (r.pos < end) {
      const tag = r.uint(end)
      switch (tag) {
        case 10:
          m.seat = Seat.decode(r, r.enter(end))
          break
        case 18:
          m.by = r.string(end)
          break
        default:
          r.skip(tag, end)
      }
    }
    return m
  },
}

export interface MicQueueChanged {
  waiting?: number | undefined
}
export const MicQueueChanged: Codec<MicQueueChanged> = {
  encode(m, w) {
    if (m.waiting !== undefined) {
      w.uint(8)
      w.int32(m.waiting)
    }
  },
  decode(r, end) {
    const m: MicQueueChanged = {}
    while (r.pos < end) {
      const tag = r.uint(end)
      switch (tag) {
        case 8:
          m.waiting = r.int32(end)
          break
        default:
          r.skip(tag, end)
      }
    }
    return m
  },
}

export interface MicApplied {
  applicant?: MicApplicant | undefined
}
export const MicApplied: Codec<MicApplied> = {
  encode(m, w) {
    if (m.applicant !== undefined) {
      w.uint(10)
      w.nested(MicApplicant.encode, m.applicant)
    }
  },
  decode(r, end) {
    const m: MicApplied = {}
    while (r.pos < end) {
      const tag = r.uint(end)
      switch (tag) {
        case 10:
          m.applicant = MicApplicant.decode(r, r.enter(end))
          break
        default:
          r.skip(tag, end)
      }
    }
    return m
  },
}

export interface MicPlaceChanged {
  place?: number | undefined
}
export const MicPlaceChanged: Codec<MicPlaceChanged> = {
  encode(m, w) {
    if (m.place !== undefined) {
      w.uint(8)
      w.int32(m.place)
    }
  },
  decode(r, end) {
    const m: MicPlaceChanged = {}
    while (r.pos < end) {
      const tag = r.uint(end)
      switch (tag) {
        case 8:
          m.place = r.int32(end)
          break
        default:
          r.skip(tag, end)
      }
    }
    return m
  },
}

export interface MicInvited {
  inviteId?: string | undefined
  by?: Person | undefined
  seatNo?: number | undefined
  expireAt?: number | undefined
}
export const MicInvited: Codec<MicInvited> = {
  encode(m, w) {
    if (m.inviteId !== undefined) {
      w.uint(10)
      w.string(m.inviteId)
    }
    if (m.by !== undefined) {
      w.uint(18)
      w.nested(Person.encode, m.by)
    }
    if (m.seatNo !== undefined) {
      w.uint(24)
      w.int32(m.seatNo)
    }
    if (m.expireAt !== undefined) {
      w.uint(32)
      w.int(m.expireAt)
    }
  },
  decode(r, end) {
    const m: MicInvited = {}
    while (r.pos < end) {
      const tag = r.uint(end)
      switch (tag) {
        case 10:
          m.inviteId = r.string(end)
          break
        case 18:
          m.by = Person.decode(r, r.enter(end))
          break
        case 24:
          m.seatNo = r.int32(end)
          break
        case 32:
          m.expireAt = r.int(end)
          break
        default:
          r.skip(tag, end)
      }
    }
    return m
  },
}

export interface MicAccepted {
  seatNo?: number | undefined
  joinByAt?: number | undefined
}
export const MicAccepted: Codec<MicAccepted> = {
  encode(m, w) {
    if (m.seatNo !== undefined) {
      w.uint(8)
      w.int32(m.seatNo)
    }
    if (m.joinByAt !== undefined) {
      w.uint(16)
      w.int(m.joinByAt)
    }
  },
  decode(r, end) {
    const m: MicAccepted = {}
    while (r.pos < end) {
      const tag = r.uint(end)
      switch (tag) {
        case 8:
          m.seatNo = r.int32(end)
          break
        case 16:
          m.joinByAt = r.int(end)
          break
        default:
          r.skip(tag, end)
      }
    }
    return m
  },
}

export interface MicRejected {
  reason?: string | undefined
  by?: Person | undefined
}
export const MicRejected: Codec<MicRejected> = {
  encode(m, w) {
    if (m.reason !== undefined) {
      w.uint(10)
      w.string(m.reason)
    }
    if (m.by !== undefined) {
      w.uint(18)
      w.nested(Person.encode, m.by)
    }
  },
  decode(r, end) {
    const m: MicRejected = {}
    while (r.pos < end) {
      const tag = r.uint(end)
      switch (tag) {
        case 10:
          m.reason = r.string(end)
          break
        case 18:
          m.by = Person.decode(r, r.enter(end))
          break
        default:
          r.skip(tag, end)
      }
    }
    return m
  },
}

export interface MicTimedOut {
  what?: string | undefined
}
export const MicTimedOut: Codec<MicTimedOut> = {
  encode(m, w) {
    if (m.what !== undefined) {
      w.uint(10)
      w.string(m.what)
    }
  },
  decode(r, end) {
    const m: MicTimedOut = {}
    while (r.pos < end) {
      const tag = r.uint(end)
      switch (tag) {
        case 10:
          m.what = r.string(end)
          break
        default:
          r.skip(tag, end)
      }
    }
    return m
  },
}

export interface RoomLagging {
  bufferedBytes?: number | undefined
}
export const RoomLagging: Codec<RoomLagging> = {
  encode(m, w) {
    if (m.bufferedBytes !== undefined) {
      w.uint(8)
      w.int(m.bufferedBytes)
    }
  },
  decode(r, end) {
    const m: RoomLagging = {}
    while (r.pos < end) {
      const tag = r.uint(end)
      switch (tag) {
        case 8:
          m.bufferedBytes = r.int(end)
          break
        default:
          r.skip(tag, end)
      }
    }
    return m
  },
}

export interface RoomResynced {
  snapshot?: RoomJoinReply | undefined
}
export const RoomResynced: Codec<RoomResynced> = {
  encode(m, w) {
    if (m.snapshot !== undefined) {
      w.uint(10)
      w.nested(RoomJoinReply.encode, m.snapshot)
    }
  },
  decode(r, end) {
    const m: RoomResynced = {}
    while (r.pos < end) {
      const tag = r.uint(end)
      switch (tag) {
        case 10:
          m.snapshot = RoomJoinReply.decode(r, r.enter(end))
          break
        default:
          r.skip(tag, end)
      }
    }
    return m
  },
}

export interface ServerDraining {
  reconnectAfterMs?: number | undefined
}
export const ServerDraining: Codec<ServerDraining> = {
  encode(m, w) {
    if (m.reconnectAfterMs !== undefined) {
      w.uint(8)
      w.int32(m.reconnectAfterMs)
    }
  },
  decode(r, end) {
    const m: ServerDraining = {}
    while (r.pos < end) {
      const tag = r.uint(end)
      switch (tag) {
        case 8:
          m.reconnectAfterMs = r.int32(end)
          break
        default:
          r.skip(tag, end)
      }
    }
    return m
  },
}

export interface SessionExpiring {
  expiresAt?: number | undefined
}
export const SessionExpiring: Codec<SessionExpiring> = {
  encode(m, w) {
    if (m.expiresAt !== undefined) {
      w.uint(8)
      w.int(m.expiresAt)
    }
  },
  decode(r, end) {
    const m: SessionExpiring = {}
    while (r.pos < end) {
      const tag = r.uint(end)
      switch (tag) {
        case 8:
          m.expiresAt = r.int(end)
          break
        default:
          r.skip(tag, end)
      }
    }
    return m
  },
}

export interface MessageRejected {
  caseId?: string | undefined
  text?: string | undefined
  reason?: string | undefined
}
export const MessageRejected: Codec<MessageRejected> = {
  encode(m, w) {
    if (m.caseId !== undefined) {
      w.uint(10)
      w.string(m.caseId)
    }
    if (m.text !== undefined) {
      w.uint(18)
      w.string(m.text)
    }
    if (m.reason !== undefined) {
      w.uint(26)
      w.string(m.reason)
    }
  },
  decode(r, end) {
    const m: MessageRejected = {}
    while (r.pos < end) {
      const tag = r.uint(end)
      switch (tag) {
        case 10:
          m.caseId = r.string(end)
          break
        case 18:
          m.text = r.string(end)
          break
        case 26:
          m.reason = r.string(end)
          break
        default:
          r.skip(tag, end)
      }
    }
    return m
  },
}

export interface WalletChanged {
  coinPaid?: number | undefined
  coinBonus?: number | undefined
  reason?: string | undefined
}
export const WalletChanged: Codec<WalletChanged> = {
  encode(m, w) {
    if (m.coinPaid !== undefined) {
      w.uint(8)
      w.int(m.coinPaid)
    }
    if (m.coinBonus !== undefined) {
      w.uint(16)
      w.int(m.coinBonus)
    }
    if (m.reason !== undefined) {
      w.uint(26)
      w.string(m.reason)
    }
  },
  decode(r, end) {
    const m: WalletChanged = {}
    while (r.pos < end) {
      const tag = r.uint(end)
      switch (tag) {
        case 8:
          m.coinPaid = r.int(end)
          break
        case 16:
          m.coinBonus = r.int(end)
          break
        case 26:
          m.reason = r.string(end)
          break
        default:
          r.skip(tag, end)
      }
    }
    return m
  },
}

export const codecs = {
  ClientFrame,
  Request,
  ServerFrame,
  ServerMessage,
  Event,
  Reply,
  Error,
  ErrorDetail,
  Person,
  RoomInfo,
  RoomPatch,
  Settings,
  Online,
  WallItem,
  Me,
  Restriction,
  RoleGrant,
  RoomListItem,
  Resume,
  Limits,
  Extension,
  SessionOpen,
  SessionOpenReply,
  SessionRenew,
  SessionRenewReply,
  SessionPing,
  SessionPingReply,
  RoomJoin,
  RoomJoinReply,
  RoomLeave,
  RoomLeaveReply,
  RoomCreate,
  RoomCreateReply,
  RoomUpdate,
  RoomUpdateReply,
  RoomOpen,
  RoomOpenReply,
  RoomClose,
  RoomCloseReply,
  RoomSetSettings,
  RoomSetSettingsReply,
  RoomGrantRole,
  RoomGrantRoleReply,
  RoomRevokeRole,
  RoomRevokeRoleReply,
  RoomMute,
  RoomMuteReply,
  RoomUnmute,
  RoomUnmuteReply,
  RoomKick,
  RoomKickReply,
  RoomUnban,
  RoomUnbanReply,
  RoomList,
  RoomListReply,
  RoomListRestrictions,
  RoomListRestrictionsReply,
  DanmakuSend,
  DanmakuSendReply,
  DanmakuRemove,
  DanmakuRemoveReply,
  LikeTap,
  LikeTapReply,
  ShareReport,
  ShareReportReply,
  WallShow,
  WallShowReply,
  WallHide,
  WallHideReply,
  ReplyTo,
  DanmakuSent,
  MessageRemoved,
  LikeChanged,
  ShareChanged,
  WallShown,
  WallHidden,
  RoomUserJoined,
  RoomOnline,
  RoomCreated,
  RoomUpdated,
  RoomOpened,
  RoomStats,
  RoomClosed,
  RoomTakenDown,
  RoomRestored,
  RoomSettingsChanged,
  RoomRoleChanged,
  RoomUserMuted,
  RoomUserUnmuted,
  RoomUserKicked,
  GiftItem,
  GiftList,
  GiftListReply,
  GiftSend,
  GiftSendReply,
  GiftSent,
  GiftComboEnded,
  WorldGiftBanner,
  WalletGet,
  WalletGetReply,
  RankRow,
  RankGet,
  RankGetReply,
  RankChanged,
  MediaTrack,
  StreamLine,
  StreamInfo,
  StreamGetCapabilities,
  StreamGetCapabilitiesReply,
  StreamCreateTransport,
  StreamCreateTransportReply,
  StreamConnectTransport,
  StreamConnectTransportReply,
  StreamRestartIce,
  StreamRestartIceReply,
  StreamPublish,
  StreamPublishReply,
  StreamUnpublish,
  StreamUnpublishReply,
  StreamPlay,
  StreamPlayReply,
  StreamResumePlay,
  StreamResumePlayReply,
  StreamPausePlay,
  StreamPausePlayReply,
  StreamStopPlay,
  StreamStopPlayReply,
  StreamSetLayers,
  StreamSetLayersReply,
  StreamSwitchLine,
  StreamSwitchLineReply,
  StreamSelectSource,
  StreamSelectSourceReply,
  StreamOpenIngest,
  StreamOpenIngestReply,
  StreamReportQos,
  StreamReportQosReply,
  StreamStop,
  StreamStopReply,
  StreamStarted,
  StreamStopped,
  StreamPublished,
  StreamUnpublished,
  StreamTrackChanged,
  StreamLineSwitched,
  StreamLinesChanged,
  StreamSourceSelected,
  StreamMigrated,
  StreamDegraded,
  StreamConsumerClosed,
  StreamTransportClosed,
  Seat,
  MicInfo,
  MicApply,
  MicApplyReply,
  MicCancel,
  MicCancelReply,
  MicApplicant,
  MicList,
  MicListReply,
  MicInvite,
  MicInviteReply,
  MicAccept,
  MicAcceptReply,
  MicReject,
  MicRejectReply,
  MicJoin,
  MicJoinReply,
  MicLeave,
  MicLeaveReply,
  MicMove,
  MicMoveReply,
  MicMuteSeat,
  MicMuteSeatReply,
  MicUnmuteSeat,
  MicUnmuteSeatReply,
  MicLockSeat,
  MicLockSeatReply,
  MicUnlockSeat,
  MicUnlockSeatReply,
  MicDrop,
  MicDropReply,
  MicSeatChanged,
  MicQueueChanged,
  MicApplied,
  MicPlaceChanged,
  MicInvited,
  MicAccepted,
  MicRejected,
  MicTimedOut,
  RoomLagging,
  RoomResynced,
  ServerDraining,
  SessionExpiring,
  MessageRejected,
  WalletChanged,
} as const
