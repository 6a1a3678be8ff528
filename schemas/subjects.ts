/**
 * Every subject of the bus, in one place. Ids come from outside and become tokens of a subject: a dot, a space or a wildcard in one
 * would reach other rooms, so each id is checked here and nowhere is a subject put together by hand.
 *
 * | subject | carries | from, to |
 * |---|---|---|
 * | `lh.room.<room>.cmd` | one command, answered | edge to the home of the room |
 * | `lh.rooms.cmd` | one command that concerns no one room, answered | edge to a node with homes |
 * | `lh.room.<room>.frames` | frames of a tick for viewers | home to every edge with viewers of the room |
 * | `lh.evt.<room>.<event>` | one committed event | home to hooks and relays |
 * | `lh.user.<user>.evt` | one private event | whoever may, to every edge with sessions of the user |
 * | `lh.user.<user>.close` | the end of all sessions of a user | likewise |
 * | `lh.plugin.beacon` | an engine is there | engine to every plugin process, each second |
 * | `lh.plugin.seek` | a plugin process is new and waits for a beacon | plugin process to every engine |
 * | `lh.plugin.<engine>.hello`, `.attach` | the two steps of attaching, answered | plugin process to one engine |
 * | `lh.plugin.<engine>.up.<plugin>.<random>`, `.down.` | sealed messages of one instance | plugin process to engine, and back |
 *
 * `lh.evt._engine.<event>` is what happened in no room; JetStream keeps all of `lh.evt.>` in the stream `LH_EVENTS`.
 *
 *     bus.publish(subjects.roomEvents('demo', 'danmaku.sent'), message)   // lh.evt.demo.danmaku.sent
 *     bus.subscribe('lh.evt.demo.>', handler)
 */
const idPattern = /^[A-Za-z0-9_-]{1,64}$/
/** Two to eight lower-case words: `danmaku.sent`, `room.user_joined`, `x.poll.opened`. */
const eventPattern = /^[a-z][a-z0-9_-]*(?:\.[a-z0-9_-]+){1,7}$/
const eventCharactersMax = 64

function idToken(id: string): string {
  if (!idPattern.test(id)) throw new Error(`not an id for a subject: ${JSON.stringify(id).slice(0, 80)}`)
  return id
}

function eventTokens(event: string): string {
  if (!isEventName(event)) throw new Error(`not an event name for a subject: ${JSON.stringify(event).slice(0, 80)}`)
  return event
}

/** Whether a name may be that of an event. */
export const isEventName = (name: string): boolean => name.length <= eventCharactersMax && eventPattern.test(name)

export const subjects = {
  /** Commands to the home of a room. Throws on an id that is not `[A-Za-z0-9_-]{1,64}`. */
  roomCommand: (roomId: string): string => `lh.room.${idToken(roomId)}.cmd`,
  /** Every room's commands: what a node with homes listens to. */
  anyRoomCommand: 'lh.room.*.cmd',
  /** Gifts large enough to be shown in every open room. */
  worldBanner: 'lh.world.banner',
  /** Commands that concern no one room: `room.create`, `room.list`. */
  roomsCommand: 'lh.rooms.cmd',
  /** Frames of a room for its viewers. Throws on a bad id. */
  roomFrames: (roomId: string): string => `lh.room.${idToken(roomId)}.frames`,
  /** One kind of committed event of a room; the dots of its name stay. Throws on a bad id or name. */
  roomEvents: (roomId: string, event: string): string => `lh.evt.${idToken(roomId)}.${eventTokens(event)}`,
  /** A private event to all sessions of a user. Throws on a bad id. */
  userEvents: (userId: string): string => `lh.user.${idToken(userId)}.evt`,
  /** Private events of every user: what an edge listens to. */
  anyUserEvents: 'lh.user.*.evt',
  /** All sessions of a user end, and are told not to come back. Throws on a bad id. */
  userClose: (userId: string): string => `lh.user.${idToken(userId)}.close`,
  anyUserClose: 'lh.user.*.close',
  /** One kind of event that happened in no room. Throws on a bad name. */
  engineEvents: (event: string): string => `lh.evt._engine.${eventTokens(event)}`,
  anyEvents: 'lh.evt.>',
  pluginBeacon: 'lh.plugin.beacon',
  pluginSeek: 'lh.plugin.seek',
  /** Throws on a bad id, as do the next three. */
  pluginHello: (engineId: string): string => `lh.plugin.${idToken(engineId)}.hello`,
  pluginAttach: (engineId: string): string => `lh.plugin.${idToken(engineId)}.attach`,
  /** From a plugin's instance to the engine. */
  pluginUp: (engineId: string, plugin: string, random: string): string =>
    `lh.plugin.${idToken(engineId)}.up.${idToken(plugin)}.${idToken(random)}`,
  /** From the engine to a plugin's instance. */
  pluginDown: (engineId: string, plugin: string, random: string): string =>
    `lh.plugin.${idToken(engineId)}.down.${idToken(plugin)}.${idToken(random)}`,
} as const
