/**
 * What the engine says, in words for people: refusals, ends, times. Pure; the tests hold the sentences that matter.
 */
export interface Refusal {
  code: string
  message: string
  retryAfterMs?: number | undefined
  detail: {
    untilAt?: number | undefined
    max?: number | undefined
    field?: string | undefined
    resetAt?: number | undefined
  }
}

export interface Explanation {
  text: string
  /** Shown as a countdown behind the text, which then says "in". */
  waitMs?: number
}

const secondMs = 1_000
const minuteMs = 60_000
const hourMs = 3_600_000

export function clockTime(at: number): string {
  const date = new Date(at)
  return `${String(date.getHours()).padStart(2, '0')}:${String(date.getMinutes()).padStart(2, '0')}`
}

/** `untilAt` of the contract: -1 for ever, 0 this live session, else an instant; a day away gets its date. */
export function untilWords(untilAt: number, now = Date.now()): string {
  if (untilAt === -1) return 'for good'
  if (untilAt === 0) return 'for the rest of this live show'
  if (untilAt - now < 20 * hourMs) return `until ${clockTime(untilAt)}`
  return `until ${new Date(untilAt).toLocaleDateString('en', { day: 'numeric', month: 'short' })}, ${clockTime(untilAt)}`
}

/** 3100 -> "4 s": a wait is never shown shorter than it is. */
export function waitWords(ms: number): string {
  if (ms < minuteMs) return `${Math.max(1, Math.ceil(ms / secondMs))} s`
  if (ms < hourMs) return `${Math.ceil(ms / minuteMs)} min`
  return `${Math.floor(ms / hourMs)} h ${Math.ceil((ms % hourMs) / minuteMs)} min`
}

export function durationWords(ms: number): string {
  const total = Math.max(0, Math.floor(ms / secondMs))
  const [hours, minutes, seconds] = [Math.floor(total / 3600), Math.floor((total % 3600) / 60), total % 60]
  const two = (value: number) => String(value).padStart(2, '0')
  return hours > 0 ? `${hours}:${two(minutes)}:${two(seconds)}` : `${minutes}:${two(seconds)}`
}

/** 12345 -> "12.3k": counters that must not jump in width. */
export function shortNumber(value: number): string {
  if (value < 10_000) return String(value)
  if (value < 1_000_000) return `${(value / 1_000).toFixed(1)}k`
  return `${(value / 1_000_000).toFixed(1)}M`
}

/** 1834 -> "1.8 Mbit/s". */
export const bitrateWords = (kbps: number): string => (kbps < 1_000 ? `${kbps} kbit/s` : `${(kbps / 1_000).toFixed(1)} Mbit/s`)

/** By its shorter side, as people call it: 720p, also when it stands upright. */
export const sizeWords = (width: number, height: number): string => `${Math.min(width, height)}p`

/** Why sending, or the mic, ended by itself. */
const ends: Record<string, string> = {
  source_ended: 'The camera or screen was switched off, so the picture ended.',
  taken_over: 'This line is now sent from another page or program of yours.',
  operator: 'The show was cut by the platform.',
  ended: 'The show was ended.',
  room_closed: 'The room was closed.',
  dropped: 'You are not on the mic any more.',
}
export const endWords = (code: string): string => ends[code] ?? explain({ code, message: '', detail: {} }).text

/** 12345 -> "12,345": money is never rounded. Sums of many people come as text. */
export const coinWords = (value: number | bigint | string): string => BigInt(value).toLocaleString('en-US')

/** A bound that ends within a minute is one of a minute; nobody waits for midnight with less than that to go and minds. */
const windowWords = (resetAt: number, now: number): string => (resetAt - now <= minuteMs ? 'in a minute' : 'in a day')

