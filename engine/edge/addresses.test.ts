import { expect, it } from 'vitest'
import { ManualClock } from '../base/clock.ts'
import { Addresses, isLoopback } from './addresses.ts'

it('open sockets of one address are bounded, and a close makes room', () => {
  const addresses = new Addresses(new ManualClock(), { connectionsMax: 2, connectsPerSMax: 0 })
  expect([1, 2, 3].map(() => addresses.connect('10.0.0.1') === undefined)).toEqual([true, true, false])
  expect(addresses.connect('10.0.0.2')).toBeUndefined()
  addresses.disconnect('10.0.0.1')
  expect(addresses.connect('10.0.0.1')).toBeUndefined()
  expect(addresses.refused).toBe(1)
})

it('so are new ones per second, refused ones among them', () => {
  const clock = new ManualClock()
  const addresses = new Addresses(clock, { connectionsMax: 0, connectsPerSMax: 5 })
  const connects = (n: number) => Array.from({ length: n }, () => addresses.connect('10.0.0.1')).filter((one) => !one).length
  expect(connects(8)).toBe(5)
  clock.advance(400)
  expect(connects(5)).toBe(2)
  expect(addresses.connect('10.0.0.1')?.status).toMatch(/^429/)
})

it('loopback is exempt, in every spelling', () => {
  const addresses = new Addresses(new ManualClock(), { connectionsMax: 1, connectsPerSMax: 1 })
  for (const address of ['127.0.0.1', '127.1.2.3', '::1', '::ffff:127.0.0.1', '0000:0000:0000:0000:0000:ffff:7f00:0001']) {
    expect(isLoopback(address), address).toBe(true)
    for (let n = 0; n < 5; n++) expect(addresses.connect(address)).toBeUndefined()
  }
  for (const address of ['128.0.0.1', '10.127.0.1', '::2', '']) expect(isLoopback(address), address).toBe(false)
})

it('addresses without sockets are forgotten: a million strangers leave no trace', () => {
  const clock = new ManualClock()
  const addresses = new Addresses(clock, { connectionsMax: 1, connectsPerSMax: 0 })
  addresses.connect('10.9.9.9')
  for (let n = 0; n < 5_000; n++) {
    addresses.connect(`10.0.${n >> 8}.${n & 255}`)
    addresses.disconnect(`10.0.${n >> 8}.${n & 255}`)
    clock.advance(10)
  }
  // Whoever still has a socket is known through every sweep.
  expect(addresses.connect('10.9.9.9')).toBeDefined()
  addresses.disconnect('10.8.8.8')
  expect(addresses.connect('10.8.8.8')).toBeUndefined()
})
