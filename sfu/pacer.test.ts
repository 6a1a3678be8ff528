import { expect, test } from 'vitest'
import { heapMax, Pacer, queuedMax, underWayMax } from './pacer.ts'

/** A worker that takes what it got when it is told to. */
function begin() {
  const sent: number[] = []
  const asked: { resolve(): void; reject(error: Error): void }[] = []
  const pacer = new Pacer({
    send: (packet) => void sent.push(packet.readUInt32BE(0)),
    taken: () => new Promise<void>((resolve, reject) => asked.push({ resolve, reject })),
  })
  const push = (count: number, from = 0) => {
    for (let at = 0; at < count; at++) {
      const packet = Buffer.alloc(4)
      packet.writeUInt32BE(from + at)
      pacer.push(packet)
    }
  }
  const turn = () => new Promise<void>((resolve) => setImmediate(resolve))
  return { sent, asked, pacer, push, turn }
}

test('much at once goes out in its order, no more of it under way than there is room for', async () => {
  const { sent, asked, pacer, push, turn } = begin()
  push(1_000)
  expect([sent.length, pacer.size]).toEqual([underWayMax, 1_000 - underWayMax])
  expect(asked).toHaveLength(underWayMax / heapMax)
  for (let taken = 0; taken < asked.length; taken++) {
    const before = sent.length
    asked[taken]?.resolve()
    await turn()
    expect(sent.length - before).toBe(Math.min(heapMax, 1_000 - before))
  }
  expect(sent).toEqual(Array.from({ length: 1_000 }, (_, at) => at))
  expect(pacer.size).toBe(0)
})

test('what comes meanwhile waits behind it', async () => {
  const { sent, asked, push, turn } = begin()
  push(200)
  push(1, 200)
  expect(sent).toHaveLength(underWayMax)
  for (let taken = 0; taken < asked.length; taken++) {
    asked[taken]?.resolve()
    await turn()
  }
  expect(sent).toEqual(Array.from({ length: 201 }, (_, at) => at))
})

test('past its bound it drops and counts; when the worker is gone nothing is left, and later packets go their way', async () => {
  const { sent, asked, pacer, push, turn } = begin()
  push(underWayMax + queuedMax + 5)
  expect([pacer.size, pacer.dropped]).toEqual([queuedMax, 5])
  for (const one of asked) one.reject(new Error('gone'))
  await turn()
  expect(pacer.size).toBe(0)
  const before = sent.length
  push(3)
  expect(sent.length - before).toBe(3)
})
