/**
 * Every code that a client can be refused with, and every close code of a socket. Numbers and names never change their meaning.
 * `retry`: whether the same command may succeed later without the user doing anything else.
 */
export const errors = {
  'request.malformed': { retry: false, doc: 'The frame is not a request: bad JSON, bad protobuf, bad UTF-8, nested too deep.' },
  'request.unknown_command': { retry: false, doc: 'No such command; `d.hint` names the nearest one.' },
  'request.invalid': { retry: false, doc: 'A field has a wrong type or is out of range; `d.field` names it.' },
  'request.too_large': { retry: false, doc: 'The frame is larger than `inboundFrameBytesMax`.' },
  'rate.limited': { retry: true, doc: 'Too many commands; wait `retryAfterMs`.' },
  'session.not_open': { retry: false, doc: 'Send `session.open` first.' },
  'session.already_open': { retry: false, doc: 'This connection has a session.' },
  'session.inbox_full': { retry: true, doc: 'More commands wait for an answer than `inboxMax`.' },
  'session.too_many': { retry: true, doc: 'The user has `sessionsPerUserMax` open sessions.' },
  'session.wrong_user': { retry: false, doc: 'The new token belongs to another user.' },
  'session.unavailable': { retry: true, doc: 'A check that must be asked before a session opens does not answer now.' },
  'auth.invalid': { retry: false, doc: 'The token is not valid: signature, audience, expiry or claims.' },
  'auth.required': { retry: false, doc: 'Anonymous viewers read only; sign in to do this.' },
  'perm.denied': { retry: false, doc: 'Your role in this room does not allow it.' },
  'perm.target_protected': { retry: false, doc: 'The other user has a role that yours cannot act on.' },
  'room.not_found': { retry: false, doc: 'No such room.' },
  'room.exists': { retry: false, doc: 'A room with this id exists.' },
  'room.not_joined': { retry: false, doc: 'Join the room first.' },
  'room.closed': { retry: true, doc: 'The room is not live now.' },
  'room.kicked': { retry: false, doc: 'You were removed from this room until `d.untilAt` (-1: for ever).' },
  'room.full': { retry: true, doc: 'The room has `roomConnectionsMax` connections.' },
  'room.too_many': { retry: false, doc: 'The bound on rooms is reached: rooms of the engine, or joined rooms of a session.' },
  'room.like_disabled': { retry: false, doc: 'Likes are switched off in this room.' },
  'room.bad_state': { retry: false, doc: 'The room is already in that state.' },
  'room.taken_down': { retry: false, doc: 'The room was taken down.' },
  'room.unavailable': {
    retry: true,
    doc: 'The home of the room, or a check that must be asked, did not answer in time; retry with the same `ik`.',
  },
  'chat.disabled': { retry: false, doc: 'Danmaku are switched off in this room.' },
  'chat.muted': { retry: false, doc: 'You, or everybody, may not speak; `d.untilAt` (-1: for ever, 0: this live session).' },
  'chat.slow_mode': { retry: true, doc: 'Slow mode: wait `retryAfterMs`.' },
  'chat.duplicate': { retry: false, doc: 'The same text was sent a moment ago.' },
  'chat.too_long': { retry: false, doc: 'The text has more than `d.max` code points.' },
  'chat.empty': { retry: false, doc: 'Nothing to show: no text and no emote.' },
  'chat.color_locked': { retry: false, doc: 'This colour is not in the free palette.' },
  'chat.mode_locked': { retry: false, doc: 'This display mode is not open to you in this room.' },
  'chat.emote_only': { retry: false, doc: 'The room takes emotes only.' },
  'chat.emote_unknown': { retry: false, doc: 'No such emote.' },
  'danmaku.unavailable': { retry: true, doc: 'A check that must be asked before a danmaku is shown does not answer now.' },
  'content.rejected': { retry: false, doc: 'A moderation rule refused the text.' },
  'content.held': { retry: false, doc: 'Kept back until somebody has looked at it; `d.caseId` names the case.' },
  'content.unavailable': { retry: true, doc: 'A check of content that must be asked does not answer now.' },
  'risk.challenge_required': { retry: true, doc: 'A proof is asked of you first; `d.hint` names its kind.' },
  'message.not_found': { retry: false, doc: 'No such message among the recent ones.' },
  'room.gift_disabled': { retry: false, doc: 'Gifts are switched off in this room.' },
  'gift.not_available': { retry: false, doc: 'This gift is not offered here, or not now.' },
  'gift.level_required': { retry: false, doc: 'This gift is for users of a higher level: who gave more.' },
  'gift.bad_receiver': { retry: false, doc: 'Gifts go to the owner of the room.' },
  'gift.unavailable': { retry: true, doc: 'A check that must be asked before a gift is given does not answer now.' },
  'wallet.insufficient': { retry: false, doc: 'Not enough coins.' },
  'gift.user_disabled': { retry: false, doc: 'Gifts are switched off for this account.' },
  'wallet.frozen': { retry: false, doc: 'Nothing can be paid from this wallet until an operator has looked at it.' },
  'limit.exceeded': {
    retry: true,
    doc: 'A bound is reached, of spending for one; `d.resetAt` says when it ends.',
  },
  'billing.unavailable': {
    retry: true,
    doc: 'Prices or the ledger do not answer now. Retry with the same `ik`: the coins move once at most.',
  },
  'idem.key_required': { retry: false, doc: 'This command moves money and needs an `ik`.' },
  'room.live_banned': { retry: false, doc: 'This room may not go live now.' },
  'stream.denied': { retry: false, doc: 'You may not publish in this room.' },
  'stream.unavailable': {
    retry: true,
    doc: 'No picture and sound now: the media part of this engine is not ready. Wait `retryAfterMs`; `d.hint` says how far it is.',
  },
  'stream.no_capacity': { retry: true, doc: 'The media servers are full; wait `retryAfterMs`.' },
  'stream.gone': { retry: false, doc: 'No such transport, track or consumer (any more).' },
  'stream.bad_params': { retry: false, doc: 'The media parameters are none that can be used.' },
  'stream.codec': {
    retry: false,
    doc: 'This codec is not taken here, or the other line sends another one.',
  },
  'stream.line_taken': { retry: false, doc: 'Somebody publishes on this line already.' },
  'stream.bitrate': { retry: false, doc: 'More than the allowed bitrate was sent.' },
  'mic.disabled': { retry: false, doc: 'The mic is switched off in this room.' },
  'mic.queue_full': { retry: true, doc: 'The queue for the mic is full.' },
  'mic.level_required': { retry: false, doc: 'Your level is too low for the mic in this room.' },
  'mic.already': { retry: false, doc: 'You wait for the mic already, or are on it.' },
  'mic.seat_taken': { retry: false, doc: 'This seat, or every seat, is taken or locked.' },
  'mic.expired': { retry: false, doc: 'The application or invitation is over.' },
  'mic.grant_invalid': { retry: false, doc: 'Nobody let you take this seat, or the time for it is over.' },
  'mic.unavailable': { retry: true, doc: 'A check that must be asked before somebody takes the mic does not answer now.' },
  'wall.empty': { retry: false, doc: 'Nothing is pinned.' },
  'wall.unavailable': { retry: true, doc: 'A check that must be asked before something is pinned does not answer now.' },
  'plugin.unavailable': { retry: true, doc: 'The plugin that owns this command does not answer now.' },
  'plugin.failed': { retry: false, doc: 'The plugin that owns this command failed; it is logged.' },
  'idem.conflict': { retry: false, doc: 'The key was used with another body.' },
  'idem.in_flight': { retry: true, doc: 'The first command with this key is still under way; wait `retryAfterMs`.' },
  'server.draining': { retry: true, doc: 'This server is going down; reconnect.' },
  'server.busy': { retry: true, doc: 'No room for another connection now; wait `retryAfterMs`.' },
  'server.store_unavailable': { retry: true, doc: 'The change could not be written to disk; nothing happened.' },
  'server.internal': { retry: true, doc: 'Our fault; it is logged.' },
} as const

