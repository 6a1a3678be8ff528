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
 *
 *     bus.publish(subjects.roomEvents('demo', 'danmaku.sent'), message)   // lh.evt.demo.danmaku.sent
 *     bus.subscribe('lh.evt.demo.>', handler)
 */
const idPattern = /^[A-Za-z0-9_-]{1,64}$/
/** Two to eight lower-case words: `danmaku.sent`, `room.user_joined`, `x.poll.opened`. */
const eventPattern = /^[a-z][a-z0-9_-]*(?:\.[a-z0-9_-]+){1,7}$/
const eventCharactersMax = 64

function roomToken(roomId: string): string {
  if (!idPattern.test(roomId)) throw new Error(`not an id for a subject: ${JSON.stringify(roomId).slice(0, 80)}`)
  return roomId
}

function eventTokens(event: string): string {
  if (event.length > eventCharactersMax || !eventPattern.test(event))
    throw new Error(`not an event name for a subject: ${JSON.stringify(event).slice(0, 80)}`)
  return event
}

export const subjects = {
  /** Commands to the home of a room. Throws on an id that is not `[A-Za-z0-9_-]{1,64}`. */
  roomCommand: (roomId: string): string => `lh.room.${roomToken(roomId)}.cmd`,
  /** Every room's commands: what a node with homes listens to. */
  anyRoomCommand: 'lh.room.*.cmd',
  /** Commands that concern no one room: `room.create`, `room.list`. */
  roomsCommand: 'lh.rooms.cmd',
  /** Frames of a room for its viewers. Throws on a bad id. */
  roomFrames: (roomId: string): string => `lh.room.${roomToken(roomId)}.frames`,
  /** One kind of committed event of a room; the dots of its name stay. Throws on a bad id or name. */
  roomEvents: (roomId: string, event: string): string => `lh.evt.${roomToken(roomId)}.${eventTokens(event)}`,
} as const
