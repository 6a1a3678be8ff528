import type { ChildProcess } from 'node:child_process'
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { LineName } from '../schemas/sfu.ts'
import { sendTestPicture, startTestNode, type TestNode, watch } from './testing.ts'

let sfu: TestNode
const children: ChildProcess[] = []
beforeAll(async () => {
  sfu = await startTestNode()
}, 600_000)
afterAll(() => {
  for (const child of children) child.kill('SIGKILL')
  sfu?.close()
})

async function send(room: string, line: LineName): Promise<ChildProcess> {
  const ingest = await sfu.node.request('ingest.open', { room, peer: `rtp_${line}`, line })
  const child = sendTestPicture(ingest)
  children.push(child)
  return child
}

test('two lines by ffmpeg: the primary dies, the backup is shown, the primary comes back; the viewer keeps its tracks', async () => {
  const room = 'two'
  await sfu.node.request('room.open', { room })
  const primary = await send(room, 'primary')
  const opened = await sfu.until('track.opened', (event) => event.room === room && event.track.kind === 'video')
  const picture = await watch(sfu, room, opened.track.id)
  const { track: sound } = await sfu.until('track.opened', (event) => event.room === room && event.track.kind === 'audio')
  const heard = await watch(sfu, room, sound.id)
  await picture.more(30)
  await send(room, 'backup')
  await sfu.until('line.changed', ({ lines }) => lines.every(({ state }) => state === 'up'))
  await picture.more(30)
  picture.forget()
  primary.kill('SIGKILL')
  const lost = await sfu.until('line.switched')
  expect(lost).toMatchObject({ from: 'primary', to: 'backup', cause: 'lost' })
  await picture.more(30)
  expect(picture.longestMs).toBeLessThan(2_000)
  await send(room, 'primary')
  const back = await sfu.until('line.switched', ({ to }) => to === 'primary')
  expect(back.cause).toBe('returned')
  picture.forget()
  await picture.more(30)
  await heard.more(30)
  expect(sfu.events.filter(({ t }) => t === 'track.opened')).toHaveLength(2)
  expect({ seqGaps: picture.seqGaps, backwards: picture.backwards }).toEqual({ seqGaps: 0, backwards: 0 })
  console.log(lost.gapMs, back.gapMs, picture.longestMs)
})