export type ErrorCode = keyof typeof errors
/** A refusal in a plugin's own words: `x.<plugin>.<reason>`. */
export type PluginErrorCode = `x.${string}.${string}`

/** 4000-4499: come back (with back-off). 4500-4999: do not. */
export const closeCodes = {
  serverDraining: { code: 4000, doc: 'The server is going down.' },
  tooSlow: { code: 4001, doc: 'The connection read too slowly for too long.' },
  openTimeout: { code: 4002, doc: 'No `session.open` within `openTimeoutMs`.' },
  tokenExpired: { code: 4003, doc: 'The token expired; come back with a fresh one.' },
  protocolError: { code: 4500, doc: 'Too many malformed frames.' },
  flooding: { code: 4501, doc: 'Far too many commands after refusals.' },
  kicked: { code: 4502, doc: 'Removed from the only room of this session.' },
  authInvalid: { code: 4503, doc: 'Tokens were refused three times; our client gives up at the first.' },
  frameTooLarge: { code: 4504, doc: 'A frame was larger than `inboundFrameBytesMax`.' },
  removedByOperator: { code: 4505, doc: 'All sessions of this user were ended by an operator or a plugin.' },
} as const

export interface ErrorBody {
  code: ErrorCode | PluginErrorCode
  msg: string
  retryAfterMs?: number | undefined
  d?:
    | {
        field?: string | undefined
        untilAt?: number | undefined
        max?: number | undefined
        hint?: string | undefined
        caseId?: string | undefined
        resetAt?: number | undefined
      }
    | undefined
}
