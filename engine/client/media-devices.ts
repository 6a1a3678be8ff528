/**
 * Cameras, microphones and screens of this device, and why one of them is not to be had, by code.
 *
 *     const stream = await openSource({ camera: { width: 1280, height: 720 } })
 */

/** `audio` and `video`: the id of a device, or whether there is to be any. */
export interface CameraSource {
  video?: string | boolean
  audio?: string | boolean
  width?: number
  height?: number
  fps?: number
}
export interface ScreenSource {
  fps?: number
  /** The microphone beside it, or none; the sound of what is shown comes along when the browser gives it. */
  audio?: string | boolean
}
export type MediaSource = { camera: CameraSource } | { screen: ScreenSource } | { stream: MediaStream }

export type DeviceProblemCode =
  | 'media.not_allowed'
  | 'media.no_device'
  | 'media.in_use'
  | 'media.insecure'
  | 'media.unsupported'
  | 'media.cancelled'

/** This device, or its owner, said no. */
export class DeviceError extends Error {
  override name = 'DeviceError'
  readonly code: DeviceProblemCode
  constructor(code: DeviceProblemCode, message: string) {
    super(message)
    this.code = code
  }
}

/** What browsers call it. */
const codes: Record<string, DeviceProblemCode> = {
  NotAllowedError: 'media.not_allowed',
  SecurityError: 'media.not_allowed',
  NotFoundError: 'media.no_device',
  OverconstrainedError: 'media.no_device',
  NotReadableError: 'media.in_use',
  AbortError: 'media.cancelled',
}

function devices(): MediaDevices {
  // Browsers hide them from pages that are neither https nor on this machine.
  if (!navigator.mediaDevices)
    throw new DeviceError('media.insecure', 'Camera and microphone need https, or a page on localhost.')
  return navigator.mediaDevices
}

async function asked<T>(ask: () => Promise<T>): Promise<T> {
  try {
    return await ask()
  } catch (error) {
    if (error instanceof DeviceError) throw error
    const { name, message } = error as Error
    throw new DeviceError(codes[name] ?? 'media.unsupported', message)
  }
}

const chosen = (id: string | boolean | undefined): MediaTrackConstraints | boolean =>
  typeof id === 'string' ? { deviceId: { exact: id } } : id !== false

function cameraConstraints({ video, audio, width = 1_280, height = 720, fps = 30 }: CameraSource): MediaStreamConstraints {
  const size = { width: { ideal: width }, height: { ideal: height }, frameRate: { ideal: fps } }
  const device = chosen(video)
  return { audio: chosen(audio), video: device === false ? false : { ...size, ...(device === true ? {} : device) } }
}

async function openScreen({ fps = 30, audio }: ScreenSource): Promise<MediaStream> {
  const stream = await devices().getDisplayMedia({ video: { frameRate: { ideal: fps } }, audio: true })
  if (audio === false || stream.getAudioTracks().length > 0) return stream
  // The window has no sound of its own: the voice is what is left, and no reason to fail.
  const voice = await devices()
    .getUserMedia({ audio: chosen(audio) })
    .catch(() => undefined)
  for (const track of voice?.getTracks() ?? []) stream.addTrack(track)
  return stream
}

export function openSource(source: MediaSource): Promise<MediaStream> {
  if ('stream' in source) return Promise.resolve(source.stream)
  if ('screen' in source) return asked(() => openScreen(source.screen))
  return asked(() => devices().getUserMedia(cameraConstraints(source.camera)))
}

export const stopTracks = (stream: MediaStream | undefined): void => {
  for (const track of stream?.getTracks() ?? []) track.stop()
}

/** Names are empty until somebody allowed a device. */
export function listDevices(): Promise<MediaDeviceInfo[]> {
  return asked(() => devices().enumerateDevices())
}
