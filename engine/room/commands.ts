/**
 * Which code answers which command of a room: the table from names to `engine/live/` and the files beside this one.
 * A new command is a line here.
 */
import type { EventData } from '../../schemas/messages.ts'
import { Danmaku } from '../live/danmaku.ts'
import { Entries } from '../live/entries.ts'
import { Gifts } from '../live/gifts.ts'
import { broadcast } from '../live/plugin-events.ts'
import { Totals } from '../live/totals.ts'
import { Wall } from '../live/wall.ts'
import { Arrivals } from './arrivals.ts'
import { type Call, refuse } from './call.ts'
import type { Home, HomeParts } from './home.ts'
import * as moderation from './moderation.ts'
import { may } from './rights.ts'
import * as room from './room-commands.ts'

export type RunCommand = (call: Call) => void

/** What the edge must know of a command that a plugin owns; its fields are checked where the plugin runs. */
export interface PluginCommand {
  /** It concerns one room, named in the envelope. */
  room: boolean
  who: 'anyone' | 'user'
  /** The session must have joined that room. */
  joined: boolean
}

/**
 * The commands that plugins own. A name of the engine itself (`commands`, `engine.*`, `edge.*`) and one that has a message in
 * livehouse.proto (`codecOf`) is never among them: clients would write its body as that message.
 */
export interface PluginCommands {
  find(name: string): PluginCommand | undefined
  names(): Iterable<string>
  /** Answers the call exactly once, within `requestTimeoutMs`. `home`: that of the room, for commands with `room`. */
  run(call: Call, home: Home | undefined): void
}

export const noPluginCommands: PluginCommands = {
  find: () => undefined,
  names: () => [],
  run: (call) => refuse(call, 'request.unknown_command'),
}

/** From inside the engine only: never reachable from a client. */
export const resyncCommand = 'edge.resync'
export const getCommand = 'engine.room.get'
/** A large gift in another room. */
export const bannerCommand = 'engine.world.banner'

export function commandsOf(home: Home): RunCommand {
  const totals = new Totals(home)
  const danmaku = new Danmaku(home, () => totals.touch())
  const wall = new Wall(home)
  const entries = new Entries(home)
  const gifts = new Gifts(home, home.parts.billing)
  const arrivals = new Arrivals(home, (call, source) => entries.joined(call, source))
  const onClosed = () => danmaku.held.rejectAll('The live is over.')
  for (const chore of [totals, wall, entries, danmaku.held, gifts]) home.addChore(chore)

  const table: Record<string, RunCommand> = {
    'room.join': (call) => arrivals.join(call),
    'room.leave': (call) => arrivals.leave(call),
    [getCommand]: (call) => room.get(home, call),
    [resyncCommand]: (call) => arrivals.resync(call),
    'room.update': (call) => room.update(home, call),
    'room.open': (call) => room.open(home, call),
    'room.close': (call) => room.close(home, call, onClosed),
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
    'gift.send': (call) => gifts.send(call),
    'gift.list': (call) => gifts.list(call),
    'rank.get': (call) => gifts.rank(call),
    [bannerCommand]: (call) => gifts.showBanner(call.d as EventData<'world.gift_banner'>),
    // Of plugins and operators, never of a client: the edge knows no such names.
    'engine.room.takedown': (call) => room.takedown(home, call, onClosed),
    'engine.room.restore': (call) => room.restore(home, call),
    ...forEngine(home, {
      'engine.room.broadcast': (call) => broadcast(home, call),
      'engine.danmaku.post': (call) => danmaku.post(call),
      'engine.message.remove': (call) => danmaku.removeMany(call),
      'engine.message.release': (call) => danmaku.release(call),
      'engine.message.reject': (call) => danmaku.reject(call),
    }),
  }
  const known = new Map(Object.entries(table))
  return (call) => {
    const handler = known.get(call.t)
    if (handler) home.run(call, handler)
    else if (home.parts.plugins.find(call.t)?.room === true) home.run(call, (once) => runOwned(once, home.parts, home))
    else refuse(call, 'request.unknown_command')
  }
}

function forEngine(home: Home, table: Record<string, RunCommand>): Record<string, RunCommand> {
  const guarded = (run: RunCommand) => (call: Call) =>
    may(home.ranksOfActor(call.actor), 'act_as_engine') ? run(call) : refuse(call, 'perm.denied')
  return Object.fromEntries(Object.entries(table).map(([name, run]) => [name, guarded(run)]))
}

/** A command of a plugin; a fault in getting it there is answered too, so that its key is not in flight for ever. */
export function runOwned(call: Call, { plugins, onError }: Pick<HomeParts, 'plugins' | 'onError'>, home?: Home): void {
  try {
    plugins.run(call, home)
  } catch (error) {
    onError(error, home?.id ?? call.t)
    refuse(call, 'plugin.failed')
  }
}
