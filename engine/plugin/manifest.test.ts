import { Type } from '@sinclair/typebox'
import { expect, test } from 'vitest'
import { type AnyPlugin, definePlugin } from './define.ts'
import { allow } from './hooks.ts'
import { beyondGrant, checkManifest, grantOf, type ManifestShape, manifestHash, manifestOf } from './manifest.ts'

const guard = { order: 1, budgetMs: 50, onFailure: 'open' as const, run: () => allow }
const manifest = (more: Partial<AnyPlugin> = {}): ManifestShape =>
  manifestOf(definePlugin({ name: 'words', version: '1.0.0', guards: { 'danmaku.send': guard }, ...more } as AnyPlugin), '0.1.0')
/** As it may come from a plugin that was compiled against anything. */
const foreign = (more: object) => () => checkManifest({ ...JSON.parse(JSON.stringify(manifest())), ...more })
const hook = (more: object) => foreign({ hooks: [{ ...manifest().hooks[0], ...more }] })

test.each<[string, () => unknown, RegExp]>([
  ['a name of the engine', foreign({ name: 'rooms' }), /name of the engine/],
  ['a bad name', foreign({ name: 'Words!' }), /^name/],
  ['a bad version', foreign({ version: '1.0' }), /^version/],
  ['an unknown field', foreign({ more: 1 }), /more/],
  ['an unknown hook', hook({ on: 'danmaku.shout' }), /there is no hook guard danmaku.shout/],
  ['a hook of Object', hook({ on: 'toString' }), /there is no hook/],
  ['an unknown kind', hook({ kind: 'spell' }), /hooks.0/],
  ['no failure policy', hook({ onFailure: undefined }), /onFailure/],
  ['a budget beyond the bound', hook({ budgetMs: 1_001 }), /budgetMs/],
  ['another major', hook({ v: 2 }), /@2: this engine serves @1/],
  ['a hook twice', foreign({ hooks: [manifest().hooks[0], manifest().hooks[0]] }), /stands twice/],
  ['an unknown call', foreign({ calls: ['engine.everything'] }), /not a call of the engine/],
  ['an event of another plugin', foreign({ emits: [{ t: 'x.other.said', lane: 'low', d: {} }] }), /own events/],
  ['an event of the engine', foreign({ emits: [{ t: 'danmaku.sent', lane: 'low', d: {} }] }), /own events/],
  ['a setting without a default', () => manifest({ settings: Type.Object({ key: Type.String() }) }), /settings.key.*default/],
  ['nothing', () => checkManifest(undefined), /./],
  ['a list', () => checkManifest([]), /./],
])('%s is refused', (_, make, message) => {
  expect(make).toThrow(message)
})

test('the same plugin has the same hash, another another', () => {
  expect(manifestHash(manifest())).toBe(manifestHash(manifest()))
  expect(manifestHash(manifest({ version: '1.0.1' }))).not.toBe(manifestHash(manifest()))
})

test('what goes beyond a grant: calls, hooks and high events, not schedules', () => {
  const grant = grantOf(manifest())
  expect(beyondGrant(manifest({ version: '2.0.0', schedules: { tick: { everyMs: 1_000, run() {} } } }), grant)).toEqual([])
  const more = manifest({
    calls: ['engine.user.mute'],
    guards: { 'danmaku.send': guard, 'room.join': guard },
    emits: { 'x.words.loud': { lane: 'high', d: Type.Object({}) }, 'x.words.said': { lane: 'low', d: Type.Object({}) } },
  } as Partial<AnyPlugin>)
  expect(beyondGrant(more, grant)).toEqual(['engine.user.mute', 'guard room.join open', 'high x.words.loud'])
  expect(beyondGrant(manifest(), grantOf(more))).toEqual([])
})

test('opening or dropping a closed guard is for the operator to decide; a shorter budget is not', () => {
  const run = () => allow
  const of = (guards: NonNullable<AnyPlugin['guards']>) => manifestOf({ name: 'words', version: '1.0.0', guards }, '0')
  const closed = { order: 1, budgetMs: 50, onFailure: 'closed' as const, run }
  const grant = grantOf(of({ 'danmaku.send': closed }))
  expect(beyondGrant(of({ 'danmaku.send': { ...closed, budgetMs: 20 } }), grant)).toEqual([])
  expect(beyondGrant(of({}), grant)).toEqual(['without guard danmaku.send closed'])
  expect(beyondGrant(of({ 'danmaku.send': { ...closed, onFailure: 'open' } }), grant)).toEqual([
    'without guard danmaku.send closed',
    'guard danmaku.send open',
  ])
})
