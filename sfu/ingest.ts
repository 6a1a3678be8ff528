/**
 * RTP straight from ffmpeg or an encoder: a port for sound and one for the picture, for one line of one streamer.
 *
 * A port that takes RTP from whoever comes first could be taken over by a stranger. So: on the loopback everybody on this machine is
 * trusted; elsewhere SRTP with a key of this ingest, or one source address. Without SRTP a packet from another address closes the port,
 * which is opened again after a second.
 *
 * A sender that starts again has another port of its own, and mediasoup keeps to the first: so a line that fell silent has its ports
 * opened anew, with the same numbers and keys.
 *
 *     const ingest = await openIngest({ place, options, source: undefined, isSrtp: false, videoCodec: 'h264', log })
 *     ingest.audio.transport, ingest.audio.rtpParameters      // to produce on
 */
import { randomBytes, randomInt } from 'node:crypto'
import { isIP } from 'node:net'
import type { types } from 'mediasoup'
import type { Log } from '../engine/base/log.ts'
import type { Ingest, Media, MediaKind } from '../schemas/sfu.ts'
import type { SfuOptions } from './options.ts'
import type { Place } from './places.ts'
import { SfuProblem } from './problem.ts'

export interface IngestParts {
  /** Opens the ports of an earlier ingest again. */
  again?: Ingest | undefined
  place: Place
  options: SfuOptions
  source: string | undefined
  isSrtp: boolean
  videoCodec: 'h264' | 'vp8'
  log: Log
}
interface Port {
  kind: MediaKind
  transport: types.PlainTransport
  rtpParameters: Media
}
export interface OpenIngest {
  ports: readonly Port[]
  /** What the streamer is told. */
  told: Ingest
  close(): void
}

const cryptoSuite = 'AES_CM_128_HMAC_SHA1_80'
const keyBytes = 30
/** Encoders send a key frame in one go, and what is lost is lost: half a second of 16 Mbit/s, while the worker waits for its core. */
const recvBufferSize = 1_048_576
const audioType = 111
const videoType = 96
const rtcpPortOf = ({ rtcpTuple }: types.PlainTransport): number => rtcpTuple?.localPort ?? 0
const newSsrc = () => randomInt(1, 2 ** 31)
const isLoopback = (ip: string) => ip === '127.0.0.1' || ip === '::1'

export async function openIngest(parts: IngestParts): Promise<OpenIngest> {
  const { options, source, videoCodec, again } = parts
  if (source !== undefined && (typeof source !== 'string' || isIP(source) === 0))
    throw new SfuProblem('stream.bad_params', 'source: not an address')
  const isSrtp = parts.isSrtp || (source === undefined && !isLoopback(options.listenIp))
  const newKey = () => (isSrtp ? randomBytes(keyBytes).toString('base64') : undefined)
  const keys = { audio: again?.srtp?.audioKeyBase64 ?? newKey(), video: again?.srtp?.videoKeyBase64 ?? newKey() }
  const audio = await openPort(parts, { port: again?.audioPort, rtcpPort: again?.audioRtcpPort, key: keys.audio })
  const wish = { port: again?.videoPort, rtcpPort: again?.videoRtcpPort, key: keys.video }
  const video = await openPort(parts, wish).catch((error) => {
    audio.close()
    throw error
  })
  const [audioSsrc, videoSsrc] = [again?.audio.ssrc ?? newSsrc(), again?.video.ssrc ?? newSsrc()]
  return {
    close() {
      audio.close()
      video.close()
    },
    ports: [
      { kind: 'audio', transport: audio, rtpParameters: audioParameters(audioSsrc) },
      { kind: 'video', transport: video, rtpParameters: videoParameters(videoSsrc, videoCodec) },
    ],
    told: {
      host: options.announcedAddress ?? options.listenIp,
      audioPort: audio.tuple.localPort,
      audioRtcpPort: rtcpPortOf(audio),
      videoPort: video.tuple.localPort,
      videoRtcpPort: rtcpPortOf(video),
      audio: { payloadType: audioType, codec: 'opus', clockRate: 48_000, channels: 2, ssrc: audioSsrc },
      video: { payloadType: videoType, codec: videoCodec, clockRate: 90_000, ssrc: videoSsrc },
      ...(keys.audio === undefined || keys.video === undefined
        ? {}
        : { srtp: { cryptoSuite, audioKeyBase64: keys.audio, videoKeyBase64: keys.video } }),
    },
  }
}

