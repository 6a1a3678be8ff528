/** What the compiler holds a plugin to. `npm run check` fails when a line below compiles that must not, or stops compiling that must. */
import { expect, expectTypeOf, test } from 'vitest'
import { allow, definePlugin, deny, shadow, Type } from './index.ts'

const guard = { order: 1, budgetMs: 50, onFailure: 'open' as const }
const base = { name: 'words', version: '1.0.0' }

test('settings, bodies of commands and events are known without being named', () => {
  const plugin = definePlugin({
    ...base,
    settings: Type.Object({ words: Type.Array(Type.String(), { default: [] }), max: Type.Integer({ default: 3 }) }),
    emits: { 'x.words.said': { lane: 'normal', d: Type.Object({ n: Type.Integer() }) } },
    guards: {
      'danmaku.send': {
        ...guard,
        run({ d, from, room }, { settings }) {
          expectTypeOf(settings.words).toEqualTypeOf<string[]>()
          expectTypeOf(settings.max).toEqualTypeOf<number>()
          expectTypeOf([d.text, from.userId, room]).toEqualTypeOf<string[]>()
          return settings.words.includes(d.text) ? deny('x.words.no') : shadow
        },
      },
    },
    commands: {
      'x.words.add': {
        d: Type.Object({ word: Type.String(), times: Type.Optional(Type.Integer()) }),
        budgetMs: 100,
        async run({ d, ik }, ctx) {
          expectTypeOf(d.word).toEqualTypeOf<string>()
          expectTypeOf(d.times).toEqualTypeOf<number | undefined>()
          expectTypeOf(ik).toEqualTypeOf<string | undefined>()
          await ctx.room.broadcast('demo', 'x.words.said', { n: 1 })
          // @ts-expect-error not among the emits
          await ctx.room.broadcast('demo', 'x.words.unknown', { n: 1 })
          // @ts-expect-error the body is another
          await ctx.room.broadcast('demo', 'x.words.said', { n: 'one' })
          // @ts-expect-error no such setting
          return { word: d.word, more: ctx.settings.unknown }
        },
      },
      'x.words.drop': {
        d: Type.Object({ id: Type.Integer() }),
        budgetMs: 100,
        // @ts-expect-error the body of the other command
        run: ({ d }) => ({ word: d.word }),
      },
    },
    events: {
      'wall.shown': {
        run: ({ d }, { settings }) => expectTypeOf([d.item.text, settings.words[0]]).toEqualTypeOf<(string | undefined)[]>(),
      },
      'plugin.degraded': { run: ({ d }) => expectTypeOf(d.reason).toEqualTypeOf<string>() },
    },
  })
  expect(plugin.name).toBe('words')
})

test('the compiler refuses', () => {
  const refused = () => [
    // @ts-expect-error an unknown guard
    definePlugin({ ...base, guards: { 'danmaku.shout': { ...guard, run: () => allow } } }),
    // @ts-expect-error no failure policy
    definePlugin({ ...base, guards: { 'danmaku.send': { order: 1, budgetMs: 50, run: () => allow } } }),
    // @ts-expect-error nothing to shadow in a join
    definePlugin({ ...base, guards: { 'room.join': { ...guard, run: () => shadow } } }),
    // @ts-expect-error no verdict
    definePlugin({ ...base, guards: { 'danmaku.send': { ...guard, run: () => true } } }),
    // @ts-expect-error a promise of no verdict
    definePlugin({ ...base, guards: { 'danmaku.send': { ...guard, run: async () => 'allow' } } }),
    // @ts-expect-error a field of another type
    definePlugin({ ...base, transforms: { 'danmaku.send': { order: 1, budgetMs: 50, run: () => ({ color: 'red' }) } } }),
    // @ts-expect-error a field that may not be changed
    definePlugin({ ...base, transforms: { 'danmaku.send': { order: 1, budgetMs: 50, run: () => ({ from: 'mallory' }) } } }),
    // @ts-expect-error a command that cannot be transformed
    definePlugin({ ...base, transforms: { 'wall.show': { order: 1, budgetMs: 50, run: () => ({}) } } }),
    // @ts-expect-error an unknown event
    definePlugin({ ...base, events: { 'danmaku.thought': { run() {} } } }),
    // @ts-expect-error an unknown call
    definePlugin({ ...base, calls: ['engine.everything'] }),
    // @ts-expect-error an unknown lane
    definePlugin({ ...base, emits: { 'x.words.said': { lane: 'highest', d: Type.Object({}) } } }),
    // @ts-expect-error a charge of what costs nothing
    definePlugin({ ...base, charges: { 'danmaku.send': { budgetMs: 50, run: () => deny('x.words.no') } } }),
    // @ts-expect-error no such part of a plugin
    definePlugin({ ...base, guard: {} }),
  ]
  expect(refused).toBeTypeOf('function')
})
