import { expect, it } from 'vitest'
import { check, checkOwned, isCommand, nearestCommand } from './validate.ts'

it('keeps the fields of the schema and leaves others out', () => {
  const d = JSON.parse('{"text":"x","extra":1,"__proto__":{"color":5},"constructor":2}')
  expect(check('danmaku.send', d)).toEqual({ ok: true, d: { text: 'x' } })
  expect(check('danmaku.send', {})).toEqual({ ok: true, d: {} })
})

it('names the field that is wrong, and an unknown one where none is allowed', () => {
  expect(check('danmaku.send', { text: 5 })).toMatchObject({ ok: false, detail: { d: { field: 'text' } } })
  expect(check('room.join', { resume: { epoch: 1, seq: 'x' } })).toMatchObject({
    ok: false,
    detail: { d: { field: 'resume.seq' } },
  })
  expect(check('room.set_settings', { godMode: true })).toMatchObject({ ok: false, detail: { d: { field: 'godMode' } } })
  for (const d of [null, [], 'x', 5, true]) expect(check('danmaku.send', d), JSON.stringify(d)).toMatchObject({ ok: false })
})

it('a field may not be inherited', () => {
  expect(check('room.mute', Object.create({ userId: 'a', durationMs: 0 }))).toMatchObject({ ok: false })
})

it('knows its commands alone', () => {
  expect(isCommand('danmaku.send')).toBe(true)
  for (const name of ['toString', '__proto__', 'constructor', 'edge.resync', '']) expect(isCommand(name), name).toBe(false)
  expect(nearestCommand('room.jion')).toBe('room.join')
  expect(nearestCommand('x.poll.vot', ['x.poll.vote'])).toBe('x.poll.vote')
})

it('takes any object for a plugin, but none that could change a prototype', () => {
  for (const d of [{}, { a: [null, { b: 'c' }] }, JSON.parse('{"constructor":1,"toString":{}}')])
    expect(checkOwned(d)).toEqual({ ok: true })
  for (const d of [null, [], 'x', 5, true, JSON.parse('{"a":[{"__proto__":{}}]}'), JSON.parse('{"\\u005f_proto__":1}')])
    expect(checkOwned(d), JSON.stringify(d)).toMatchObject({ ok: false })
})
