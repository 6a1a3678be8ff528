/** Making one frame of events that are encoded already: what a room pays once per tick, encoding and variant. */
import { encodeEventJson, encodeEventProto, joinFrame } from '../../schemas/wire.ts'
import { bench } from './runner.ts'
import { danmaku } from './samples.ts'

for (const events of [1, 10, 100, 200]) {
  const list = Array.from({ length: events }, (_, i) => danmaku(i))
  const json = list.map(encodeEventJson)
  const proto = list.map(encodeEventProto)
  bench(`join ${events} events, json, per event`, () => joinFrame('json', json), events)
  bench(`join ${events} events, proto, per event`, () => joinFrame('proto', proto), events)
}
