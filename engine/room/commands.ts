/**
 * Which code answers which command of a room: the table from names to `engine/live/` and the files beside this one.
 * A new command is a line here.
 */
import type { EventData } from '../../schemas/messages.ts'
import type { SfuEvent } from '../../schemas/sfu.ts'
import { Danmaku } from '../live/danmaku.ts'
import { Entries } from '../live/entries.ts'
import { Gifts } from '../live/gifts.ts'
import { Mic } from '../live/mic.ts'
import { broadcast } from '../live/plugin-events.ts'
import { Stream } from '../live/stream.ts'
import { StreamSignals } from '../live/stream-signals.ts'
import { Totals } from '../live/totals.ts'
import { Wall } from '../live/wall.ts'
import { Arrivals } from './arrivals.ts'
import { type Call, refuse } from './call.ts'
import type { Home } from './home.ts'
import type { HomeParts } from './home-parts.ts'
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
/** What the media node tells. */
export const mediaCommand = 'engine.media.event'
/** Of the HTTP side of media. */
export const signalCommands = {
  whip: 'edge.whip',
  whep: 'edge.whep',
  patch: 'edge.signal_patch',
  close: 'edge.signal_close',
} as const

export function commandsOf(home: Home): RunCommand {
  const totals = new Totals(home)
  const danmaku = new Danmaku(home, () => totals.touch())
  const wall = new Wall(home)
  const entries = new Entries(home)
  const gifts = new Gifts(home, home.parts.billing)
  const arrivals = new Arrivals(home, (call, source) => entries.joined(call, source))
  const stream = new Stream(home)
  const mic = new Mic(home, stream)
  stream.publishing.seats = mic
  const onClosed = () => {
    mic.closed()
    danmaku.held.rejectAll('The live is over.')
    stream.closed()
  }
  // A guest leaves the mic before their media ends: they are not only lost.
  for (const chore of [totals, wall, entries, danmaku.held, gifts, mic, stream]) home.addChore(chore)

  const table: Record<string, RunCommand> = {
    'room.join': (call) => arrivals.join(call),
    'room.leave': (call) => arrivals.leave(call),
    [getCommand]: (call) => room.get(home, call),
    [resyncCommand]: (call) => arrivals.resync(call),
    'room.update': (call) => room.update(home, call),
    'room.open': (call) => room.open(home, call),
    'room.close': (call) => room.close(home, call, onClosed),
    'room.set_settings': (call) => room.setSettings(home, call, () => mic.settingsChanged(call)),
    'room.grant_role': (call) => moderation.setRole(home, call, true),
    'room.revoke_role': (call) => moderation.setRole(home, call, false),
    'room.mute': (call) => moderation.mute(home, call, (userId) => mic.muted(userId, call.actor.userId)),
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
    ...streamCommands(home, stream),
    ...micCommands(mic),
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

function streamCommands(home: Home, stream: Stream): Record<string, RunCommand> {
  const signals = new StreamSignals(home, stream)
  return {
    'stream.get_capabilities': (call) => stream.capabilities(call),
    'stream.create_transport': (call) => stream.createTransport(call),
    'stream.connect_transport': (call) => stream.connectTransport(call),
    'stream.restart_ice': (call) => stream.restartIce(call),
    'stream.publish': (call) => stream.publish(call),
    'stream.unpublish': (call) => stream.unpublish(call),
    'stream.play': (call) => stream.play(call),
    'stream.resume_play': (call) => stream.consumer(call, 'consumer.resume'),
    'stream.pause_play': (call) => stream.consumer(call, 'consumer.pause'),
    'stream.stop_play': (call) => stream.stopPlay(call),
    'stream.set_layers': (call) => stream.setLayers(call),
    'stream.switch_line': (call) => stream.switchLine(call),
    'stream.select_source': (call) => stream.selectSource(call),
    'stream.open_ingest': (call) => stream.publishing.openIngest(call),
    'stream.report_qos': (call) => stream.reportQos(call),
    'stream.stop': (call) => stream.stop(call),
    [mediaCommand]: (call) => stream.onMedia(call.d as SfuEvent),
    [signalCommands.whip]: (call) => signals.whip(call),
    [signalCommands.whep]: (call) => signals.whep(call),
    [signalCommands.patch]: (call) => signals.patch(call),
    [signalCommands.close]: (call) => signals.end(call),
    ...forEngine(home, {
      'engine.stream.get': (call) => stream.describe(call),
      'engine.stream.cut': (call) => stream.cut(call),
      'engine.stream.degrade': (call) => stream.degrade(call),
      'engine.stream.switch_line': (call) => stream.switchLine(call),
    }),
  }
}

function micCommands(mic: Mic): Record<string, RunCommand> {
  return {
    'mic.apply': (call) => mic.apply(call),
    'mic.cancel': (call) => mic.cancel(call),
    'mic.list': (call) => mic.list(call),
    'mic.invite': (call) => mic.invite(call),
    'mic.accept': (call) => mic.accept(call),
    'mic.reject': (call) => mic.reject(call),
    'mic.join': (call) => mic.join(call),
    'mic.leave': (call) => mic.leave(call),
    'mic.move': (call) => mic.move(call),
    'mic.mute_seat': (call) => mic.mute(call, true),
    'mic.unmute_seat': (call) => mic.mute(call, false),
    'mic.lock_seat': (call) => mic.lock(call, true),
    'mic.unlock_seat': (call) => mic.lock(call, false),
    'mic.drop': (call) => mic.drop(call),
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
