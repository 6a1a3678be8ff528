import type { types } from 'mediasoup'
import { parse } from 'sdp-transform'
import { describe, expect, test } from 'vitest'
import type { Room } from './room.ts'
import { candidatesMax, readFragment, readOffer, sdpBytesMax, sectionsMax } from './sdp.ts'
import { leadOf, writeAnswer, writeFragment } from './sdp-answer.ts'
import { offers } from './sdp-offers.ts'
import { planWhep } from './whep.ts'
import { planWhip, worstFirst } from './whip.ts'

/** As a room numbers its codecs and extensions. */
const feedback = [
  { type: 'nack' },
  { type: 'nack', parameter: 'pli' },
  { type: 'ccm', parameter: 'fir' },
  { type: 'transport-cc' },
]
const video = (payloadType: number, name: string, parameters = {}) => [
  {
    kind: 'video',
    mimeType: `video/${name}`,
    clockRate: 90_000,
    preferredPayloadType: payloadType,
    parameters,
    rtcpFeedback: feedback,
  },
  {
    kind: 'video',
    mimeType: 'video/rtx',
    clockRate: 90_000,
    preferredPayloadType: payloadType + 1,
    parameters: { apt: payloadType },
    rtcpFeedback: [],
  },
]
const h264 = (profile: string) => ({ 'packetization-mode': 1, 'profile-level-id': profile, 'level-asymmetry-allowed': 1 })
const extensions: [string, number, string][] = [
  ['urn:ietf:params:rtp-hdrext:sdes:mid', 1, 'sendrecv'],
  ['urn:ietf:params:rtp-hdrext:sdes:rtp-stream-id', 2, 'recvonly'],
  ['http://www.webrtc.org/experiments/rtp-hdrext/abs-send-time', 4, 'sendrecv'],
  ['urn:3gpp:video-orientation', 11, 'sendrecv'],
]
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
    ...video(101, 'VP8'),
    ...video(103, 'H264', h264('42e01f')),
    ...video(105, 'H264', h264('4d001f')),
    ...video(107, 'H264', h264('640032')),
  ],
  headerExtensions: (['audio', 'video'] as const).flatMap((kind) =>
    extensions.map(([uri, preferredId, direction]) => ({ kind, uri, preferredId, direction })),
  ),
}
const track = (kind: string, payloadType: number, mimeType: string) => ({
  shape: { id: `${kind}1`, kind, source: 'main', userId: 'u' },
  producer: { id: `${kind}1`, rtpParameters: { codecs: [{ payloadType, mimeType }] } },
})
const roomWith = (...tracks: unknown[]) => ({ rtpCapabilities, tracks }) as unknown as Pick<Room, 'rtpCapabilities' | 'tracks'>
const empty = roomWith()
const transport = {
  iceParameters: { usernameFragment: 'ours1234', password: 'secret1234567890123456', iceLite: true },
  iceCandidates: [
    {
      foundation: 'udpcandidate',
      priority: 1076558079,
      ip: '10.0.0.1',
      address: '10.0.0.1',
      port: 4000,
      protocol: 'udp',
      type: 'host',
    },
    {
      foundation: 'tcpcandidate',
      priority: 1076302079,
      ip: '10.0.0.1',
      address: '10.0.0.1',
      port: 4000,
      protocol: 'tcp',
      type: 'host',
      tcpType: 'passive',
    },
  ],
  dtlsParameters: { role: 'auto', fingerprints: [{ algorithm: 'sha-256', value: 'AA:BB' }] },
} as unknown as types.WebRtcTransport

const whip = (sdp: string, room = empty) => {
  const offer = readOffer(sdp)
  const plan = planWhip(room, offer)
  const answers = plan.map((one) => one?.answer)
  const text = writeAnswer(offer, transport, answers)
  const chosen = plan.map((one) => {
    const { codecs = [], encodings = [] } = (one?.rtpParameters ?? {}) as unknown as types.RtpParameters
    return { codecs: codecs.map(({ mimeType, payloadType }) => `${payloadType} ${mimeType}`), encodings }
  })
  return { offer, chosen, text, answer: parse(text), lead: leadOf(offer, answers) }
}

