import { describe, expect, test } from 'vitest'
import { events, idPattern, sessionEvents } from './messages.ts'
import { subjects } from './subjects.ts'

describe('subjects', () => {
  test('are built from checked ids', () => {
    expect(subjects.roomCommand('demo')).toBe('lh.room.demo.cmd')
    expect(subjects.roomFrames('A-b_9')).toBe('lh.room.A-b_9.frames')
    expect(subjects.roomEvents('demo', 'danmaku.sent')).toBe('lh.evt.demo.danmaku.sent')
    expect(subjects.roomEvents('demo', 'x.poll.opened')).toBe('lh.evt.demo.x.poll.opened')
    expect(subjects.userEvents('anon_a-1')).toBe('lh.user.anon_a-1.evt')
    expect(subjects.userClose('ann')).toBe('lh.user.ann.close')
  })

  test.each(['', ' ', 'a.b', '*', '>', 'a\n', 'a b', 'é', '$SYS', 'a'.repeat(65)])('refuse the id %j', (id) => {
    expect(new RegExp(idPattern).test(id)).toBe(false)
    for (const build of [
      subjects.userEvents,
      subjects.userClose,
      subjects.roomCommand,
      subjects.roomFrames,
      subjects.pluginHello,
      subjects.pluginAttach,
    ])
      expect(() => build(id)).toThrow('not an id')
    expect(() => subjects.roomEvents(id, 'danmaku.sent')).toThrow('not an id')
  })

  test.each(['', 'sent', '.', 'a..b', 'a.', '.a', 'a.*', 'a.>', 'a. b', 'A.b', `a.${'b'.repeat(64)}`])(
    'refuse the event %j',
    (name) => {
      expect(() => subjects.roomEvents('demo', name)).toThrow('not an event name')
    },
  )

  test('of a plugin name engine, plugin and instance', () => {
    expect(subjects.pluginHello('e-1')).toBe('lh.plugin.e-1.hello')
    expect(subjects.pluginUp('e-1', 'words', 'R_9')).toBe('lh.plugin.e-1.up.words.R_9')
    expect(subjects.pluginDown('e-1', 'words', 'R_9')).toBe('lh.plugin.e-1.down.words.R_9')
    expect(() => subjects.pluginUp('e', 'a.>', 'r')).toThrow('not an id')
    expect(() => subjects.pluginDown('e', 'a', '*')).toThrow('not an id')
    expect(subjects.engineEvents('plugin.attached')).toBe('lh.evt._engine.plugin.attached')
    expect(() => subjects.engineEvents('x')).toThrow('not an event name')
  })

  test('the pattern of all rooms takes no other subject', () => {
    expect(subjects.anyUserEvents).toBe(subjects.userEvents('a').replace('.a.', '.*.'))
    expect(subjects.anyUserClose).toBe(subjects.userClose('a').replace('.a.', '.*.'))
    expect(subjects.anyRoomCommand).toBe(subjects.roomCommand('a').replace('.a.', '.*.'))
    expect(subjects.roomsCommand.split('.')).toHaveLength(3)
  })

  test('take every event of the engine', () => {
    for (const name of [...Object.keys(events), ...Object.keys(sessionEvents)])
      expect(subjects.roomEvents('demo', name)).toBe(`lh.evt.demo.${name}`)
  })
})
