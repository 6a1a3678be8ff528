/** Every example in every place: in the engine's own thread, in a worker, and behind a NATS server. */
import { fileURLToPath } from 'node:url'
import { startNatsServer, startTestEngine, type TestClient, TestClock, type TestEngine } from 'livehouse/testing'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'

const places = ['inline', 'worker', 'remote'] as const
const file = (name: string) => fileURLToPath(new URL(`./${name}/plugin.ts`, import.meta.url))

let nats: Awaited<ReturnType<typeof startNatsServer>>
beforeAll(async () => {
  nats = await startNatsServer()
})
afterAll(() => nats.stop())

describe.each(places)('%s', (place) => {
  const clock = new TestClock()
  let engine: TestEngine

  const start = async (name: string, settings = {}) => {
    engine = await startTestEngine({ natsUrl: nats.url }, { clock, plugins: [{ file: file(name), place, settings }] })
  }
  afterEach(() => engine.stop())

  const enter = async (user: string, claims = {}): Promise<TestClient> => {
    const client = await engine.connect({ token: await engine.token(user, { name: user, ...claims }) })
    await client.ok('room.join', {}, 'demo')
    return client
  }

  describe('word-filter', () => {
    it('refuses, masks, and follows its settings', async () => {
      await start('word-filter', { refused: ['spam'], masked: ['darn'] })
      const ann = await enter('ann')
      expect(await ann.refused('danmaku.send', { text: 'S.P.A.M here' }, 'demo')).toMatchObject({ code: 'content.rejected' })
      expect(await ann.ok('danmaku.send', { text: 'darn it' }, 'demo')).toMatchObject({ text: '**** it' })

      await engine.plugins.configure('word-filter', { refused: [], quietly: true }, 'ops')
      await engine.settled()
      const bob = await enter('bob')
      expect(await bob.ok('danmaku.send', { text: 'spam is fine now' }, 'demo')).toMatchObject({ text: 'spam is fine now' })
      const { hooks } = await engine.plugin('word-filter')
      expect(hooks.find(({ kind }) => kind === 'guard')).toMatchObject({ calls: 3, policy: 0, verdicts: { deny: 1, allow: 2 } })
    })

    it('shows a refused danmaku to its sender alone when told to be quiet', async () => {
      await start('word-filter', { refused: ['spam'], quietly: true })
      const [ann, bob] = [await enter('ann'), await enter('bob')]
      await ann.ok('danmaku.send', { text: 'spam' }, 'demo')
      await bob.ok('danmaku.send', { text: 'hello' }, 'demo')
      expect((await ann.next('danmaku.sent')).d.text).toBe('spam')
      expect((await bob.next('danmaku.sent')).d.text).toBe('hello')
    })
  })

  describe('trivia', () => {
    const question = { question: 'Capital of France?', answer: 'Paris' }

    it('asks, tells late comers, takes the first right answer, counts', async () => {
      await start('trivia')
      const ops = await enter('ops', { scope: 'operator' })
      const ann = await enter('ann')
      expect(await ann.refused('x.trivia.start', question, 'demo')).toMatchObject({ code: 'perm.denied' })
      const { id } = await ops.ok('x.trivia.start', question, 'demo')
      expect((await ann.next('x.trivia.asked')).d).toMatchObject({ id, question: question.question })
      expect(await ops.refused('x.trivia.start', question, 'demo')).toMatchObject({ code: 'x.trivia.busy' })

      const late = await engine.connect({ token: await engine.token('late') })
      const snapshot = await late.ok('room.join', {}, 'demo')
      expect(snapshot.ext).toEqual([{ plugin: 'trivia', json: expect.stringContaining(question.question) }])

      expect(await ann.ok('x.trivia.answer', { text: 'Rome' }, 'demo')).toEqual({ right: false })
      const answers = await Promise.all([ann, late].map((one) => one.ok('x.trivia.answer', { text: 'paris!' }, 'demo')))
      expect(answers.filter(({ won }) => won)).toHaveLength(1)
      expect((await ops.next('x.trivia.won')).d).toMatchObject({ id, answer: 'Paris' })
      expect(await ann.refused('x.trivia.answer', { text: 'Paris' }, 'demo')).toMatchObject({ code: 'x.trivia.none' })
      expect(await ann.refused('x.trivia.answer', {}, 'demo')).toMatchObject({ code: 'request.invalid' })

      const { status, body } = await engine.admin('GET', '/trivia/scores/demo')
      expect([status, body.scores]).toEqual([200, [{ userId: expect.stringMatching(/ann|late/), points: 1 }]])
    })

    it('ends a question that nobody answers in time', async () => {
      await start('trivia', { seconds: 10 })
      const ops = await enter('ops', { scope: 'operator' })
      const { id } = await ops.ok('x.trivia.start', question, 'demo')
      await clock.advanceAsync(9_000)
      await engine.settled()
      expect(ops.of('x.trivia.ended')).toEqual([])
      await clock.advanceAsync(2_000)
      expect((await ops.next('x.trivia.ended')).d).toEqual({ id, answer: 'Paris' })
    })
  })

  describe('greeter', () => {
    it('greets who comes, and gives them a hint of their own', async () => {
      await start('greeter', { text: 'Hello {name}' })
      const ann = await enter('ann')
      const { d } = await ann.next('danmaku.sent')
      expect(d).toMatchObject({ text: 'Hello ann', from: { name: 'Greeter', bot: true } })
      expect((await ann.next('x.greeter.hinted')).d).toEqual({ text: 'Be kind. Danmaku fly for everybody.' })
      const bob = await enter('bob')
      await bob.next('x.greeter.hinted')
      await ann.roundTrip()
      expect(ann.of('x.greeter.hinted')).toHaveLength(1)
    })

    it('says once that the room is live', async () => {
      await start('greeter')
      const ops = await enter('ops', { scope: 'operator' })
      await ops.next('x.greeter.hinted')
      await ops.ok('room.close', {}, 'demo')
      await ops.ok('room.open', {}, 'demo')
      await ops.next(({ t, d }) => t === 'danmaku.sent' && d.text === 'We are live!')
      await engine.settled()
      expect((await engine.plugin('greeter')).events).toMatchObject({ lag: 0, retried: 0, dead: 0 })
    })
  })
})
