import { expect, test } from 'vitest'
import { ManualClock } from '../../base/clock.ts'
import { silentLog } from '../../base/log.ts'
import { definePlugin } from '../define.ts'
import { manifestOf } from '../manifest.ts'
import type { Channel, ChannelEvents } from './channel.ts'
import { RemotePlace } from './remote-place.ts'

const manifest = manifestOf(definePlugin({ name: 'far', version: '1.0.0' }), '0.1.0')

/** The plugin's side, in the hands of the test. */
class Wire implements Channel {
  events: ChannelEvents | undefined
  sent = 0
  readonly #closedBefore: string | undefined
  constructor(closedBefore?: string) {
    this.#closedBefore = closedBefore
  }
  open(events: ChannelEvents): void {
    this.events = events
    if (this.#closedBefore !== undefined) events.onClose(this.#closedBefore)
  }
  send(): boolean {
    this.sent++
    return true
  }
  close(): void {}
}

async function setup() {
  const told: string[] = []
  const clock = new ManualClock(0)
  const place = new RemotePlace(manifest, {
    clock,
    liveClock: clock,
    log: silentLog,
    events: {
      onCall: async () => undefined,
      onInstance: (change, instance) => told.push(`${change} ${instance}`),
      onUnfit: () => {},
      onLog: (_, fields, msg) => told.push(`${(fields as { instance: string }).instance}: ${msg}`),
      onCount: () => {},
    },
  })
  await place.start(1, {})
  return { place, told, clock }
}

test('an instance that left while it was looked at joins nothing, and no timer of it stays', async () => {
  const { place, told, clock } = await setup()
  const early = new Wire('changed its mind')
  place.join('early', early)
  expect(place.size).toBe(0)
  expect(told).toEqual(['early: instance ended before it was ready'])
  clock.advance(60_000)
  expect(early.sent).toBe(0)
  const wire = new Wire()
  place.join('second', wire)
  wire.events?.onText('[{"k":"ready","settings":1}]')
  expect([place.size, place.isHealthy]).toEqual([1, true])
  wire.events?.onClose('goodbye')
  expect([place.size, place.isHealthy]).toEqual([0, false])
  expect(told.slice(1)).toEqual(['attached second', 'detached second'])
})
