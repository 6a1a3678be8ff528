/** What a new room starts with. The shape and bounds stand in `schemas/messages.ts`. */
import type { SettingsShape } from '../../schemas/messages.ts'

export const defaultSettings: Readonly<SettingsShape> = {
  chat: true,
  gift: true,
  like: true,
  mic: true,
  pk: true,
  link: true,
  slowModeMs: 0,
  muteAll: false,
  uniqueChat: false,
  emoteOnly: false,
  reverseMode: false,
}
