/** What the homes of a node are given, and what they count together. */
import type { Bus } from '../base/bus.ts'
import type { Clock } from '../base/clock.ts'
import type { Log } from '../base/log.ts'
import type { IdSource } from '../base/random.ts'
import type { Config } from '../config.ts'
import type { Billing } from '../live/billing.ts'
import { type MediaNode, type MicMeters, newMicMeters, newStreamMeters, type StreamMeters } from '../live/media.ts'
import type { Guards } from '../plugin/checks/guards.ts'
import type { Transforms } from '../plugin/checks/transforms.ts'
import type { DeliveryAccounts } from './account.ts'
import type { PluginCommands } from './commands.ts'
import { type LaneCounts, noCounts, type RoomEvent } from './event.ts'
import type { Home } from './home.ts'
import type { Scheduler } from './scheduler.ts'
import type { Store } from './store.ts'

export interface HomeMeters {
  committed: LaneCounts
  flushes: number
  storeFailures: number
  gifts: GiftMeters
  /** Givers whose standing on a board was looked up on disk, because more are on it than a room keeps. */
  boardLookups: number
  stream: StreamMeters
  mic: MicMeters
}
/** Sends that were turned away by their rate, by too many under way, and those whose answer from the ledger was lost. */
export interface GiftMeters {
  limited: number
  busy: number
  unanswered: number
}
export const newMeters = (): HomeMeters => ({
  committed: noCounts(),
  flushes: 0,
  storeFailures: 0,
  gifts: { limited: 0, busy: 0, unanswered: 0 },
  boardLookups: 0,
  stream: newStreamMeters(),
  mic: newMicMeters(),
})

export interface HomeParts {
  clock: Clock
  newId: IdSource
  bus: Bus
  store: Store
  config: Config
  scheduler: Scheduler
  accounts: DeliveryAccounts
  guards: Guards
  transforms: Transforms
  plugins: PluginCommands
  /** Undefined: no ledger, and so no gifts. */
  billing: Billing | undefined
  /** Absent: chat alone. */
  media?: MediaNode | undefined
  log?: Log
  meters: HomeMeters
  /** What a tick committed, in order: for the event hooks of plugins. */
  onCommitted(home: Home, events: readonly RoomEvent[]): void
  onError(error: unknown, room: string): void
  onIdle(home: Home): void
  /** Title, state or number of viewers changed: for the list of rooms. */
  onInfo(home: Home): void
}
