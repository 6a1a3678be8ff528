/**
 * Arguments with which ffmpeg sends a file to an ingest: an array, for `spawn`, never a line for a shell. The word `INPUT` is to be
 * replaced by the file; of what such a file names ffmpeg opens files alone.
 *
 *     spawn('ffmpeg', ffmpegArguments(ingest).map((word) => (word === inputWord ? 'show.mp4' : word)))
 */
import type { Ingest } from '../../schemas/sfu.ts'

export const inputWord = 'INPUT'
const h264 = ['-c:v', 'libx264', '-profile:v', 'baseline', '-preset', 'veryfast', '-tune', 'zerolatency', '-bf', '0']
const vp8 = ['-c:v', 'libvpx', '-deadline', 'realtime', '-cpu-used', '8']

export function ffmpegArguments(ingest: Ingest): string[] {
  const { host, audio, video, srtp } = ingest
  const form = ({ payloadType, ssrc }: { payloadType: number; ssrc: number }) => {
    return ['-f', 'rtp', '-payload_type', String(payloadType), '-ssrc', String(ssrc)]
  }
  const name = host.includes(':') ? `[${host}]` : host
  const to = (port: number, rtcpPort: number, key: string | undefined) => [
    ...(key === undefined || !srtp ? [] : ['-srtp_out_suite', srtp.cryptoSuite, '-srtp_out_params', key]),
    `${key === undefined ? 'rtp' : 'srtp'}://${name}:${port}?rtcpport=${rtcpPort}`,
  ]
  return [
    ...['-hide_banner', '-loglevel', 'warning', '-protocol_whitelist', 'file', '-re', '-i', inputWord],
    ...[
      '-map',
      '0:v:0',
      ...(video.codec === 'vp8' ? vp8 : h264),
      '-pix_fmt',
      'yuv420p',
      '-b:v',
      '2500k',
      '-g',
      '60',
      ...form(video),
    ],
    ...to(ingest.videoPort, ingest.videoRtcpPort, srtp?.videoKeyBase64),
    ...['-map', '0:a:0', '-c:a', 'libopus', '-b:a', '96k', ...form(audio)],
    ...to(ingest.audioPort, ingest.audioRtcpPort, srtp?.audioKeyBase64),
  ]
}
