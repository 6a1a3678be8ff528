import { expect, it } from 'vitest'
import { decodeServerFrame, encodeReplyBody } from '../../schemas/wire.ts'
import { RoomEvent } from './event.ts'
import { defaultSettings } from './settings.ts'
import { type Personal, type RoomState, resumedBody, SnapshotCache } from './snapshot.ts'

const room = {
  id: 'r',
  ownerId: 'o',
  title: '题',
  intro: '',
  theme: '',
  categoryId: '',
  cover: '',
  state: 'open' as const,
  version: 1,
}
const event = RoomEvent.of(
  'r',
  'danmaku.sent',
  { id: 'e1', from: { id: 'a', name: 'A' }, text: 'hi', mode: 'scroll', color: 0, size: 'm' },
  { eid: 'e1', at: 5 },
)
event.seq = 3
const state = (likes: number): RoomState => ({
  epoch: 2,
  seq: 3,
  room,
  settings: { ...defaultSettings },
  likes,
  shares: 0,
  danmaku: [event],
  wall: undefined,
  stream: { state: 'off', tracks: [], lines: [], degradeLevel: 0 },
})
const personal = (userId: string) => ({
  me: { userId, name: userId, roles: ['admin'], anonymous: false },
  online: { unique: 1, connections: 2, peak: 3 },
})

function read(encoding: 'json' | 'proto', body: Uint8Array) {
  const frame = encodeReplyBody(encoding, '1', 'room.join', body)
  const [reply] = decodeServerFrame(encoding === 'json' ? Buffer.from(frame).toString() : frame)
  return (reply as { d: unknown }).d
}

it.each(['json', 'proto'] as const)('%s: shared and personal part are one body', (encoding) => {
  const body = new SnapshotCache().body(encoding, () => state(7), { resync: true, ...personal('ann') })
  const { wall: _, danmaku: __, ...rest } = state(7)
  const lists = { danmaku: [event.envelope()], ...(encoding === 'proto' ? { ext: [] } : {}) }
  expect(read(encoding, body)).toEqual({ ...rest, ...lists, resync: true, ...personal('ann') })
})

it.each(['json', 'proto'] as const)('%s: what plugins tell stands in the personal part', (encoding) => {
  const cache = new SnapshotCache()
  const ext = [
    { plugin: 'poll', json: '{"title":"谁 \\"x\\"","open":true}' },
    { plugin: 'trivia', json: 'null' },
  ]
  const body = (own: Partial<Personal>) =>
    read(
      encoding,
      cache.body(encoding, () => state(7), { ...personal('ann'), ...own }),
    )
  expect(body({ ext })).toMatchObject({ likes: 7, ext, me: { userId: 'ann' } })
  expect((body({}) as { ext?: unknown[] }).ext ?? []).toEqual([])
})

it('the shared part is made once until it is dropped, the personal one for each', () => {
  const cache = new SnapshotCache()
  let made = 0
  const body = (userId: string) =>
    read(
      'json',
      cache.body('json', () => state(++made), personal(userId)),
    ) as { likes: number; me: { userId: string } }
  expect([body('ann'), body('bob')].map(({ likes, me }) => [likes, me.userId])).toEqual([
    [1, 'ann'],
    [1, 'bob'],
  ])
  cache.drop()
  expect(body('ann').likes).toBe(2)
})

it('one made for a single viewer is not what others get', () => {
  const cache = new SnapshotCache()
  cache.bodyFor('json', { ...state(1), danmaku: [] }, personal('troll'))
  expect(
    read(
      'json',
      cache.body('json', () => state(1), personal('ann')),
    ),
  ).toMatchObject({ danmaku: [{ seq: 3 }] })
})

it.each(['json', 'proto'] as const)('%s: the short reply to a complete resume has what is state', (encoding) => {
  const stream = {
    state: 'live' as const,
    tracks: [],
    lines: [{ line: 'backup' as const, state: 'up' as const }],
    degradeLevel: 1,
  }
  const mic = { seats: [{ no: 1, state: 'open' as const, locked: true }], waiting: 2, place: 2 }
  const granted = { seatNo: 2, joinByAt: 9 }
  const invitation = { inviteId: 'i', by: { id: 'o', name: 'O' }, expireAt: 8 }
  const { online, me } = personal('ann')
  const resumed = { epoch: 4, seq: 9, likes: 3, shares: 1, online, stream, mic, me: { ...me, granted, invitation } }
  expect(read(encoding, resumedBody(encoding, resumed))).toMatchObject({ ...resumed, resumed: true })
})
