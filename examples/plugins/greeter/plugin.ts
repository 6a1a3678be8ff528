/**
 * A bot that greets: a danmaku for everybody who comes for the first time, with a private hint that they alone see, and a word when the
 * room opens.
 *
 * It shows both kinds of events. `room.user_joined` is told as it happens, once or not at all: fine for a greeting. `room.opened` comes
 * from the room log, at least once: what was done is remembered by `eid`, so that a second delivery says nothing twice.
 */
import { definePlugin, Type } from 'livehouse/plugin'

const bot = { botId: 'greeter', name: 'Greeter' }
const rememberedMax = 10_000
const done = new Set<string>()

/** In memory, the oldest forgotten first: after a restart somebody may be greeted twice, and nobody minds. */
function isFirst(key: string): boolean {
  if (done.has(key)) return false
  const [oldest] = done
  if (done.size >= rememberedMax && oldest !== undefined) done.delete(oldest)
  done.add(key)
  return true
}

export default definePlugin({
  name: 'greeter',
  version: '1.0.0',
  description: 'Greets whoever comes in for the first time.',
  settings: Type.Object({
    text: Type.String({ default: 'Welcome, {name}!', maxLength: 100, description: '{name} is who came.' }),
    hint: Type.String({ default: 'Be kind. Danmaku fly for everybody.', maxLength: 200 }),
  }),
  calls: ['engine.danmaku.post', 'engine.user.notify'],
  emits: { 'x.greeter.hinted': { lane: 'normal', d: Type.Object({ text: Type.String() }) } },

  events: {
    'room.user_joined': {
      async run({ room, d: { user } }, { danmaku, user: users, settings }) {
        if (!isFirst(`${room} ${user.id}`)) return
        await danmaku.post(room, { ...bot, text: settings.text.replace('{name}', () => user.name) })
        await users.notify(user.id, 'x.greeter.hinted', { text: settings.hint })
      },
    },
    'room.opened': {
      async run({ room, eid }, { danmaku }) {
        if (!isFirst(eid)) return
        await danmaku.post(room, { ...bot, text: 'We are live!' })
      },
    },
  },
})
