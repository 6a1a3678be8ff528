import { expect, it } from 'vitest'
import { decodeServerFrame } from '../../schemas/wire.ts'
import { addCounts, DeliveryAccounts, imbalance, newAccount } from './account.ts'
import { RoomEvent } from './event.ts'
import { buildFrames, frameParts, type PartsByEncoding } from './frames.ts'

let seq = 0
function danmaku(text: string, options: { from?: string; to?: string; only?: string; preferred?: boolean } = {}) {
  const { from = 'crowd' } = options
  const d = { id: text, from: { id: from, name: from }, text, mode: 'scroll' as const, color: 1, size: 'm' as const }
  const event = RoomEvent.of('r', 'danmaku.sent', d, { eid: text, at: 1, from, ...options })
  event.seq = ++seq
  return event
}
function title(text: string) {
  const event = RoomEvent.of('r', 'room.updated', { patch: { title: text }, version: 1, by: 'x' }, { eid: text, at: 1 })
  event.seq = ++seq
  return event
}
const build = (committed: RoomEvent[], sampled: RoomEvent[], options: { here?: string[]; frameBytesMax?: number } = {}) =>
  buildFrames({
    committed,
    sampled: new Set(sampled),
    isPresent: (userId) => (options.here ?? ['ann', 'troll', 'bob']).includes(userId),
    encodings: ['json', 'proto'],
    frameBytesMax: options.frameBytesMax ?? 65_536,
    highEventsMax: 200,
  })

/** What a reader of these parts sees, the same in both encodings. */
function seen(parts: readonly Uint8Array[], ranges: PartsByEncoding): string[] {
  const texts = (['json', 'proto'] as const).map((encoding) => {
    const [from, to] = ranges[encoding] ?? [0, 0]
    return parts.slice(from, to).flatMap((part) =>
      decodeServerFrame(encoding === 'json' ? Buffer.from(part).toString() : part).map((message) => {
        const { d } = message as { d: { text?: string; patch?: { title: string } } }
        return d.text ?? d.patch?.title ?? ''
      }),
    )
  })
  expect(texts[0]).toEqual(texts[1])
  return texts[0] as string[]
}

it('full has what everybody gets, lean the high lane, personal what is one’s own, all in seq order', () => {
  const [a, b, own, t, shadow, reply] = [
    danmaku('a'),
    danmaku('b'),
    danmaku('own', { from: 'ann' }),
    title('t'),
    danmaku('shadow', { from: 'troll', only: 'troll' }),
    danmaku('reply', { from: 'crowd', to: 'bob' }),
  ] as const
  const { full, lean, personal, parts, events } = build([a, b, own, t, shadow, reply], [a, b])
  expect(seen(parts, full.parts)).toEqual(['a', 'b', 't'])
  expect(seen(parts, lean.parts)).toEqual(['t'])
  expect(events).toEqual([1, 4, 0])
  const of = (userId: string) => personal.find((one) => one.userId === userId)
  // One's own takes the place of a sampled one: the cap holds for this client too.
  expect(seen(parts, of('ann')?.parts ?? {})).toEqual(['a', 'own', 't'])
  expect(seen(parts, of('troll')?.parts ?? {})).toEqual(['a', 't', 'shadow'])
  expect(seen(parts, of('bob')?.parts ?? {})).toEqual(['a', 't', 'reply'])
  expect(of('troll')).toMatchObject({ own: [0, 1, 0], counts: [1, 2, 0] })
  expect(of('ann')).toMatchObject({ own: [0, 0, 0], counts: [1, 2, 0] })
})

it('who is not here gets no frame, and who has nothing of their own gets the common one', () => {
  const events = [danmaku('a', { from: 'gone' }), danmaku('b', { from: 'ann' })]
  expect(build(events, events).personal).toEqual([])
  expect(build(events, []).personal.map(({ userId }) => userId)).toEqual(['ann'])
})

it('owner and staff keep their place beside one’s own', () => {
  const staff = danmaku('staff', { preferred: true })
  const own = danmaku('own', { from: 'ann' })
  const { personal, parts } = build([staff, own], [staff])
  expect(seen(parts, personal[0]?.parts ?? {})).toEqual(['staff', 'own'])
})

function gift(from: string) {
  const person = (id: string) => ({ id, name: id })
  const txId = `tx${seq}`
  const d = { txId, from: person(from), to: person('owner'), giftId: 'rose', name: 'Rose', count: 1, unitCoin: 5, valueCoin: 5 }
  const event = RoomEvent.of('r', 'gift.sent', d, { eid: txId, at: 1, actor: from, from })
  event.seq = ++seq
  return event
}

it('gifts: collapsed for slow readers always, for all past the bound, and never one’s own; every frame says how many', () => {
  const quiet = build([gift('ann'), danmaku('a'), gift('ann')], [])
  expect([quiet.full.counts, quiet.full.collapsed]).toEqual([
    [2, 0, 0],
    [0, 0, 0],
  ])
  expect([quiet.lean.counts, quiet.lean.collapsed, quiet.personal]).toEqual([[1, 0, 0], [1, 0, 0], []])
  const flood = build([...Array.from({ length: 250 }, (_, n) => gift(`user${n}`)), gift('ann'), title('t')], [])
  expect(flood.events).toEqual([252, 0, 0])
  for (const head of [flood.full, flood.lean])
    expect([head.counts, head.collapsed]).toEqual([
      [2, 0, 0],
      [250, 0, 0],
    ])
  expect(flood.personal.map(({ userId, counts, collapsed, own }) => [userId, counts, collapsed, own])).toEqual([
    ['ann', [3, 0, 0], [249, 0, 0], [0, 0, 0]],
  ])
})

it('a frame over the bound is split between events, and nothing is lost or cut', () => {
  const events = Array.from({ length: 50 }, (_, n) => danmaku(`${n} ${'x'.repeat(n * 5)}`))
  for (const encoding of ['json', 'proto'] as const) {
    const frames = frameParts(events, encoding, 1_024)
    expect(frames.length).toBeGreaterThan(5)
    for (const frame of frames) expect(frame.length).toBeLessThan(1_024 + 32)
    const back = frames.flatMap((frame) => decodeServerFrame(encoding === 'json' ? Buffer.from(frame).toString() : frame))
    expect(back.map((message) => (message as { seq: number }).seq)).toEqual(events.map((event) => event.seq))
  }
  const [huge] = frameParts([danmaku('y'.repeat(5_000))], 'json', 1_024)
  expect(huge?.length).toBeGreaterThan(5_000)
})

it('every event is encoded once per encoding', () => {
  const event = danmaku('once')
  expect(event.encoded('json')).toBe(event.encoded('json'))
  expect(event.encoded('proto')).toBe(event.encoded('proto'))
})

it('the account: what is missing shows, and a room that goes leaves its sums behind', () => {
  const account = newAccount()
  addCounts(account.offered, [5, 10, 2], 3)
  addCounts(account.written, [5, 4, 2], 3)
  addCounts(account.sampled, [0, 5, 0], 3)
  expect(imbalance(account)).toEqual([0, 3, 0])
  addCounts(account.cut, [0, 1, 0], 3)
  expect(imbalance(account)).toEqual([0, 0, 0])
  const accounts = new DeliveryAccounts()
  addCounts(accounts.of('a').offered, [1, 2, 3], 2)
  addCounts(accounts.of('b').offered, [1, 0, 0], 1)
  accounts.drop('a')
  expect(accounts.find('a')).toBeUndefined()
  expect(accounts.total().offered).toEqual([3, 4, 6])
})
