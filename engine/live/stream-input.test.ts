/** What goes on to the node, and what a streamer is told to run. */
import { expect, it } from 'vitest'
import type { Ingest } from '../../schemas/sfu.ts'
import { ffmpegArguments, inputWord } from './ingest-arguments.ts'
import { jsonObject } from './stream-json.ts'
import { StreamPeers } from './stream-peers.ts'

it('takes JSON objects of a sane depth', () => {
  expect(jsonObject('{"codecs":[{"parameters":{"a":1}}]}')).toEqual({ codecs: [{ parameters: { a: 1 } }] })
  const deep = (levels: number) => `${'{"a":'.repeat(levels)}1${'}'.repeat(levels)}`
  for (const text of ['', '{', 'null', '7', '"a"', '[]', '[{}]', deep(13), `{"a":${'['.repeat(5_000)}${']'.repeat(5_000)}}`])
    expect(jsonObject(text), text.slice(0, 40)).toBeUndefined()
  expect(jsonObject(deep(12))).toBeDefined()
})

const ingest: Ingest = {
  ...{ host: '127.0.0.1', audioPort: 1, audioRtcpPort: 2, videoPort: 3, videoRtcpPort: 4 },
  audio: { payloadType: 111, codec: 'opus', clockRate: 48_000, channels: 2, ssrc: 5 },
  video: { payloadType: 96, codec: 'h264', clockRate: 90_000, ssrc: 6 },
}

it('gives ffmpeg words, not a line: one input that may name files alone, two outputs', () => {
  const words = ffmpegArguments(ingest)
  expect(words.filter((word) => word === inputWord)).toHaveLength(1)
  expect(words.slice(words.indexOf('-protocol_whitelist'), words.indexOf('-re'))).toEqual(['-protocol_whitelist', 'file'])
  expect(words.filter((word) => word.includes('://'))).toEqual(['rtp://127.0.0.1:3?rtcpport=4', 'rtp://127.0.0.1:1?rtcpport=2'])
  const secure = ffmpegArguments({
    ...ingest,
    host: '2001:db8::7',
    srtp: { cryptoSuite: 'AES_CM_128_HMAC_SHA1_80', audioKeyBase64: 'AA==', videoKeyBase64: 'VV==' },
  })
  expect(secure.filter((word) => word.includes('://'))).toEqual([
    'srtp://[2001:db8::7]:3?rtcpport=4',
    'srtp://[2001:db8::7]:1?rtcpport=2',
  ])
  expect(secure[secure.indexOf('srtp://[2001:db8::7]:3?rtcpport=4') - 1]).toBe('VV==')
})

it('a line is held by one peer until the last of its things on it is gone', () => {
  const peers = new StreamPeers()
  const [ann, ben] = [peers.add('a', 'ann', 'session'), peers.add('b', 'ben', 'whip')]
  const feed = { of: 'line', line: 'primary', source: 'cam' } as const
  for (const id of ['sound', 'picture']) {
    peers.claim('primary', ann)
    peers.opened(ann, id, { kind: id === 'sound' ? 'audio' : 'video', feed })
  }
  peers.release('primary', ben)
  peers.closed(ann, 'sound')
  expect(peers.closed(ann, 'sound')).toBeUndefined()
  expect(peers.holder('primary')).toBe(ann)
  peers.closed(ann, 'picture')
  expect(peers.holder('primary')).toBeUndefined()
  peers.claim('backup', ben)
  peers.nameResource(ben, 'secret')
  peers.remove(ben)
  expect([peers.holder('backup'), peers.byResource('secret'), peers.othersOf('ben'), peers.size]).toEqual([
    undefined,
    undefined,
    [],
    1,
  ])
})