type Words = (refusal: Refusal, now: number) => string
const sentences: Record<string, string | Words> = {
  'chat.disabled': 'The streamer has switched the chat off.',
  'chat.muted': ({ detail }, now) =>
    detail.untilAt === undefined ? 'Nobody may write just now.' : `You are muted ${untilWords(detail.untilAt, now)}.`,
  'chat.slow_mode': 'Slow mode is on. You can write again in',
  'chat.duplicate': 'You said exactly this a moment ago.',
  'chat.too_long': ({ detail }) => (detail.max ? `That is too long: at most ${detail.max} characters.` : 'That is too long.'),
  'chat.empty': 'There is nothing to send yet.',
  'chat.color_locked': 'This colour is not open to you here.',
  'chat.mode_locked': 'This way of showing is not open to you here.',
  'chat.emote_only': 'This room takes emotes only right now.',
  'content.rejected': 'The room’s rules do not allow this text.',
  'message.not_found': 'That message is gone.',
  'rate.limited': 'That was a bit fast. Try again in',
  'auth.required': 'Sign in to do this.',
  'auth.invalid': 'Your sign-in is no longer valid. Please sign in again.',
  'session.too_many': 'You have this open in too many places. Close one of them.',
  'perm.denied': 'Your role in this room does not allow this.',
  'perm.target_protected': 'This person’s role is protected from yours.',
  'room.not_found': 'There is no such room.',
  'room.not_joined': 'You are not in the room.',
  'room.closed': 'The room is not live at the moment.',
  'room.kicked': ({ detail, message }, now) => {
    const until = detail.untilAt ? ` ${untilWords(detail.untilAt, now)}` : ''
    return `You were removed from this room${until}${message && message !== 'no' ? `: ${message}` : '.'}`
  },
  'room.full': 'The room is full. We keep trying.',
  'room.like_disabled': 'Likes are switched off here.',
  'room.bad_state': 'It already is that way.',
  'room.unavailable': 'The room did not answer in time. Please try again.',
  'room.gift_disabled': 'The streamer has switched gifts off.',
  'gift.not_available': ({ message }) => (/\s/.test(message) ? message : 'This gift is not to be had here, or not now.'),
  'gift.bad_receiver': 'Gifts go to the host of the room.',
  'gift.unavailable': 'The gift could not be checked, so nothing was sent. Please try again.',
  'wallet.insufficient': 'You have not enough coins for this.',
  'limit.exceeded': ({ message, detail: { max, resetAt } }, now) => {
    if (resetAt === undefined) return /\s/.test(message) ? message : 'That is more than may be spent here just now.'
    const bound =
      max === undefined ? 'more than may be spent just now' : `more than ${coinWords(max)} coins ${windowWords(resetAt, now)}`
    return `With this you would give ${bound}. You can go on ${untilWords(resetAt, now).replace(/^until /, 'from ')}.`
  },
  'gift.user_disabled': 'Gifts are switched off for your account.',
  'wallet.frozen': 'Your wallet is frozen. Please write to the people who run this place.',
  'billing.unavailable': 'The till does not answer. Please try again in a moment.',
  'idem.conflict': 'This was asked for before as something else. Please start again.',
  'room.live_banned': ({ detail }, now) =>
    detail.untilAt ? `This room may not go live ${untilWords(detail.untilAt, now)}.` : 'This room may not go live now.',
  'room.taken_down': 'This room was taken down by the platform.',
  'stream.denied': 'You may not send picture and sound in this room.',
  'stream.unavailable': 'Picture and sound are not ready here yet. Please try again in a moment.',
  'stream.no_capacity': 'All places for picture and sound are taken just now. Please try again in a moment.',
  'stream.gone': 'That picture has ended.',
  'stream.bad_params': 'This browser and the server could not agree on how to send it.',
  'stream.codec': 'This device cannot play the picture, or sends another kind than the other line does.',
  'stream.line_taken': 'Somebody else sends on this line already. Choose the other one.',
  'stream.bitrate': 'More was sent than is allowed here, so it was cut.',
  'mic.disabled': 'The mic is switched off in this room.',
  'mic.queue_full': 'Too many people wait for the mic just now. Try again in a moment.',
  'mic.level_required': 'Your level is too low for the mic in this room.',
  'mic.already': 'You wait for the mic already, or are on it.',
  'mic.seat_taken': 'That seat is taken or locked.',
  'mic.expired': 'That application or invitation is over.',
  'mic.grant_invalid': 'The seat is no longer kept for you. Please ask again.',
  'mic.unavailable': 'The mic cannot be given just now. Please try again in a moment.',
  'media.not_allowed':
    'The browser was not allowed to use the camera or microphone. Its lock symbol beside the address changes that.',
  'media.no_device': 'No such camera or microphone was found.',
  'media.in_use': 'The camera or microphone is busy in another program.',
  'media.insecure': 'Camera and microphone need a page over https, or one on this machine.',
  'media.unsupported': 'This browser cannot do that.',
  'media.cancelled': 'Nothing was chosen.',
  'wall.empty': 'Nothing is pinned.',
  'idem.in_flight': 'Your message is still on its way.',
  'server.store_unavailable': 'The change could not be saved, so nothing happened. Please try again.',
  'server.busy': 'The server is busy. Please try again in a moment.',
  'server.internal': 'Something broke on our side. Please try again.',
  'connection.closed': ({ message }) => message || 'The connection was closed.',
}

export function explain(refusal: Refusal, now = Date.now()): Explanation {
  const sentence = sentences[refusal.code]
  const text = typeof sentence === 'function' ? sentence(refusal, now) : (sentence ?? refusal.message ?? refusal.code)
  const waits = refusal.retryAfterMs !== undefined && refusal.retryAfterMs > 0
  if (text.endsWith(' in')) return waits ? { text, waitMs: refusal.retryAfterMs as number } : { text: `${text} a moment.` }
  return { text }
}

const isRefusal = (error: unknown): error is Refusal => error instanceof Error && error.name === 'RefusedError'
const isOfDevice = (error: unknown): error is Error & { code: string } => error instanceof Error && error.name === 'DeviceError'

/** Any error of a call. */
export function explainError(error: unknown): Explanation {
  if (isRefusal(error)) return explain(error)
  if (isOfDevice(error)) return explain({ code: error.code, message: error.message, detail: {} })
  if (error instanceof Error && error.name === 'ConnectionLostError')
    return { text: 'The connection broke before the answer came. Please look whether it arrived, then try again.' }
  return { text: error instanceof Error ? error.message : String(error) }
}

/** Code points, as the engine counts; "👍🏽" is two. */
export const codePoints = (text: string): number => [...text].length