interface PortWish {
  port: number | undefined
  rtcpPort: number | undefined
  key: string | undefined
}

async function openPort({ place, options, source, log }: IngestParts, { port, rtcpPort, key }: PortWish) {
  const { listenIp: ip, announcedAddress } = options
  const at = { protocol: 'udp' as const, ip, recvBufferSize, ...(announcedAddress === undefined ? {} : { announcedAddress }) }
  const transport = await place.router.createPlainTransport({
    listenInfo: { ...at, ...(port === undefined ? {} : { port }) },
    rtcpListenInfo: { ...at, ...(rtcpPort === undefined ? {} : { port: rtcpPort }) },
    // ffmpeg sends RTCP from a port of its own, and first: on one port it would be taken for the sender of the RTP.
    rtcpMux: false,
    // The sender's port is known when its first packet comes.
    comedia: true,
    ...(key === undefined ? {} : { enableSrtp: true, srtpCryptoSuite: cryptoSuite }),
  })
  // With a key a stranger's packets are none.
  if (source !== undefined && key === undefined) closeOnStranger(transport, source, log)
  try {
    if (key !== undefined) await transport.connect({ srtpParameters: { cryptoSuite, keyBase64: key } })
  } catch (error) {
    transport.close()
    throw error
  }
  return transport
}

function closeOnStranger(transport: types.PlainTransport, source: string, log: Log): void {
  transport.on('tuple', ({ remoteIp }) => {
    if (remoteIp === source) return
    log.warn({ remoteIp, source }, 'RTP from an address that is not the one of this line: the port is closed')
    transport.close()
  })
}

const audioParameters = (ssrc: number): Media => ({
  codecs: [{ mimeType: 'audio/opus', payloadType: audioType, clockRate: 48_000, channels: 2, parameters: { 'sprop-stereo': 1 } }],
  encodings: [{ ssrc }],
})

function videoParameters(ssrc: number, codec: IngestParts['videoCodec']): Media {
  const form =
    codec === 'vp8'
      ? { mimeType: 'video/VP8' }
      : { mimeType: 'video/H264', parameters: { 'packetization-mode': 1, 'profile-level-id': '42e01f' } }
  // No feedback: such senders take no notice of it, and what is lost is lost.
  return { codecs: [{ ...form, payloadType: videoType, clockRate: 90_000, rtcpFeedback: [] }], encodings: [{ ssrc }] }
}

/**
 * Arguments for ffmpeg that send a file or a test picture to an ingest: an array, never a line for a shell.
 *
 *     spawn('ffmpeg', ffmpegArguments(ingest, ['-re', '-i', 'show.mp4']))
 */
export function ffmpegArguments(ingest: Ingest, input: readonly string[]): string[] {
  const { host, audio, video, srtp } = ingest
  const to = (port: number, rtcpPort: number, key: string | undefined) => {
    const scheme = key === undefined ? 'rtp' : 'srtp'
    return [
      ...(key === undefined ? [] : ['-srtp_out_suite', cryptoSuite, '-srtp_out_params', key]),
      `${scheme}://${host}:${port}?rtcpport=${rtcpPort}`,
    ]
  }
  const encoder =
    video.codec === 'vp8'
      ? ['-c:v', 'libvpx', '-deadline', 'realtime', '-cpu-used', '8']
      : ['-c:v', 'libx264', '-profile:v', 'baseline', '-preset', 'veryfast', '-tune', 'zerolatency', '-bf', '0']
  const form = ({ payloadType, ssrc }: { payloadType: number; ssrc: number }) => [
    ...['-f', 'rtp', '-payload_type', String(payloadType), '-ssrc', String(ssrc)],
  ]
  return [
    ...['-hide_banner', '-loglevel', 'warning', ...input],
    ...['-map', '0:v:0', ...encoder, '-pix_fmt', 'yuv420p', '-b:v', '1500k', '-g', '60', ...form(video)],
    ...to(ingest.videoPort, ingest.videoRtcpPort, srtp?.videoKeyBase64),
    ...['-map', '0:a:0', '-c:a', 'libopus', '-b:a', '96k', ...form(audio)],
    ...to(ingest.audioPort, ingest.audioRtcpPort, srtp?.audioKeyBase64),
  ]
}
