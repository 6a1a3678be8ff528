/** What media exports for Prometheus. Rooms are no labels: their number has no bound; the ones with most traffic are in the admin API. */
import type { RoomSample, WorkerSample } from '../../schemas/sfu.ts'
import type { Metrics } from '../base/metrics.ts'
import type { MicMeters, StreamMeters } from '../live/media.ts'
import type { Media, MediaCounts } from './media.ts'

const outcomes = [
  ['answered', 'answered'],
  ['refused', 'refused'],
  ['timed_out', 'timedOut'],
  ['unsent', 'unsent'],
] as const satisfies readonly (readonly [string, keyof MediaCounts])[]

const sum = <T>(list: readonly T[], of: (one: T) => number): number => list.reduce((total, one) => total + of(one), 0)

/** Without media all of it stays 0. */
export function exportMedia(metrics: Metrics, media: Media | undefined, meters: StreamMeters): void {
  const workers = (of: (one: WorkerSample) => number) => () => sum(media?.sample.workers ?? [], of)
  const rooms = (of: (one: RoomSample) => number) => () => sum(media?.sample.rooms ?? [], of)
  metrics.gauge('livehouse_media_ready', '1 while there can be picture and sound.', () => (media?.isReady ? 1 : 0))
  for (const [outcome, kind] of outcomes)
    metrics.total(
      'livehouse_media_requests_total',
      'Requests to the media node; unsent: it was not ready, or too many were under way.',
      () => media?.counts[kind] ?? 0,
      { outcome },
    )
  metrics.gauge('livehouse_media_requests_under_way', 'Requests that wait for the media node.', () => media?.underWay ?? 0)
  metrics.total('livehouse_media_node_deaths_total', 'Ends of the media node that nobody asked for.', () => media?.deaths ?? 0)
  metrics.total('livehouse_media_worker_deaths_total', 'Media workers that died.', () => media?.counts.workerDeaths ?? 0)
  metrics.gauge('livehouse_media_workers', 'Media workers.', () => media?.sample.workers.length ?? 0)
  metrics.gauge(
    'livehouse_media_worker_cpu_bps',
    'CPU of all media workers together, basis points of one core.',
    workers(({ cpuBps }) => cpuBps),
  )
  metrics.gauge('livehouse_media_worker_cpu_bps_max', 'That of the busiest.', () =>
    Math.max(0, ...(media?.sample.workers ?? []).map(({ cpuBps }) => cpuBps)),
  )
  metrics.gauge('livehouse_media_rooms', 'Rooms with media.', () => media?.sample.rooms.length ?? 0)
  metrics.gauge(
    'livehouse_media_transports',
    'Transports of clients.',
    workers(({ transports }) => transports),
  )
  metrics.gauge(
    'livehouse_media_consumers',
    'Tracks x viewers.',
    workers(({ consumers }) => consumers),
  )
  metrics.gauge(
    'livehouse_media_links',
    'Shows of other rooms that rooms can play.',
    rooms(({ links }) => links),
  )
  metrics.gauge(
    'livehouse_media_egress_bps',
    'Bits per second to viewers.',
    rooms(({ egressBps }) => egressBps),
  )
  metrics.gauge(
    'livehouse_media_egress_bps_peak',
    'Most of it at once since the start; that of each room is in the admin API.',
    () => media?.egressBpsPeak ?? 0,
  )
  metrics.gauge(
    'livehouse_media_ingress_bps',
    'Bits per second from publishers.',
    rooms(({ ingressBps }) => ingressBps),
  )
  metrics.total(
    'livehouse_media_bitrate_cuts_total',
    'Sounds and pictures that were ended because their publisher sent far more than it may.',
    () => media?.counts.bitrateCuts ?? 0,
  )
  metrics.total(
    'livehouse_media_held_overflows_total',
    'Times that a line sent more since its last key frame than is held of it.',
    () => media?.counts.overflows ?? 0,
  )
  metrics.total(
    'livehouse_media_dropped_packets_total',
    'Packets that a media worker was too slow to take.',
    () => media?.counts.dropped ?? 0,
  )
  metrics.total('livehouse_stream_failovers_total', 'Changes of line that nobody asked for.', () => meters.failovers)
  metrics.total('livehouse_stream_takeovers_total', 'Lines that a user took over from themselves.', () => meters.takeovers)
  metrics.total('livehouse_stream_cuts_total', 'Shows that an operator or a plugin cut.', () => meters.cuts)
  metrics.total('livehouse_stream_lost_total', 'Rooms whose media ended with a worker or the node.', () => meters.lost)
  metrics.gauge(
    'livehouse_stream_whep_viewers',
    'Viewers by WHEP: they have no session, and are not among those online.',
    () => meters.whepViewers,
  )
  exportQos(metrics, meters)
}

/** The mic of all rooms together. */
export function exportMic(metrics: Metrics, meters: MicMeters): void {
  metrics.gauge('livehouse_mic_waiting', 'Viewers who wait for the mic.', () => meters.waiting)
  metrics.gauge('livehouse_mic_invited', 'Invitations to the mic that wait for an answer.', () => meters.invited)
  metrics.gauge('livehouse_mic_seats', 'Seats that are taken, or kept for somebody.', () => meters.seated)
  metrics.total('livehouse_mic_applications_total', 'Applications for the mic that found a place.', () => meters.applications)
  metrics.total('livehouse_mic_invitations_total', 'Invitations to the mic.', () => meters.invitations)
  metrics.total('livehouse_mic_grants_total', 'Seats given to somebody.', () => meters.grants)
  metrics.total(
    'livehouse_mic_applications_timed_out_total',
    'Applications that no host answered in time.',
    () => meters.lateApplications,
  )
  metrics.total(
    'livehouse_mic_invitations_timed_out_total',
    'Invitations that their guest did not answer in time.',
    () => meters.lateInvitations,
  )
  metrics.total(
    'livehouse_mic_grants_timed_out_total',
    'Seats that were given, or kept for a lost guest, and not taken up in time.',
    () => meters.lateGrants,
  )
}

function exportQos(metrics: Metrics, meters: StreamMeters): void {
  metrics.total('livehouse_stream_qos_reports_total', 'Reports of viewers that were counted.', () => meters.qosReports)
  metrics.total(
    'livehouse_stream_qos_refused_total',
    'Reports that came too often or claimed more than their window.',
    () => meters.qosRefused,
  )
  metrics.total('livehouse_stream_qos_play_ms_total', 'Time played, as viewers report it.', () => meters.qosPlayMs)
  metrics.total('livehouse_stream_qos_stall_ms_total', 'Of it, time stalled.', () => meters.qosStallMs)
  metrics.total('livehouse_stream_qos_alerts_total', 'Minutes of rooms with more than 0.5 % stalled.', () => meters.qosAlerts)
}
