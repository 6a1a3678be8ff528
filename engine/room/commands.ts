/**
 * Which code answers which command of a room: the table from names to `engine/live/` and the files beside this one.
 * A new command is a line here.
 */
import { Danmaku } from '../live/danmaku.ts'
import { Entries } from '../live/entries.ts'
import { Totals } from '../live/totals.ts'
import { Wall } from '../live/wall.ts'
import { type Call, refuse } from './call.ts'
import type { Home } from './home.ts'
import * as moderation from './moderation.ts'
import * as room from './room-commands.ts'

export type RunCommand = (call: Call) => void

/** From inside the engine only: never reachable from a client. */
export const resyncCommand = 'edge.resync'
export const getCommand = 'engine.room.get'

export function commandsOf(home: Home): RunCommand {
  const totals = new Totals(home)
  const danmaku = new Danmaku(home, () => totals.touch())
  const wall = new Wall(home)
  const entries = new Entries(home)
  for (const chore of [totals, wall, entries]) home.addChore(chore)

  const table: Record<string, RunCommand> = {
    'room.join': (call) => room.join(home, call, (source) => entries.joined(call, source)),
    'room.leave': (call) => room.leave(home, call),
    [getCommand]: (call) => room.get(home, call),
    [resyncCommand]: (call) => room.resync(home, call),
    'room.update': (call) => room.update(home, call),
    'room.open': (call) => room.open(home, call),
    'room.close': (call) => room.close(home, call),
    'room.set_settings': (call) => room.setSettings(home, call),
    'room.grant_role': (call) => moderation.setRole(home, call, true),
    'room.revoke_role': (call) => moderation.setRole(home, call, false),
    'room.mute': (call) => moderation.mute(home, call),
    'room.unmute': (call) => moderation.unmute(home, call),
    'room.kick': (call) => moderation.kick(home, call),
    'room.unban': (call) => moderation.unban(home, call),
    'room.list_restrictions': (call) => moderation.listRestrictions(home, call),
    'danmaku.send': (call) => danmaku.send(call),
    'danmaku.remove': (call) => danmaku.remove(call),
    'like.tap': (call) => totals.like(call),
    'share.report': (call) => totals.share(call),
    'wall.show': (call) => wall.show(call),
    'wall.hide': (call) => wall.hide(call),
  }
  const known = new Map(Object.entries(table))
  return (call) => {
    const handler = known.get(call.t)
    if (handler) home.run(call, handler)
    else refuse(call, 'request.unknown_command')
  }
}