describe('WHIP: what clients offer, and what is taken of it', () => {
  test('Chromium with simulcast: VP8, the worst layer first, the order of the offer in the answer', () => {
    const { chosen, answer, text } = whip(offers.chromiumSimulcast)
    expect(chosen[0]).toEqual({ codecs: ['111 audio/opus'], encodings: [{ ssrc: 1414141 }] })
    expect(chosen[1]).toEqual({
      codecs: ['96 video/VP8', '97 video/rtx'],
      encodings: ['l', 'm', 'h'].map((rid) => ({ rid, scalabilityMode: 'L1T3' })),
    })
    expect(answer.media[1]?.simulcast).toEqual({ dir1: 'recv', list1: 'h;m;l' })
    expect(answer.media[1]?.rids).toEqual(['h', 'm', 'l'].map((id) => ({ id, direction: 'recv' })))
    expect(answer.media.map(({ direction, setup, port }) => [direction, setup, port])).toEqual([
      ['recvonly', 'passive', 9],
      ['recvonly', 'passive', 9],
    ])
    // The client's numbers; no orientation, so that it turns the picture itself.
    expect(answer.media[1]?.ext?.map(({ value }) => value)).toEqual([2, 4, 10])
    expect(text).toContain('a=group:BUNDLE 0 1\r\n')
    expect(answer.media[0]?.fmtp).toEqual([{ payload: 111, config: 'minptime=10;useinbandfec=1' }])
  })

  test('the codec that viewers have already comes before the one that the client prefers', () => {
    const { chosen } = whip(offers.chromiumSimulcast, roomWith(track('video', 105, 'video/H264')))
    expect(chosen[1]?.codecs).toEqual(['39 video/H264', '40 video/rtx'])
    expect(chosen[1]?.encodings[0]).toEqual({ rid: 'l' })
    expect(whip(offers.chromiumSimulcast, roomWith(track('video', 103, 'video/H264'))).chosen[1]?.codecs[0]).toBe(
      '109 video/H264',
    )
  })

  test('Firefox', () => {
    const { chosen, answer, offer } = whip(offers.firefox)
    expect(offer).toMatchObject({ ufrag: 'h7Qx', role: 'auto' })
    expect(chosen[1]).toEqual({
      codecs: ['120 video/VP8', '124 video/rtx'],
      encodings: [{ ssrc: 1180422318, rtx: { ssrc: 1790330412 } }],
    })
    expect(answer.media[0]?.fmtp?.[0]?.config).toBe('useinbandfec=1;stereo=1')
  })

  test('Safari: constrained high is no profile of the room, the next one is', () => {
    const { chosen } = whip(offers.safari)
    expect(chosen[1]).toEqual({ codecs: ['98 video/H264', '99 video/rtx'], encodings: [{ ssrc: 5001, rtx: { ssrc: 5002 } }] })
  })

  test('OBS: one codec each, no retransmission, stereo', () => {
    const { chosen, answer, text } = whip(offers.obs)
    expect(chosen).toEqual([
      { codecs: ['111 audio/opus'], encodings: [{ ssrc: 2345 }] },
      { codecs: ['96 video/H264'], encodings: [{ ssrc: 2346 }] },
    ])
    expect(answer.media[0]?.fmtp?.[0]?.config).toBe('minptime=10;useinbandfec=1;stereo=1')
    expect(text).toContain('a=group:BUNDLE audio video\r\n')
  })

  test('GStreamer: port 0 with bundle-only is taken, and so are capitals', () => {
    const { chosen, answer } = whip(offers.gstreamer)
    expect(chosen).toEqual([
      { codecs: ['96 video/H264'], encodings: [{ ssrc: 3778045120 }] },
      { codecs: ['97 audio/OPUS'], encodings: [{ ssrc: 1122 }] },
    ])
    expect(answer.media.map(({ port, mid, ext }) => [port, mid, ext])).toEqual([
      [9, 'video0', undefined],
      [9, 'audio1', undefined],
    ])
  })

  test('ffmpeg waits for our handshake; small letters of its fingerprint are made large', () => {
    const { chosen, answer, offer } = whip(offers.ffmpeg)
    expect(offer.role).toBe('server')
    expect(offer.fingerprint.value).toMatch(/^6E:6D/)
    expect(answer.media.map(({ setup }) => setup)).toEqual(['active', 'active'])
    expect(chosen[1]).toEqual({ codecs: ['106 video/H264', '105 video/rtx'], encodings: [{ ssrc: 3146, rtx: { ssrc: 3147 } }] })
  })

  test('every answer has what a client needs', () => {
    for (const [name, sdp] of Object.entries(offers)) {
      if (name === 'chromiumViewer') continue
      const { answer, text } = whip(sdp)
      expect(text, name).toContain('a=ice-lite\r\n')
      for (const media of answer.media) {
        expect(media, name).toMatchObject({
          iceUfrag: 'ours1234',
          rtcpMux: 'rtcp-mux',
          fingerprint: { type: 'sha-256', hash: 'AA:BB' },
        })
        expect(media.candidates, name).toHaveLength(2)
      }
    }
  })

  test('names of layers', () => {
    expect(worstFirst(['f', 'h', 'q'])).toEqual(['q', 'h', 'f'])
    expect(worstFirst(['q', 'h', 'f'])).toEqual(['q', 'h', 'f'])
    expect(worstFirst(['l', 'h'])).toEqual(['l', 'h'])
    expect(worstFirst(['High', 'mid'])).toEqual(['mid', 'High'])
    expect(worstFirst(['0', '1', '2'])).toEqual(['2', '1', '0'])
  })

  test('what reaches others is of known form', () => {
    const odd = offers.obs.replace('stereo=1;', 'stereo=x y;').replace('42e01f', 'zz').replaceAll('cname:zX', 'cname:a b')
    const [sound, picture] = readOffer(odd).sections
    expect(sound?.codecs[0]?.parameters).toEqual({ minptime: 10, 'sprop-stereo': 1, useinbandfec: 1 })
    expect(picture?.codecs[0]?.parameters).toEqual({ 'packetization-mode': 1, 'level-asymmetry-allowed': 1 })
    expect([sound?.cname, picture?.cname]).toEqual([undefined, undefined])
  })

  test('a codec that we do not take refuses all; nothing to take is a bad offer', () => {
    const without = offers.obs.replace('H264/90000', 'H265/90000')
    expect(() => whip(without)).toThrow(expect.objectContaining({ code: 'stream.codec' }))
    expect(() => whip(offers.obs.replace('opus/48000/2', 'PCMU/8000'))).toThrow(expect.objectContaining({ code: 'stream.codec' }))
    expect(() => whip(offers.chromiumViewer)).toThrow(/nothing is sent/)
    const twice = offers.obs
      .replace('a=mid:audio', 'a=mid:more')
      .replace('m=audio', 'm=video')
      .replace('audio video', 'more video')
    expect(() => whip(twice)).toThrow(/more than one/)
  })

  test('streams by nothing but their mid; and by nothing at all', () => {
    const bare = offers.chromiumSimulcast.replaceAll(/a=(ssrc|rid|simulcast)[:-].*\r\n/g, '')
    expect(whip(bare).chosen.map(({ encodings }) => encodings)).toEqual([[{}], [{}]])
    expect(() => whip(bare.replaceAll(/a=extmap:.*\r\n/g, ''))).toThrow(/neither/)
  })
})

