/**
 * What a room can carry. VP8 and H264 are what browsers, OBS and ffmpeg all send; H264 is the one that can be packed into HLS as it is.
 * Profiles of H264 do not match each other, so each that OBS or a browser offers has a line of its own.
 */
import type { types } from 'mediasoup'

const h264 = (profile: string): types.RouterRtpCodecCapability => ({
  kind: 'video',
  mimeType: 'video/H264',
  clockRate: 90_000,
  parameters: { 'packetization-mode': 1, 'profile-level-id': profile, 'level-asymmetry-allowed': 1 },
})

export const roomCodecs: types.RouterRtpCodecCapability[] = [
  { kind: 'audio', mimeType: 'audio/opus', clockRate: 48_000, channels: 2 },
  { kind: 'video', mimeType: 'video/VP8', clockRate: 90_000 },
  // Constrained baseline, main, high.
  ...['42e01f', '4d001f', '640032'].map(h264),
]
