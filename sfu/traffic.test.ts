import type { types } from 'mediasoup'
import { expect, test } from 'vitest'
import { elapsedMs } from '../engine/base/clock.ts'
import type { Peer } from './peer.ts'
import { type SampledRoom, Traffic } from './traffic.ts'

/** A worker that answers after some ms; each viewer gets another rate. */
function viewer(bps: number) {
  const openedMs = elapsedMs()
  const one = { asked: 0, bits: 0 }
  const getStats = async () => {
    one.asked++
    await new Promise((resolve) => setTimeout(resolve, 3))
    one.bits = Math.floor(((elapsedMs() - openedMs) * bps) / 8_000) * 8
    return [{ bytesSent: one.bits / 8, bytesReceived: 0 }]
  }
  const transport = { closed: false, appData: { direction: 'recv' }, getStats } as unknown as types.WebRtcTransport
  return { transport, one }
}

test('viewers who are asked in turn: each has its turn, and what is told adds up to what was sent', async () => {
  const traffic = new Traffic()
  const viewers = Array.from({ length: 10 }, (_, at) => viewer(1_000_000 * (at + 1)))
  const peer = { transports: new Map(), consumers: new Map() } as unknown as Pick<Peer, 'transports' | 'consumers'>
  const join = ({ transport }: (typeof viewers)[0], id: number) => {
    traffic.opened(transport)
    ;(peer.transports as Map<string, unknown>).set(String(id), { transport })
  }
  viewers.slice(0, 8).forEach(join)
  const room: SampledRoom = {
    ...{
      id: 'r',
      bitrateMax: 1,
      peers: new Map([['p', peer]]),
      links: { size: 0 },
      program: { avSkewMs: undefined, takeLoss: () => ({ overflows: 1, dropped: 2 }) },
    },
    ...{ incoming: function* () {}, cutForBitrate: () => undefined },
  }
  let told = 0
  let lastMs = elapsedMs()
  const sample = async (most: number) => {
    const nowMs = elapsedMs()
    const got = await traffic.sample(room, { left: most })
    told += ((got?.egressBps ?? 0) * (nowMs - lastMs)) / 1_000
    lastMs = nowMs
    return got
  }
  expect(await sample(10)).toBeUndefined()
  const before = viewers.reduce((sum, { one }) => sum + one.bits, 0)
  for (let turn = 0; turn < 20; turn++) {
    if (turn === 10) for (const at of [8, 9]) join(viewers[at] as (typeof viewers)[0], at)
    // One leaves between its turns: it is asked a last time.
    if (turn === 15) {
      traffic.leaves((viewers[0] as (typeof viewers)[0]).transport)
      ;(peer.transports as Map<string, unknown>).delete('0')
    }
    await sample(3)
  }
  expect(Math.min(...viewers.map(({ one }) => one.asked))).toBeGreaterThan(1)
  expect(Math.max(...viewers.slice(0, 8).map(({ one }) => one.asked))).toBeLessThanOrEqual(10)
  // All of them once more, so that nothing is a guess.
  await sample(10)
  await sample(10)
  const sent = viewers.reduce((sum, { one }) => sum + one.bits, 0) - before
  expect(Math.abs(told / sent - 1)).toBeLessThan(0.1)
})
