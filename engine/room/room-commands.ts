/** The room itself: update, settings, open, close, taken down and restored. Who comes and goes stands in `arrivals.ts`. */
import type { CommandInput, RoomInfoShape, SettingsShape } from '../../schemas/messages.ts'
import { aboutCase } from './arrivals.ts'
import { accept, type Call, refuse } from './call.ts'
import type { PlannedChange } from './changes.ts'
import type { Home } from './home.ts'
import { may, type Right } from './rights.ts'
import type { Takedown } from './store.ts'

/** Rights, guards, and rights again, because a guard may take longer than a role lasts. */
export function whenAllowed(home: Home, call: Call, isAllowed: () => boolean, then: (ruled: Call) => void): void {
  if (!isAllowed()) return refuse(call, 'perm.denied')
  home.guarded(call, call.d, (ruled) => {
    if (isAllowed()) then(ruled)
    else refuse(ruled, 'perm.denied')
  })
}

const has = (home: Home, call: Call, right: Right) => () => may(home.ranksOfActor(call.actor), right)

export function update(home: Home, call: Call): void {
  const patch = call.d as CommandInput<'room.update'>
  whenAllowed(home, call, has(home, call, 'update'), (ruled) =>
    home.change(ruled, () => {
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
    }),
  )
}

export function setSettings(home: Home, call: Call, onSet: () => void): void {
  const patch = call.d as Partial<SettingsShape>
  const slowModeOnly = Object.keys(patch).every((key) => key === 'slowModeMs')
  const maySet = () => {
    const ranks = home.ranksOfActor(call.actor)
    return may(ranks, 'settings') || (slowModeOnly && may(ranks, 'slow_mode'))
  }
  whenAllowed(home, call, maySet, (ruled) =>
    home.change(ruled, () => {
      const settings = { ...home.settings, ...patch }
      const by = call.actor.userId
      return {
        changes: [{ kind: 'settings.put', settings }],
        events: [home.event('room.settings_changed', { patch, by }, { actor: by })],
        apply: () => {
          home.settings = settings
          onSet()
        },
        reply: { settings },
      }
    }),
  )
}

export function open(home: Home, call: Call): void {
  whenAllowed(home, call, has(home, call, 'open'), (ruled) =>
    home.change(ruled, () => {
      if (home.takedown) return void refuse(ruled, 'room.taken_down', aboutCase(home.takedown))
      if (home.info.state === 'open') return void refuse(ruled, 'room.bad_state', { msg: 'The room is open.' })
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
    }),
  )
}

export function close(home: Home, call: Call, onClosed: () => void): void {
  if (!may(home.ranksOfActor(call.actor), 'open')) return refuse(call, 'perm.denied')
  const { reason = '' } = call.d as CommandInput<'room.close'>
  home.change(call, () => {
    const closing = planClose(home, { reason, by: call.actor.userId, onClosed })
    if (!closing) refuse(call, 'room.bad_state', { msg: 'The room is closed.' })
    return closing
  })
}

interface Closing {
  reason: string
  by: string
  onClosed(): void
}

/** Undefined when the room is closed. */
function planClose(home: Home, { reason, by, onClosed }: Closing): PlannedChange | undefined {
  const { liveId, openedAt, ...rest } = home.info
  if (rest.state === 'closed' || liveId === undefined) return undefined
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
    events: [home.event('room.closed', { liveId, reason, stats }, { actor: by })],
    apply: () => {
      home.info = info
      for (const [userId, mute] of home.people.mutes) if (mute.untilAt === 0) home.people.mutes.delete(userId)
      onClosed()
    },
    reply: { liveId },
    touchesInfo: true,
  }
}

/** What an operator does about a room that must not go on: closed, emptied, and closed it stays until `restore`. */
export function takedown(home: Home, call: Call, onClosed: () => void): void {
  if (!may(home.ranksOfActor(call.actor), 'takedown')) return refuse(call, 'perm.denied')
  const { reason, caseId } = call.d as Pick<Takedown, 'reason' | 'caseId'>
  const by = call.actor.userId
  home.change(call, () => {
    if (home.takedown) return void refuse(call, 'room.bad_state', { msg: 'The room is taken down.' })
    const told = { reason, ...(caseId === undefined ? {} : { caseId }) }
    const takedown: Takedown = { ...told, by, at: home.now() }
    const closing = planClose(home, { reason: 'taken_down', by, onClosed })
    return {
      changes: [{ kind: 'takedown.put', takedown }, ...(closing?.changes ?? [])],
      events: [...(closing?.events ?? []), home.event('room.taken_down', told, { actor: by })],
      apply: () => {
        home.takedown = takedown
        closing?.apply?.()
      },
      kicks: () => viewers(home),
      touchesInfo: closing !== undefined,
    }
  })
}

/** Who may not be in a room that is taken down. */
function viewers(home: Home): string[] {
  const here = new Set([...home.presence.members.values()].map(({ userId }) => userId))
  return [...here].filter((userId) => !may(home.ranksOf(userId), 'enter_taken_down'))
}

export function restore(home: Home, call: Call): void {
  if (!may(home.ranksOfActor(call.actor), 'takedown')) return refuse(call, 'perm.denied')
  const by = call.actor.userId
  home.change(call, () => {
    if (!home.takedown) return void refuse(call, 'room.bad_state', { msg: 'The room is not taken down.' })
    return {
      changes: [{ kind: 'takedown.put', takedown: undefined }],
      events: [home.event('room.restored', { by }, { actor: by })],
      apply: () => {
        home.takedown = undefined
      },
    }
  })
}

/** For the admin API and plugins: the room as it is now. */
export function get(home: Home, call: Call): void {
  const { info, settings, totals, wall, takedown, presence, epoch } = home
  const maybe = { ...(wall ? { wall } : {}), ...(takedown ? { takedown } : {}) }
  accept(call, { room: info, settings, online: presence.online, totals: { ...totals }, epoch, ...maybe })
}
