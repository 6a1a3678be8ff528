/** Whatever stands in an offer or a fragment: a meaning or a `SfuProblem`, soon, and what is read keeps its bounds. */
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { SfuProblem } from './problem.ts'
import type { Room } from './room.ts'
import { codecsMax, layersMax, readFragment, readOffer, sectionsMax } from './sdp.ts'
import { offers } from './sdp-offers.ts'
import { planWhep } from './whep.ts'
import { planWhip } from './whip.ts'

const texts = Object.values(offers)
const lines = [...new Set(texts.flatMap((text) => text.split(/\r?\n/)))]
const nasty = [
  ...[
    'a=rtpmap:96',
    'a=rtpmap:999 x/0',
    'a=rtpmap:96 __proto__/90000',
    'a=fmtp:96 __proto__=1;constructor=2',
    'a=fmtp:96 apt=96',
  ],
  ...[
    'a=rtcp-fb:* nack',
    'a=rtcp-fb:96',
    'a=extmap:0 x',
    'a=extmap:1',
    'a=extmap:99999999999 x',
    'a=ssrc:x',
    'a=ssrc:5',
    'a=ssrc-group:SIM',
  ],
  ...[
    'a=ssrc-group:FID 1',
    'a=ssrc-group:SIM 1 2 3 4 5 6',
    'a=simulcast:send ;;;',
    'a=simulcast:send ~1,2;3',
    'a=rid:1 send',
    'a=rid:x',
  ],
  ...[
    'a=mid:',
    'a=mid:0',
    'a=group:BUNDLE',
    'a=group:BUNDLE 0 0 0',
    'a=setup:',
    'a=fingerprint:sha-256',
    'a=ice-ufrag:',
    'm=',
    'm=video',
  ],
  ...[
    'm=video 99999999 RTP/SAVPF 96',
    'm=video 9 UDP/TLS/RTP/SAVPF',
    'a=sendonly',
    'a=inactive',
    'a=bundle-only',
    'a=candidate:x',
    'a==',
  ],
  `a=imageattr:96 send ${'[x=1] '.repeat(200)}`,
  `a=simulcast:send ${'1;'.repeat(900)}`,
]
const line = fc.oneof(
  { weight: 5, arbitrary: fc.constantFrom(...lines) },
  { weight: 3, arbitrary: fc.constantFrom(...nasty) },
  { weight: 1, arbitrary: fc.string({ maxLength: 80 }) },
  { weight: 1, arbitrary: fc.string({ maxLength: 60 }).map((text) => `a=${text}`) },
)
/** A real offer, some of its lines exchanged, doubled or dropped. */
const bent = fc
  .tuple(
    fc.constantFrom(...texts),
    fc.array(fc.tuple(fc.nat({ max: 200 }), fc.constantFrom('set', 'add', 'drop', 'cut'), line), { maxLength: 8 }),
  )
  .map(([text, changes]) => {
    const all = text.split(/\r?\n/)
    for (const [where, how, other] of changes) {
      const at = where % all.length
      const old = all[at] ?? ''
      if (how === 'set') all[at] = other
      else if (how === 'add') all.splice(at, 0, other)
      else if (how === 'drop') all.splice(at, 1)
      else all[at] = old.slice(0, other.length)
    }
    return all.join('\r\n')
  })
const made = fc.array(line, { maxLength: 60 }).map((all) => ['v=0', ...all].join('\n'))
const anything = fc.oneof({ weight: 6, arbitrary: bent }, { weight: 3, arbitrary: made }, { weight: 1, arbitrary: fc.anything() })

const rtpCapabilities = {
  codecs: [
    {
      kind: 'audio',
      mimeType: 'audio/opus',
      clockRate: 48_000,
      channels: 2,
      preferredPayloadType: 100,
      parameters: {},
      rtcpFeedback: [],
    },
    { kind: 'video', mimeType: 'video/VP8', clockRate: 90_000, preferredPayloadType: 101, parameters: {}, rtcpFeedback: [] },
    {
      kind: 'video',
      mimeType: 'video/rtx',
      clockRate: 90_000,
      preferredPayloadType: 102,
      parameters: { apt: 101 },
      rtcpFeedback: [],
    },
    {
      ...{ kind: 'video', mimeType: 'video/H264', clockRate: 90_000, preferredPayloadType: 103, rtcpFeedback: [] },
      parameters: { 'packetization-mode': 1, 'profile-level-id': '42e01f', 'level-asymmetry-allowed': 1 },
    },
  ],
  headerExtensions: [{ kind: 'video', uri: 'urn:ietf:params:rtp-hdrext:sdes:mid', preferredId: 1, direction: 'sendrecv' }],
}
const producer = { id: 'p', rtpParameters: { codecs: [{ payloadType: 101, mimeType: 'video/VP8' }] } }
const room = { rtpCapabilities, tracks: [{ shape: { id: 'p', kind: 'video', source: 'main' }, producer }] } as unknown as Room

function orProblem<T>(run: () => T): T | undefined {
  try {
    return run()
  } catch (error) {
    if (error instanceof SfuProblem) return undefined
    throw error
  }
}

test('offers', () => {
  let read = 0
  let planned = 0
  fc.assert(
    fc.property(anything, (text) => {
      const offer = orProblem(() => readOffer(text))
      if (!offer) return
      read++
      expect(offer.sections.length).toBeLessThanOrEqual(sectionsMax)
      for (const { codecs, rids, streams, mid } of offer.sections) {
        expect(codecs.length).toBeLessThanOrEqual(codecsMax)
        expect(Math.max(rids.length, streams.length)).toBeLessThanOrEqual(layersMax)
        expect(typeof mid).toBe('string')
      }
      if (orProblem(() => planWhip(room, offer))) planned++
      if (orProblem(() => planWhep(room, offer))) planned++
    }),
    { numRuns: 4_000 },
  )
  // Not only refusals were tried.
  expect(Math.min(read, planned)).toBeGreaterThan(200)
  expect(Object.keys(Object.prototype)).toEqual([])
})

test('fragments', () => {
  fc.assert(
    fc.property(anything, (text) => void orProblem(() => readFragment(text))),
    { numRuns: 2_000 },
  )
})

test('the longest lines take no time that grows with their square', () => {
  const slow = [
    'a=simulcast:send ',
    'a=ssrc:1 x:',
    'a=rid:1 send ',
    'a=extmap:1 ',
    'a=candidate:1 1 udp ',
    'a=rtpmap:96 ',
    'a=fmtp:96 ',
    'a=group:',
  ]
  const measure = (length: number) => {
    const texts = slow.flatMap((start) => ['1', ' ', ';', '1 ', '-'].map((sign) => start + sign.repeat(length / sign.length)))
    const text = ['v=0', 'm=video 9 UDP/TLS/RTP/SAVPF 96', ...texts].join('\n')
    const started = process.cpuUsage()
    for (let at = 0; at < 20; at++) orProblem(() => readOffer(text))
    const { user } = process.cpuUsage(started)
    return user
  }
  measure(200)
  // Ten times as long: a square would take a hundred times as much.
  expect(measure(2_000)).toBeLessThan(Math.max(measure(200), 2_000) * 60)
})