describe('WHEP', () => {
  const show = roomWith(track('audio', 100, 'audio/opus'), track('video', 103, 'video/H264'))

  test('the tracks of the show in the payload types of the viewer; the rest is refused', () => {
    const offer = readOffer(offers.chromiumViewer)
    const { plan, waitsFor } = planWhep(show, offer)
    expect(plan.map((one) => one?.match.codecs.map((codec) => codec?.payloadType))).toEqual([[111], [109, 114], undefined])
    expect(waitsFor.size).toBe(0)
  })

  test('what it has room for and the show has not', () => {
    const { plan, waitsFor } = planWhep(roomWith(track('audio', 100, 'audio/opus')), readOffer(offers.chromiumViewer))
    expect(plan.map((one) => one?.trackId)).toEqual(['audio1', undefined, undefined])
    expect([...waitsFor]).toEqual(['video'])
  })

  test('no show, no codec, no ear', () => {
    const viewer = readOffer(offers.chromiumViewer)
    expect(() => planWhep(empty, viewer)).toThrow(/nothing is live/)
    expect(() => planWhep(roomWith(track('video', 107, 'video/H264')), viewer)).toThrow(/the show is video\/H264/)
    expect(() => planWhep(show, readOffer(offers.obs))).toThrow(/nothing is received/)
  })

  test('its answer: what is sent, by name; refused sections outside of the group', () => {
    const offer = readOffer(offers.chromiumViewer)
    const codecs = (offer.sections[1]?.codecs ?? [])
      .slice(0, 2)
      .map(({ preferredPayloadType, ...codec }) => ({ ...codec, payloadType: preferredPayloadType }))
    const sent = { streamId: 'live', trackId: 'video', cname: 'c', ssrc: 5, rtxSsrc: 6 }
    const section = { direction: 'sendonly', codecs, headerExtensions: [], rids: [], sent } as never
    const text = writeAnswer(offer, transport, [undefined, section, undefined])
    const answer = parse(text)
    expect(answer.groups).toEqual([{ type: 'BUNDLE', mids: 1 }])
    expect(answer.media.map(({ port, direction }) => [port, direction])).toEqual([
      [0, 'inactive'],
      [9, 'sendonly'],
      [0, 'inactive'],
    ])
    expect(answer.media[1]).toMatchObject({
      payloads: '96 97',
      msid: [{ id: 'live', appdata: 'video' }],
      ssrcGroups: [{ semantics: 'FID', ssrcs: '5 6' }],
    })
    expect(text).toContain('m=application 0 UDP/DTLS/SCTP webrtc-datachannel')
  })
})

