/** What each engine command does for a plugin that was granted it, for the reference and for whoever asks the operator to approve. */
import type { EngineCallName } from '../define.ts'

export const engineCallDocs: Readonly<Record<EngineCallName, string>> = {
  'engine.room.get': 'A room with settings, viewers and totals (`ctx.room.get`).',
  'engine.room.list_online': 'The open rooms with the most viewers, at most 100 (`ctx.room.listOnline`).',
  'engine.counter.get': 'Totals and viewers of a room (`ctx.room.counters`).',
  'engine.room.update': 'Change title, intro, theme, category or cover (`ctx.room.update`).',
  'engine.room.set_settings': 'Turn switches of a room (`ctx.room.setSettings`).',
  'engine.room.takedown': 'End the live, send everybody out and keep the room closed (`ctx.room.takedown`).',
  'engine.room.restore': 'Let a room that was taken down open again (`ctx.room.restore`).',
  'engine.user.notify': 'A private event to every session of a user (`ctx.user.notify`).',
  'engine.user.mute': 'Mute a user in a room (`ctx.user.mute`).',
  'engine.user.kick': 'Remove a user from a room, and keep them out (`ctx.user.kick`).',
  'engine.session.close': 'End every connection of a user (`ctx.user.closeSessions`).',
  'engine.danmaku.post': 'A danmaku by a bot (`ctx.danmaku.post`).',
  'engine.message.remove': 'Remove messages of a room (`ctx.message.remove`).',
  'engine.message.release': 'Show a message that was held (`ctx.message.release`).',
  'engine.message.reject': 'Refuse a message that was held (`ctx.message.reject`).',
  'engine.wall.show': 'Pin a text to the wall of a room (`ctx.wall.show`).',
  'engine.stream.cut': 'End picture and sound of a room at once, and let nobody go live there for a while (`ctx.stream.cut`).',
  'engine.stream.degrade': 'Send viewers of a room fewer layers, down to sound alone (`ctx.stream.degrade`).',
  'engine.mic.drop': 'Take a guest off the mic (`ctx.mic.drop`).',
  'engine.stream.switch_line': 'Show the other line of a room (`ctx.stream.switchLine`).',
  'engine.pay.create': 'Ask a payment provider for a checkout, for the user whose command this is (`ctx.pay.create`).',
}

/** What a call of a plugin can be refused with, beside the codes of commands and of its database. */
export const callErrors = {
  'call.unknown': 'The engine has no such call.',
  'call.undeclared': 'The plugin does not name it in `calls`, or the event in `emits`.',
  'call.not_granted': 'The operator has not granted it.',
  'call.too_deep': 'More than four plugins react to one another: the chain ends here.',
  'call.too_large': 'The question or the answer is larger than a message may be.',
} as const

/** What a remote plugin can be turned away with when it attaches; its author sees it in the plugin's log. */
export const attachErrors = {
  'plugin.name': 'The manifest is that of another plugin than the token.',
  'plugin.full': 'As many instances are attached as an engine takes.',
  'plugin.bad_manifest': 'What the plugin declares cannot be.',
  'plugin.version': 'It was made for hooks of a version that this engine does not serve.',
  'plugin.exists': 'The name, or a domain that it asks for, belongs to another plugin.',
  'plugin.disabled': 'The operator disabled it.',
  'plugin.bad_state': 'A newer version is attached and healthy.',
  'plugin.too_many': 'A bound is reached: plugins, hooks, instances, or those that wait for approval.',
  'plugin.failed': 'The engine failed; it is logged there.',
} as const
