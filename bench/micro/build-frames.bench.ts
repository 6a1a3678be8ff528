/** From the committed events of a tick to its frames, as the room's home does it once per tick: encoding included, sending not. */

import { RoomEvent } from '../../engine/room/event.ts'
import { buildFrames } from '../../engine/room/frames.ts'
import { bench } from './runner.ts'
import { danmaku } from './samples.ts'

const frameBytesMax = 65_536
const highEventsMax = 200

/** Fresh events: an event keeps its bytes once it is encoded. */
function committed(count: number): RoomEvent[] {
  return Array.from({ length: count }, (_, i) => {
    const { t, at = 0, d } = danmaku(i + 1)
    const event = new RoomEvent({ t, lane: 'normal', room: 'demo', d }, { eid: `e${i}`, at, from: `viewer-${i}` })
    event.seq = i + 1
    return event
  })
}

for (const encodings of [['json'], ['proto'], ['json', 'proto']] as const)
  for (const [events, kept] of [
    [5, 5],
    [100, 100],
    [100, 4],
  ] as const) {
    const name = `${events} danmaku, ${kept} within the cap, ${encodings.join(' and ')}, per danmaku`
    const run = () => {
      const list = committed(events)
      return buildFrames({
        committed: list,
        sampled: new Set(list.slice(0, kept)),
        isPresent: () => true,
        encodings,
        frameBytesMax,
        highEventsMax,
      })
    }
    bench(name, run, events)
  }

/** `senders` people give in turn; those who are here get a frame that shows their own. */
function gifts(count: number, senders: number): RoomEvent[] {
  return Array.from({ length: count }, (_, i) => {
    const from = { id: `viewer-${i % senders}`, name: 'a viewer with a name' }
    const to = { id: 'streamer', name: 'a streamer with a name' }
    const price = { count: 1, unitCoin: 10, valueCoin: 10 }
    const d = { txId: `01JD6QX7M2${String(i).padStart(16, '0')}`, from, to, giftId: `gift-${i % 5}`, name: 'Rose', ...price }
    const event = RoomEvent.of('demo', 'gift.sent', d, { eid: d.txId, at: 1_760_000_000_000, actor: from.id, from: from.id })
    event.seq = i + 1
    return event
  })
}

for (const [count, senders, here] of [
  [200, 200, 0],
  [201, 20, 0],
  [1_000, 1_000, 0],
  [1_000, 1_000, 100],
  [1_000, 1_000, 1_000],
] as const)
  for (const highEventsMax of [200, 100_000]) {
    const how = highEventsMax < count ? 'collapsed' : 'single'
    const run = () => {
      const isPresent = (userId: string) => Number(userId.slice(7)) < here
      const committed = gifts(count, senders)
      return buildFrames({ committed, sampled: new Set(), isPresent, encodings: ['json', 'proto'], frameBytesMax, highEventsMax })
    }
    bench(`${count} gifts of ${senders}, ${here} of them here, ${how}, per gift`, run, count)
  }