describe('what is no offer', () => {
  const broken: [string, string][] = [
    ['nothing', ''],
    ['words', 'hello'],
    ['a page', '<html></html>'],
    ['no section', 'v=0\r\no=- 1 1 IN IP4 0.0.0.0\r\ns=-\r\nt=0 0\r\n'],
    ['no ICE', offers.obs.replaceAll(/a=ice-(ufrag|pwd).*\n/g, '')],
    ['a short password', offers.obs.replaceAll(/a=ice-pwd:.*/g, 'a=ice-pwd:short')],
    ['no fingerprint', offers.obs.replaceAll(/a=fingerprint.*\n/g, '')],
    ['a fingerprint that is cut', offers.obs.replaceAll(/:9B\n/g, '\n')],
    ['a hash that nobody knows', offers.obs.replaceAll('sha-256', 'md5')],
    ['a role that is none', offers.obs.replaceAll('setup:actpass', 'setup:holdconn')],
    ['a prototype as a role', offers.obs.replaceAll('setup:actpass', 'setup:__proto__')],
    ['one mid twice', offers.obs.replaceAll('a=mid:video', 'a=mid:audio')],
    ['a section that is none', offers.obs.replace(/m=audio.*/, 'm=audio')],
    ['a mid of other signs', offers.obs.replace('a=mid:audio', 'a=mid:a"><b')],
    ['too many sections', `${offers.obs}${'m=audio 9 RTP/SAVPF 0\n'.repeat(sectionsMax)}`],
    ['too many codecs', offers.obs.replace('a=rtpmap:96', `${'a=rtpmap:97 VP8/90000\n'.repeat(100)}a=rtpmap:96`)],
    ['too many streams', `${offers.obs}${Array.from({ length: 80 }, (_, at) => `a=ssrc:${at + 1} cname:x\n`).join('')}`],
    ['a stream of number 0', offers.obs.replaceAll('ssrc:2346', 'ssrc:0')],
    ['a stream of two sections', offers.obs.replaceAll('ssrc:2346', 'ssrc:2345')],
    ['a long line', `${offers.obs}a=x:${'y'.repeat(5_000)}\n`],
    ['too much of it', `${offers.obs}${'a=x:y\n'.repeat(sdpBytesMax / 6)}`],
  ]
  test.each(broken)('%s', (_, sdp) => {
    expect(() => readOffer(sdp)).toThrow(expect.objectContaining({ name: 'SfuProblem', code: 'stream.bad_params' }))
  })
  test.each([undefined, null, 5, {}, [], Buffer.from('v=0')])('%s', (value) => {
    expect(() => readOffer(value)).toThrow(expect.objectContaining({ code: 'stream.bad_params' }))
  })

  test('a section outside of the group has no transport', () => {
    const { sections } = readOffer(offers.obs.replace('BUNDLE audio video', 'BUNDLE video'))
    expect(sections.map(({ isRefused, sends }) => [isRefused, sends])).toEqual([
      [true, false],
      [false, true],
    ])
  })
})

