import { describe, expect, test } from 'vitest'
import { events, idPattern, sessionEvents } from './messages.ts'
import { subjects } from './subjects.ts'

describe('subjects', () => {
  test('are built from checked ids', () => {
    expect(subjects.roomCommand('demo')).toBe('lh.room.demo.cmd')
    expect(subjects.roomFrames('A-b_9')).toBe('lh.room.A-b_9.frames')
    expect(subjects.roomEvents('demo', 'danmaku.sent')).toBe('lh.evt.demo.danmaku.sent')
    expect(subjects.roomEvents('demo', 'x.poll.opened')).toBe('lh.evt.demo.x.poll.opened')
  })

  test.each(['', ' ', 'a.b', '*', '>', 'a\n', 'a b', 'é', '$SYS', 'a'.repeat(65)])('refuse the id %j', (id) => {
    expect(new RegExp(idPattern).test(id)).toBe(false)
    for (const build of [subjects.roomCommand, subjects.roomFrames]) expect(() => build(id)).toThrow('not an id')
    expect(() => subjects.roomEvents(id, 'danmaku.sent')).toThrow('not an id')
  })

  test.each(['', 'sent', '.', 'a..b', 'a.', '.a', 'a.*', 'a.>', 'a. b', 'A.b', `a.${'b'.repeat(64)}`])(
    'refuse the event %j',
    (name) => {
      expect(() => subjects.roomEvents('demo', name)).toThrow('not an event name')
    },
  )

  test('the pattern of all rooms takes no other subject', () => {
    expect(subjects.anyRoomCommand).toBe(subjects.roomCommand('a').replace('.a.', '.*.'))
    expect(subjects.roomsCommand.split('.')).toHaveLength(3)
  })

  test('take every event of the engine', () => {
    for (const name of [...Object.keys(events), ...Object.keys(sessionEvents)])
      expect(subjects.roomEvents('demo', name)).toBe(`lh.evt.demo.${name}`)
  })
})
