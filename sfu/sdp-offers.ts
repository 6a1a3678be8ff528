/** For tests: offers in the form that clients in the field write them, and what each of them is to be taken for. */

const print = '6E:6D:03:74:58:AB:CB:01:62:2A:11:0F:C8:7B:50:9B:6E:6D:03:74:58:AB:CB:01:62:2A:11:0F:C8:7B:50:9B'
const ice = ['a=ice-ufrag:h7Qx', 'a=ice-pwd:q3Tz8yWmXk2LrV5nBc0dEf1g', 'a=ice-options:trickle']
const dtls = [`a=fingerprint:sha-256 ${print}`, 'a=setup:actpass']
const head = (...more: string[]) => ['v=0', 'o=- 4611731400430051336 2 IN IP4 127.0.0.1', 's=-', 't=0 0', ...more]
const text = (...lines: readonly (string | readonly string[])[]) => [...lines.flat(), ''].join('\r\n')
const place = ['c=IN IP4 0.0.0.0', 'a=rtcp:9 IN IP4 0.0.0.0']
const vp8 = (pt: number, rtx?: number) => [
  `a=rtpmap:${pt} VP8/90000`,
  ...['goog-remb', 'transport-cc', 'ccm fir', 'nack', 'nack pli'].map((fb) => `a=rtcp-fb:${pt} ${fb}`),
  ...(rtx === undefined ? [] : [`a=rtpmap:${rtx} rtx/90000`, `a=fmtp:${rtx} apt=${pt}`]),
]
const h264 = (pt: number, profile: string, { rtx, mode = 1 }: { rtx?: number; mode?: number } = {}) => [
  `a=rtpmap:${pt} H264/90000`,
  ...['ccm fir', 'nack', 'nack pli'].map((fb) => `a=rtcp-fb:${pt} ${fb}`),
  `a=fmtp:${pt} level-asymmetry-allowed=1;packetization-mode=${mode};profile-level-id=${profile}`,
  ...(rtx === undefined ? [] : [`a=rtpmap:${rtx} rtx/90000`, `a=fmtp:${rtx} apt=${pt}`]),
]
const chromiumExtensions = [
  'a=extmap:14 urn:ietf:params:rtp-hdrext:toffset',
  'a=extmap:2 http://www.webrtc.org/experiments/rtp-hdrext/abs-send-time',
  'a=extmap:13 urn:3gpp:video-orientation',
  'a=extmap:3 http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01',
  'a=extmap:4 urn:ietf:params:rtp-hdrext:sdes:mid',
  'a=extmap:10 urn:ietf:params:rtp-hdrext:sdes:rtp-stream-id',
  'a=extmap:11 urn:ietf:params:rtp-hdrext:sdes:repaired-rtp-stream-id',
]
const chromiumAudio = (direction: string) => [
  'm=audio 9 UDP/TLS/RTP/SAVPF 111 63 9 0 8 13 110 126',
  ...[...place, ...ice, ...dtls, 'a=mid:0'],
  'a=extmap:1 urn:ietf:params:rtp-hdrext:ssrc-audio-level',
  ...chromiumExtensions.slice(1, 2),
  ...chromiumExtensions.slice(3, 5),
  `a=${direction}`,
  ...['a=rtcp-mux', 'a=rtcp-rsize', 'a=rtpmap:111 opus/48000/2', 'a=rtcp-fb:111 transport-cc'],
  'a=fmtp:111 minptime=10;useinbandfec=1',
  ...['a=rtpmap:63 red/48000/2', 'a=fmtp:63 111/111', 'a=rtpmap:9 G722/8000', 'a=rtpmap:0 PCMU/8000', 'a=rtpmap:8 PCMA/8000'],
  ...['a=rtpmap:13 CN/8000', 'a=rtpmap:110 telephone-event/48000', 'a=rtpmap:126 telephone-event/8000'],
]
const chromiumVideo = (direction: string) => [
  'm=video 9 UDP/TLS/RTP/SAVPF 96 97 103 104 107 108 109 114 39 40 45 46 98 99 123',
  ...[...place, ...ice, ...dtls, 'a=mid:1', ...chromiumExtensions, `a=${direction}`, 'a=rtcp-mux', 'a=rtcp-rsize'],
  ...vp8(96, 97),
  ...h264(103, '42001f', { rtx: 104 }),
  ...h264(107, '42e01f', { mode: 0, rtx: 108 }),
  ...h264(109, '42e01f', { rtx: 114 }),
  ...h264(39, '4d001f', { rtx: 40 }),
  ...['a=rtpmap:45 AV1/90000', 'a=fmtp:45 level-idx=5;profile=0;tier=0', 'a=rtpmap:46 rtx/90000', 'a=fmtp:46 apt=45'],
  ...['a=rtpmap:98 VP9/90000', 'a=fmtp:98 profile-id=0', 'a=rtpmap:99 rtx/90000', 'a=fmtp:99 apt=98', 'a=rtpmap:123 red/90000'],
]

