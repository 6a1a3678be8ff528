import { afterEach, describe, expect, test } from 'vitest'
import { figures, Run } from './measure.ts'
import { Server } from './server.ts'

describe('a swarm at a bare server', () => {
  let run: Run | undefined
  afterEach(() => run?.stop())

  test.each(['json', 'proto'] as const)('counts every message at every connection once, %s', async (encoding) => {
    run = await Run.start(await Server.peer(5), { viewers: 40, talkers: 4, probes: 2, encoding })
    await run.warm({ perS: 200, forMs: 100 })
    const row = figures(await run.slice({ perS: 500, forMs: 400 }))
    expect(row.connections).toBe(40)
    expect(row.expected).toBe(200 * 40)
    expect(row.arrived).toBe(row.expected)
    expect(row.everythingArrived).toBe(true)
    // Stamps that a read cut in two are left out.
    expect(row.timedSamples).toBeGreaterThan(300)
    expect(row.timedSamples).toBeLessThanOrEqual(400)
    expect(row.closed).toEqual({})
  })
})
