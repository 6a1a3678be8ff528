import { expect, it } from 'vitest'
import { type Answer, type Call, refusal } from './call.ts'
import { Idempotency } from './idempotency.ts'

const dayMs = 86_400_000
function call(options: { ik: string; d?: unknown; user?: string; t?: string; at?: number }) {
  const answers: Answer[] = []
  const { ik, d = {}, user = 'ann', t = 'x', at = 0 } = options
  const actor = { userId: user, name: user, anonymous: false, scope: [] }
  const made: Call = { t, d, ik, actor, session: undefined, hops: 0, at, answer: (answer) => answers.push(answer) }
  return { made, answers }
}
const ran = (begun: Answer | Call): Call => {
  if ('ok' in begun) throw new Error('was not to be run')
  return begun
}
const done: Answer = { ok: true, d: { id: 1 } }

it('the first answer again, marked, and the first caller got it plain', () => {
  const keys = new Idempotency(10)
  const first = call({ ik: 'k' })
  ran(keys.begin(first.made)).answer(done)
  expect(first.answers).toEqual([done])
  expect(keys.begin(call({ ik: 'k' }).made)).toEqual({ ...done, replayed: true })
})

it('the order of fields is not the body; anything else is', () => {
  const keys = new Idempotency(10)
  ran(keys.begin(call({ ik: 'k', d: { a: 1, b: { c: [1, 2], d: undefined } } }).made)).answer(done)
  expect(keys.begin(call({ ik: 'k', d: { b: { c: [1, 2] }, a: 1 } }).made)).toMatchObject({ replayed: true })
  for (const d of [{ a: 1 }, { a: '1', b: { c: [1, 2] } }, { a: 1, b: { c: [2, 1] } }])
    expect(keys.begin(call({ ik: 'k', d }).made)).toMatchObject({ err: { code: 'idem.conflict' } })
})

it('belongs to one user and one command', () => {
  const keys = new Idempotency(10)
  ran(keys.begin(call({ ik: 'k' }).made)).answer(done)
  ran(keys.begin(call({ ik: 'k', user: 'bob' }).made))
  ran(keys.begin(call({ ik: 'k', t: 'y' }).made))
})

it('under way it says so; refused it may be tried again; after a day it is forgotten', () => {
  const keys = new Idempotency(10)
  const begun = ran(keys.begin(call({ ik: 'k' }).made))
  expect(keys.begin(call({ ik: 'k' }).made)).toMatchObject({ err: { code: 'idem.in_flight', retryAfterMs: expect.any(Number) } })
  begun.answer(refusal('rate.limited'))
  ran(keys.begin(call({ ik: 'k' }).made)).answer(done)
  expect(keys.begin(call({ ik: 'k', at: dayMs - 1 }).made)).toMatchObject({ replayed: true })
  ran(keys.begin(call({ ik: 'k', at: dayMs }).made))
})

it('is bounded: the oldest go, and are counted', () => {
  const keys = new Idempotency(3)
  for (let n = 0; n < 5; n++) ran(keys.begin(call({ ik: `k${n}` }).made)).answer(done)
  expect(keys.evicted).toBe(2)
  expect(keys.begin(call({ ik: 'k4' }).made)).toMatchObject({ replayed: true })
  ran(keys.begin(call({ ik: 'k0' }).made))
})

it('a refusal is not kept, but that a message is held is: it may still be shown', () => {
  const keys = new Idempotency(10)
  ran(keys.begin(call({ ik: 'denied' }).made)).answer(refusal('content.rejected'))
  ran(keys.begin(call({ ik: 'denied' }).made))
  ran(keys.begin(call({ ik: 'held' }).made)).answer(refusal('content.held', { d: { caseId: 'c1' } }))
  expect(keys.begin(call({ ik: 'held' }).made)).toMatchObject({ ok: false, err: { code: 'content.held', d: { caseId: 'c1' } } })
})