export const offers = {
  chromiumSimulcast: text(
    head('a=group:BUNDLE 0 1', 'a=extmap-allow-mixed', 'a=msid-semantic: WMS s'),
    chromiumAudio('sendonly'),
    ['a=msid:s a', 'a=ssrc:1414141 cname:Uv1', 'a=ssrc:1414141 msid:s a'],
    chromiumVideo('sendonly'),
    ['a=msid:s v', 'a=rid:h send', 'a=rid:m send', 'a=rid:l send', 'a=simulcast:send h;m;l'],
  ),
  chromiumViewer: text(
    head('a=group:BUNDLE 0 1 2', 'a=extmap-allow-mixed', 'a=msid-semantic: WMS'),
    chromiumAudio('recvonly'),
    chromiumVideo('recvonly'),
    ['m=application 9 UDP/DTLS/SCTP webrtc-datachannel', ...ice, ...dtls, 'a=mid:2', 'a=sctp-port:5000'],
  ),
  /** ICE and fingerprint at the top, streams and rids both. */
  firefox: text(
    head('a=sendrecv', `a=fingerprint:sha-256 ${print}`, 'a=group:BUNDLE 0 1', 'a=ice-options:trickle', 'a=msid-semantic:WMS *'),
    ['m=audio 9 UDP/TLS/RTP/SAVPF 109 9 0 8 101', 'c=IN IP4 0.0.0.0', 'a=sendonly'],
    ['a=extmap:1 urn:ietf:params:rtp-hdrext:ssrc-audio-level', 'a=extmap:2/recvonly urn:ietf:params:rtp-hdrext:csrc-audio-level'],
    ['a=extmap:3 urn:ietf:params:rtp-hdrext:sdes:mid', 'a=fmtp:109 maxplaybackrate=48000;stereo=1;useinbandfec=1'],
    [...ice.slice(0, 2), 'a=mid:0', 'a=msid:{5f1c} {8aa0}', 'a=rtcp-mux', 'a=rtpmap:109 opus/48000/2', 'a=rtpmap:9 G722/8000/1'],
    ['a=rtpmap:0 PCMU/8000', 'a=rtpmap:8 PCMA/8000', 'a=rtpmap:101 telephone-event/8000', 'a=setup:actpass'],
    ['a=ssrc:2872931132 cname:{3c1d}'],
    ['m=video 9 UDP/TLS/RTP/SAVPF 120 124 126 127 97 98', 'c=IN IP4 0.0.0.0', 'a=sendonly'],
    ['a=extmap:3 urn:ietf:params:rtp-hdrext:sdes:mid', 'a=extmap:4 http://www.webrtc.org/experiments/rtp-hdrext/abs-send-time'],
    [
      'a=extmap:5 urn:ietf:params:rtp-hdrext:toffset',
      'a=extmap:6/recvonly http://www.webrtc.org/experiments/rtp-hdrext/playout-delay',
    ],
    ['a=extmap:7 http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01', ...ice.slice(0, 2), 'a=mid:1'],
    [
      'a=rtcp-mux',
      'a=rtcp-rsize',
      'a=setup:actpass',
      ...vp8(120, 124),
      ...h264(126, '42e01f', { rtx: 127 }),
      ...h264(97, '42e01f', { mode: 0, rtx: 98 }),
    ],
    ['a=ssrc:1180422318 cname:{3c1d}', 'a=ssrc:1790330412 cname:{3c1d}', 'a=ssrc-group:FID 1180422318 1790330412'],
  ),
  /** H264 before VP8, its high profile first. */
  safari: text(
    head('a=group:BUNDLE 0 1', 'a=extmap-allow-mixed', 'a=msid-semantic: WMS s'),
    chromiumAudio('sendonly'),
    ['a=msid:s a', 'a=ssrc:77 cname:mX', 'a=ssrc:77 msid:s a'],
    [
      'm=video 9 UDP/TLS/RTP/SAVPF 96 97 98 99 100 101',
      ...place,
      ...ice,
      ...dtls,
      'a=mid:1',
      ...chromiumExtensions,
      'a=sendonly',
    ],
    [
      'a=rtcp-mux',
      'a=rtcp-rsize',
      ...h264(96, '640c1f', { rtx: 97 }),
      ...h264(98, '42e01f', { rtx: 99 }),
      ...vp8(100, 101),
      'a=msid:s v',
    ],
    ['a=ssrc-group:FID 5001 5002', 'a=ssrc:5001 cname:mX', 'a=ssrc:5002 cname:mX'],
  ),
  /** libdatachannel: one codec each, names as mids, all candidates in it, end of line as it likes. */
  obs: text(
    ['v=0', 'o=rtc 3767197920 0 IN IP4 127.0.0.1', 's=-', 't=0 0', 'a=group:BUNDLE audio video', 'a=group:LS audio video'],
    ['a=msid-semantic:WMS *', 'a=ice-options:ice2,trickle', `a=fingerprint:sha-256 ${print}`],
    ['m=audio 51912 UDP/TLS/RTP/SAVPF 111', 'c=IN IP4 192.168.1.7', 'a=mid:audio', 'a=sendonly', 'a=msid:zX 1', 'a=rtcp-mux'],
    ['a=ssrc:2345 cname:zX', 'a=ssrc:2345 msid:zX zX-audio', 'a=rtpmap:111 opus/48000/2'],
    [
      'a=fmtp:111 minptime=10;maxaveragebitrate=96000;stereo=1;sprop-stereo=1;useinbandfec=1',
      'a=setup:actpass',
      ...ice.slice(0, 2),
    ],
    ['a=candidate:1 1 UDP 2114977791 192.168.1.7 51912 typ host', 'a=end-of-candidates'],
    ['m=video 51912 UDP/TLS/RTP/SAVPF 96', 'c=IN IP4 192.168.1.7', 'a=mid:video', 'a=sendonly', 'a=msid:zX 2', 'a=rtcp-mux'],
    ['a=ssrc:2346 cname:zX', 'a=rtpmap:96 H264/90000', 'a=rtcp-fb:96 nack', 'a=rtcp-fb:96 nack pli', 'a=rtcp-fb:96 goog-remb'],
    ['a=fmtp:96 profile-level-id=42e01f;packetization-mode=1;level-asymmetry-allowed=1', 'a=setup:actpass', ...ice.slice(0, 2)],
  ).replaceAll('\r\n', '\n'),
  /** Port 0 with bundle-only is no refusal; capitals; no extensions; a profile that is level 2.1. */
  gstreamer: text(
    head('a=ice-options:trickle', 'a=group:BUNDLE video0 audio1'),
    ['m=video 9 UDP/TLS/RTP/SAVPF 96', 'c=IN IP4 0.0.0.0', 'a=setup:actpass', ...ice.slice(0, 2), 'a=rtcp-mux', 'a=rtcp-rsize'],
    ['a=sendonly', 'a=rtpmap:96 H264/90000', 'a=rtcp-fb:96 nack pli', 'a=framerate:30'],
    ['a=fmtp:96 packetization-mode=1;profile-level-id=42c015;sprop-parameter-sets=Z0LAFdoFB+hAAAADAEAAAA8DxYuS,aM48gA=='],
    [
      'a=ssrc:3778045120 msid:user42@host webrtctransceiver0',
      'a=ssrc:3778045120 cname:user42@host',
      'a=mid:video0',
      `a=fingerprint:sha-256 ${print}`,
    ],
    ['m=audio 0 UDP/TLS/RTP/SAVPF 97', 'c=IN IP4 0.0.0.0', 'a=setup:actpass', ...ice.slice(0, 2), 'a=bundle-only', 'a=rtcp-mux'],
    ['a=sendonly', 'a=rtpmap:97 OPUS/48000/2', 'a=rtcp-fb:97 nack', 'a=fmtp:97 sprop-maxcapturerate=48000;sprop-stereo=1'],
    [
      'a=ssrc:1122 msid:user42@host webrtctransceiver1',
      'a=ssrc:1122 cname:user42@host',
      'a=mid:audio1',
      `a=fingerprint:sha-256 ${print}`,
    ],
  ),
  /** The muxer of ffmpeg: it waits for our DTLS, and its numbers are its own. */
  ffmpeg: text(
    ['v=0', 'o=FFmpeg 4489045141692799359 2 IN IP4 127.0.0.1', 's=FFmpegPublishSession', 't=0 0', 'a=group:BUNDLE 0 1'],
    ['a=extmap-allow-mixed', 'a=msid-semantic: WMS'],
    ['m=audio 9 UDP/TLS/RTP/SAVPF 111', 'c=IN IP4 0.0.0.0', 'a=ice-ufrag:a174b', 'a=ice-pwd:72e2a0ae0ac2d3f1b21e1b22ab6d1e8c'],
    [
      `a=fingerprint:sha-256 ${print.toLowerCase()}`,
      'a=setup:passive',
      'a=mid:0',
      'a=sendonly',
      'a=msid:FFmpeg audio',
      'a=rtcp-mux',
    ],
    ['a=rtpmap:111 opus/48000/2', 'a=ssrc:3145 cname:FFmpeg', 'a=ssrc:3145 msid:FFmpeg audio'],
    [
      'm=video 9 UDP/TLS/RTP/SAVPF 106 105',
      'c=IN IP4 0.0.0.0',
      'a=ice-ufrag:a174b',
      'a=ice-pwd:72e2a0ae0ac2d3f1b21e1b22ab6d1e8c',
    ],
    [
      `a=fingerprint:sha-256 ${print.toLowerCase()}`,
      'a=setup:passive',
      'a=mid:1',
      'a=sendonly',
      'a=msid:FFmpeg video',
      'a=rtcp-mux',
    ],
    [
      'a=rtcp-rsize',
      'a=rtpmap:106 H264/90000',
      'a=fmtp:106 level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42c01f',
    ],
    ['a=rtcp-fb:106 nack', 'a=rtpmap:105 rtx/90000', 'a=fmtp:105 apt=106', 'a=ssrc-group:FID 3146 3147'],
    ['a=ssrc:3146 cname:FFmpeg', 'a=ssrc:3146 msid:FFmpeg video', 'a=ssrc:3147 cname:FFmpeg'],
  ),
} as const
