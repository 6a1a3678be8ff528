/** Every schema compiles to a check, and the checks hold their bounds. */
import { type TypeCheck, TypeCompiler } from '@sinclair/typebox/compiler'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { arbitraryOf } from './arbitrary.ts'
import { currentEnvelopes } from './golden/samples.ts'
import { type CommandName, commands, events, lanes, sessionEvents } from './messages.ts'
import { decodeRequestsProto, encodeRequest } from './wire.ts'

const commandNames = Object.keys(commands) as CommandName[]
const inputOf = (name: CommandName): TypeCheck<(typeof commands)[CommandName]['d']> => TypeCompiler.Compile(commands[name].d)
const samples = currentEnvelopes('requests')

describe('commands', () => {
  test.each(commandNames)('%s: what its schema makes is what its check takes, before and after protobuf', (name) => {
    const input = inputOf(name)
    const reply = TypeCompiler.Compile(commands[name].reply as (typeof commands)['room.join']['reply'])
    fc.assert(
      fc.property(arbitraryOf(commands[name].d), arbitraryOf(commands[name].reply), (d, answer) => {
        fc.pre(!commands[name].d.minProperties || Object.keys(d as object).length > 0)
        expect(input.Check(d)).toBe(true)
        const [request] = decodeRequestsProto(encodeRequest('proto', { id: '1', t: name, d }) as Uint8Array, 1, 8)
        expect(input.Check(request?.d)).toBe(true)
        expect(reply.Check(answer)).toBe(true)
      }),
      { numRuns: 30 },
    )
  })

  test.each(commandNames)('%s: takes its sample, and no other kind of value in any field', (name) => {
    const input = inputOf(name)
    const sample = (samples[name] as { full: { d: Record<string, unknown> } }).full.d
    expect(input.Check(sample)).toBe(true)
    for (const field of Object.keys(sample))
      for (const wrong of [null, [], {}, Number.NaN, 1.5, 2 ** 53, 'x'.repeat(20_000)])
        expect(input.Check({ ...sample, [field]: wrong }), `${name}.${field} = ${JSON.stringify(wrong)}`).toBe(false)
    for (const wrong of [null, [], 'a', 1]) expect(input.Check(wrong)).toBe(false)
  })

  test.each([
    ['danmaku.send', { mode: 'sideways' }],
    ['danmaku.send', { mode: 'top\n' }],
    ['danmaku.send', { color: 0x1000000 }],
    ['danmaku.send', { color: -1 }],
    ['danmaku.send', { replyTo: 'a.b' }],
    ['room.join', { resume: { epoch: -1, seq: 0 } }],
    ['room.grant_role', { userId: 'a', role: 'owner' }],
    ['room.mute', { userId: 'a', durationMs: -2 }],
    ['room.mute', { userId: 'a b', durationMs: 0 }],
    ['room.set_settings', {}],
    ['room.set_settings', { slowModeMs: 120_001 }],
    ['room.set_settings', { unknown: true }],
    ['room.update', {}],
    ['room.update', { title: '' }],
    ['room.create', { title: 'a', roomId: 'a'.repeat(65) }],
    ['like.tap', { n: 0 }],
    ['like.tap', { n: 31 }],
    ['wall.show', { text: 'a', showMs: 999 }],
    ['session.renew', {}],
  ] as [CommandName, unknown][])('%s refuses %j', (name, d) => {
    expect(inputOf(name).Check(d)).toBe(false)
  })
})

test('every event compiles and has a lane', () => {
  for (const { lane, d } of Object.values(events)) {
    expect(lanes).toContain(lane)
    TypeCompiler.Compile(d as (typeof events)['danmaku.sent']['d'])
  }
  for (const d of Object.values(sessionEvents)) TypeCompiler.Compile(d as (typeof sessionEvents)['room.lagging'])
})
