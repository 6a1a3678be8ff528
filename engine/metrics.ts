/** What the engine exports for Prometheus. Every name here is documented by its help text; labels come from tables of ours. */
import { lanes } from '../schemas/messages.ts'
import type { Metrics } from './base/metrics.ts'
import type { Addresses } from './edge/addresses.ts'
import type { Edge } from './edge/edge.ts'
import type { OpenLedger } from './ledger/open.ts'
import { isPaymentsOpen } from './pay/open.ts'
import type { PluginDbs } from './plugin/db/plugin-dbs.ts'
import { type Account, type DeliveryAccounts, dispositions } from './room/account.ts'
import type { HomeMeters } from './room/home-parts.ts'
import type { Homes } from './room/homes.ts'
import type { Store } from './room/store.ts'

export interface Measured {
  ledger: OpenLedger | undefined
  accounts: DeliveryAccounts
  edge: Edge
  homes: Homes
  meters: HomeMeters
  store: Store
  addresses: Addresses
  dbs: PluginDbs
}

/** Without a ledger all of it stays 0. */
function exportLedger(metrics: Metrics, ledger: OpenLedger | undefined): void {
  const stats = () => ledger?.stats()
  metrics.gauge('livehouse_ledger_open', '1 while gifts and recharges can be posted.', () => (ledger?.state === 'open' ? 1 : 0))
  metrics.gauge(
    'livehouse_payments_open',
    '1 while recharges and payouts go through; 0 also when the audit found something broken: an alarm.',
    () => (isPaymentsOpen(ledger) ? 1 : 0),
  )
  metrics.gauge('livehouse_ledger_queued', 'Operations that wait for the disk.', () => stats()?.queued ?? 0)
  metrics.total('livehouse_ledger_commits_total', 'Group commits of the ledger.', () => stats()?.commits ?? 0)
  metrics.total('livehouse_ledger_answered_total', 'Operations that were posted or refused.', () => stats()?.answered ?? 0)
  metrics.total('livehouse_ledger_refused_total', 'Operations that the rules refused.', () => stats()?.refused ?? 0)
  metrics.total(
    'livehouse_ledger_failures_total',
    'Times that the ledger closed after a failed write.',
    () => stats()?.failures ?? 0,
  )
  metrics.gauge('livehouse_ledger_pos', 'Rows of the journal.', () => stats()?.pos ?? 0)
  metrics.gauge(
    'livehouse_ledger_audit_pos',
    'Rows of the journal that the audit has been through.',
    () => ledger?.audit.state.pos ?? 0,
  )
  metrics.total(
    'livehouse_ledger_broken_total',
    'Invariants that the audit found broken: anything but 0 is an alarm.',
    () => ledger?.audit.state.broken ?? 0,
  )
}

