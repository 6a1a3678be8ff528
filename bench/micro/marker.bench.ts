/** Counting in the swarm's reads: it must cost far less than the server's work for the same bytes. */
import { Marker, MarkerCount } from '../load/marker.ts'
import { bench } from './runner.ts'

const marker = new Marker(1)
const message = Buffer.from(
  `{"t":"danmaku.sent","room":"demo","seq":12345,"at":1760000000000,"d":{"id":"01JD6QX7M20000000000000042","from":{"id":"bench-talker-12","name":"talker 12"},"text":"${marker.text}000000000000000 what a goal look at that one again he is on fire tonight","mode":"scroll"}}`,
)
const messages = 250
const read = Buffer.concat(Array.from({ length: messages }, () => message))
const count = new MarkerCount(marker)
const needle = Buffer.from(marker.text)

bench(`count markers, ${message.length} bytes a message, per message`, () => count.read(read, read.length), messages)
bench(
  'the same with Buffer.indexOf, per message',
  () => {
    let found = 0
    for (let at = read.indexOf(needle); at >= 0; at = read.indexOf(needle, at + needle.length)) found++
    return found
  },
  messages,
)