describe('fragments', () => {
  const candidate = 'a=candidate:1387637174 1 udp 2122260223 192.0.2.1 61764 typ host generation 0 ufrag EsAw network-id 1'
  const trickle = [
    'a=ice-ufrag:EsAw',
    'a=ice-pwd:P2uYro0UCOQ4zxjKXaWCBui1',
    'm=audio 9 UDP/TLS/RTP/SAVPF 0',
    'a=mid:0',
    candidate,
  ]

  test('candidates and end of them', () => {
    expect(readFragment([...trickle, 'a=end-of-candidates'].join('\r\n'))).toEqual({
      ufrag: 'EsAw',
      pwd: 'P2uYro0UCOQ4zxjKXaWCBui1',
      candidates: 1,
    })
    expect(readFragment(candidate).candidates).toBe(1)
    expect(readFragment('a=end-of-candidates\r\n')).toEqual({ ufrag: undefined, pwd: undefined, candidates: 0 })
    // It looks like a number, and is a name.
    expect(readFragment('a=ice-ufrag:1234\r\n').ufrag).toBe('1234')
  })

  test('what is none', () => {
    for (const text of ['', 'x', 'a=mid:0', 'a=ice-ufrag:a b', 'a=ice-pwd:short', candidate.repeat(100), undefined, 7])
      expect(() => readFragment(text), String(text).slice(0, 20)).toThrow(expect.objectContaining({ code: 'stream.bad_params' }))
    expect(() => readFragment(`${candidate}\r\n`.repeat(candidatesMax + 1))).toThrow(/candidates/)
  })

  test('the answer to a restart', () => {
    const { lead } = whip(offers.chromiumSimulcast)
    expect(writeFragment(lead, transport).split('\r\n')).toEqual([
      'a=ice-lite',
      'a=ice-options:trickle ice2',
      'a=group:BUNDLE 0 1',
      'm=audio 9 UDP/TLS/RTP/SAVPF 111',
      'a=mid:0',
      'a=ice-ufrag:ours1234',
      'a=ice-pwd:secret1234567890123456',
      'a=candidate:udpcandidate 1 udp 1076558079 10.0.0.1 4000 typ host',
      'a=candidate:tcpcandidate 1 tcp 1076302079 10.0.0.1 4000 typ host tcptype passive',
      'a=end-of-candidates',
      '',
    ])
  })
})