export function exportMetrics(
  metrics: Metrics,
  { accounts, edge, homes, meters, store, addresses, dbs, ledger }: Measured,
): void {
  exportLedger(metrics, ledger)
  let total: Account | undefined
  // A page asks 21 times in one turn; the sum over all loaded rooms is made once for it.
  const accountTotal = (): Account => {
    if (total) return total
    queueMicrotask(() => {
      total = undefined
    })
    total = accounts.total()
    return total
  }
  for (const kind of dispositions)
    for (const [at, lane] of lanes.entries())
      metrics.total(
        'livehouse_delivery_events_total',
        'Delivery account, event x entitled session: offered = written + sampled + collapsed + skipped + cut + lost.',
        () => accountTotal()[kind][at as 0],
        { disposition: kind, lane },
      )
  metrics.total(
    'livehouse_delivery_unconfirmed_bytes_total',
    'Bytes handed to sockets that were still unsent at their close.',
    () => accounts.unconfirmedBytes,
  )

  metrics.gauge('livehouse_connections', 'Open sockets.', () => edge.connections)
  metrics.gauge('livehouse_users', 'Users with an open session, anonymous devices included.', () => edge.users)
  metrics.total('livehouse_frames_received_total', 'Frames from clients.', () => edge.counts.frames)
  metrics.total('livehouse_frames_malformed_total', 'Frames that were no request.', () => edge.counts.malformed)
  metrics.total('livehouse_commands_limited_total', 'Commands over the rate of their session.', () => edge.counts.limited)
  metrics.total('livehouse_commands_refused_total', 'Commands answered with a refusal of any kind.', () => edge.counts.refused)
  metrics.total(
    'livehouse_connects_refused_total',
    'Sockets turned away by the bounds of their address.',
    () => addresses.refused,
  )

  metrics.total('livehouse_private_events_sent_total', 'Events for one user, event x session.', () => edge.privateEvents.sent)
  metrics.total(
    'livehouse_private_events_refused_total',
    'Events for one user that were dropped because their name is that of a room event.',
    () => edge.privateEvents.refused,
  )

  metrics.gauge('livehouse_slow_readers', 'Connections on the lean tier.', () => edge.slow.size)
  metrics.total('livehouse_slow_readers_detected_total', 'Readers that fell behind.', () => edge.slow.counts.detected)
  metrics.total(
    'livehouse_slow_readers_recovered_total',
    'Readers that caught up and were resynced.',
    () => edge.slow.counts.recovered,
  )
  metrics.total('livehouse_slow_readers_closed_total', 'Readers that were closed.', () => edge.slow.counts.closed)
  metrics.total('livehouse_resyncs_total', 'Room states sent anew, after a lag or a lost frame.', () => edge.relay.resyncs)

  metrics.gauge('livehouse_rooms_loaded', 'Rooms in memory.', () => homes.loaded)
  metrics.gauge('livehouse_rooms_open', 'Rooms that are live.', () => homes.directory.size)
  metrics.gauge('livehouse_rooms_relayed', 'Rooms with viewers on this edge.', () => edge.relay.rooms)
  for (const [at, lane] of lanes.entries())
    metrics.total('livehouse_events_committed_total', 'Room events that got a seq.', () => meters.committed[at as 0], { lane })
  metrics.total('livehouse_ticks_total', 'Ticks that committed something.', () => meters.flushes)

  for (const [outcome, kind] of giftsTurnedAway)
    metrics.total(
      'livehouse_gifts_turned_away_total',
      'Sends refused by their rate or with too many under way, and those whose answer from the ledger was lost.',
      () => meters.gifts[kind],
      { outcome },
    )

  metrics.total(
    'livehouse_board_lookups_total',
    'Givers whose standing on a board was looked up on disk: there are more on it than `boardMembersMax`.',
    () => meters.boardLookups,
  )

  metrics.gauge('livehouse_store_queued', 'Writes that wait for the disk.', () => store.stats().queued)
  metrics.total('livehouse_store_commits_total', 'Group commits.', () => store.stats().commits)
  metrics.total('livehouse_store_writes_total', 'Writes in them.', () => store.stats().writes)
  metrics.total('livehouse_store_refused_total', 'Writes refused because the queue was full.', () => store.stats().refused)
  metrics.total(
    'livehouse_store_failures_total',
    'Changes that were refused because the disk failed.',
    () => meters.storeFailures,
  )

  metrics.gauge('livehouse_plugin_db_queued', 'Calls that wait for the databases of plugins.', () => dbs.total().queued)
  for (const [outcome, kind] of dbOutcomes)
    metrics.total('livehouse_plugin_db_calls_total', 'Calls to the databases of plugins by outcome.', () => dbs.total()[kind], {
      outcome,
    })
  metrics.total(
    'livehouse_plugin_db_deaths_total',
    'Processes of plugin databases that ended unasked; the next call starts another.',
    () => dbs.total().deaths,
  )
}

const giftsTurnedAway = [
  ['rate', 'limited'],
  ['busy', 'busy'],
  ['unanswered', 'unanswered'],
] as const
const dbOutcomes = [
  ['done', 'done'],
  ['failed', 'failed'],
  ['busy', 'busy'],
] as const
