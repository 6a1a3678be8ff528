/** Coming, going and the room itself: join, leave, update, open, close, settings. */
import type { CommandInput, RoomInfoShape, SettingsShape } from '../../schemas/messages.ts'
import { accept, type Call, refuse } from './call.ts'
import type { Home } from './home.ts'
import { may } from './rights.ts'

export function join(home: Home, call: Call, onNew: (source: string | undefined) => void): void {
  const { session, actor } = call
  const d = call.d as CommandInput<'room.join'>
  if (!session) return refuse(call, 'request.invalid', { msg: 'Only a connection can join.' })
  const ban = home.banOf(actor.userId)
  if (ban) return refuse(call, 'room.kicked', { d: { untilAt: ban.untilAt } })
  const ranks = home.ranksOfActor(actor)
  if (home.info.state !== 'open' && ranks.length === 0) return refuse(call, 'room.closed', { retryAfterMs: 5_000 })
  if (home.presence.members.size >= home.parts.config.roomConnectionsMax)
    return refuse(call, 'room.full', { retryAfterMs: 5_000 })
  const { isNew } = home.join(call, session, d.resume)
  if (isNew) onNew(d.source)
}

export function leave(home: Home, call: Call): void {
  const { session } = call
  if (session) home.leave(session.sid)
  call.answer({ ok: true, d: {}, ...(session ? { place: home.framePlace(session.edge) } : {}) })
}

/** From an edge that lost a frame, or whose reader fell behind: the state of the room anew. */
export function resync(home: Home, call: Call): void {
  const { session } = call
  if (!session || !home.presence.members.has(session.sid)) return refuse(call, 'room.not_joined')
  call.answer({ ok: true, d: undefined, joined: home.resync(session, call.actor) })
}

export function update(home: Home, call: Call): void {
  if (!may(home.ranksOfActor(call.actor), 'update')) return refuse(call, 'perm.denied')
  const patch = call.d as CommandInput<'room.update'>
  home.change(call, () => {
    const info = { ...home.info, ...patch, version: home.info.version + 1 }
    const by = call.actor.userId
    return {
      changes: [{ kind: 'room.put', info }],
      events: [home.event('room.updated', { patch, version: info.version, by }, { actor: by })],
      apply: () => {
        home.info = info
      },
      reply: { room: info },
      touchesInfo: true,
    }
  })
}

export function setSettings(home: Home, call: Call): void {
  const patch = call.d as Partial<SettingsShape>
  const ranks = home.ranksOfActor(call.actor)
  const slowModeOnly = Object.keys(patch).every((key) => key === 'slowModeMs')
  if (!may(ranks, 'settings') && !(slowModeOnly && may(ranks, 'slow_mode'))) return refuse(call, 'perm.denied')
  home.change(call, () => {
    const settings = { ...home.settings, ...patch }
    const by = call.actor.userId
    return {
      changes: [{ kind: 'settings.put', settings }],
      events: [home.event('room.settings_changed', { patch, by }, { actor: by })],
      apply: () => {
        home.settings = settings
      },
      reply: { settings },
    }
  })
}

export function open(home: Home, call: Call): void {
  if (!may(home.ranksOfActor(call.actor), 'open')) return refuse(call, 'perm.denied')
  home.change(call, () => {
    if (home.info.state === 'open') return void refuse(call, 'room.bad_state', { msg: 'The room is open.' })
    const liveId = home.newId()
    const openedAt = home.now()
    const info: RoomInfoShape = { ...home.info, state: 'open', liveId, openedAt, version: home.info.version + 1 }
    return {
      changes: [
        { kind: 'room.put', info },
        { kind: 'totals.put', ...home.totals, danmakuTotal: 0 },
      ],
      events: [home.event('room.opened', { liveId, openedAt }, { actor: call.actor.userId })],
      apply: () => {
        home.info = info
        home.totals.danmakuTotal = 0
        home.presence.resetPeak()
      },
      reply: { liveId },
      touchesInfo: true,
    }
  })
}

export function close(home: Home, call: Call): void {
  if (!may(home.ranksOfActor(call.actor), 'open')) return refuse(call, 'perm.denied')
  const { reason = '' } = call.d as CommandInput<'room.close'>
  home.change(call, () => {
    const { liveId, openedAt, ...rest } = home.info
    if (rest.state === 'closed' || liveId === undefined)
      return void refuse(call, 'room.bad_state', { msg: 'The room is closed.' })
    const info: RoomInfoShape = { ...rest, state: 'closed', version: rest.version + 1 }
    const { likes, danmakuTotal } = home.totals
    const stats = {
      durationMs: home.now() - (openedAt ?? home.now()),
      peak: home.presence.online.peak,
      danmaku: danmakuTotal,
      likes,
    }
    return {
      changes: [{ kind: 'room.put', info }, { kind: 'mutes.end_live' }],
      events: [home.event('room.closed', { liveId, reason, stats }, { actor: call.actor.userId })],
      apply: () => {
        home.info = info
        for (const [userId, mute] of home.mutes) if (mute.untilAt === 0) home.mutes.delete(userId)
      },
      reply: { liveId },
      touchesInfo: true,
    }
  })
}

/** For the admin API and plugins: the room as it is now. */
export function get(home: Home, call: Call): void {
  const { info, settings, totals, wall, presence, epoch } = home
  accept(call, { room: info, settings, online: presence.online, totals: { ...totals }, epoch, ...(wall ? { wall } : {}) })
}
