/** From the committed events of a tick to its frames, as the room's home does it once per tick: encoding included, sending not. */

import { RoomEvent } from '../../engine/room/event.ts'
import { buildFrames } from '../../engine/room/frames.ts'
import { bench } from './runner.ts'
import { danmaku } from './samples.ts'

const frameBytesMax = 65_536

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
      })
    }
    bench(name, run, events)
  }
