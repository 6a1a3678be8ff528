/**
 * Idle: 10,000 connections that joined one room and say nothing; what each costs the process in memory.
 *
 * The memory of the process is read before the first connection, after a tenth of them, and at the end, each time after a
 * garbage collection, as the lowest of several looks: what starting and connecting left behind would be counted else. V8 gives
 * memory of the start back late all the same, so the difference from the empty process can come out too small; the target is held
 * against the larger of it and of what one more connection costs from the tenth on. The kernel's socket buffers are in neither.
 * A bare uWebSockets.js program with the same connections stands beside it.
 */
import type { Options } from './options.ts'
import { printCells, type Result } from './report.ts'
import { collectable, Server } from './server.ts'
import { Swarm } from './swarm.ts'

const bytesPerConnectionMax = 4096
const perAddress = 20_000
const settleMsMax = 6_000
const settleStepMs = 1_000

export async function idle(options: Options): Promise<Result> {
  const engine = await cost(await Server.engine(options.env, [...collectable, ...options.nodeFlags]), options)
  const bare = await cost(await Server.peer(0, collectable), options)
  const kb = (bytes: number) => (bytes / 1024).toFixed(2)
  console.log(
    `\nIdle: ${options.viewers} connections in one room, ${options.signedIn ? 'signed in' : 'anonymous'}, ${options.encoding}`,
  )
  const mb = (bytes: number) => (bytes / 1024 ** 2).toFixed(1)
  const rows = [engine, bare].map((one) => [
    one.name,
    String(one.connections),
    ...[one.empty, one.tenth, one.full].map(mb),
    ...[one.each, one.oneMore].map(kb),
  ])
  printCells([['', 'connections', 'RSS empty MB', 'a tenth MB', 'all MB', 'KB/connection', 'KB/one more'], ...rows])
  return {
    scenario: 'idle',
    more: { engine, bare },
    options: { viewers: options.viewers, signedIn: options.signedIn, encoding: options.encoding },
    figures: [],
    targets: [
      {
        what: 'process memory of an idle connection in a room',
        target: '<= 4 KB',
        measured: `${kb(engine.each)} KB, one more ${kb(engine.oneMore)} KB (bare uWS ${kb(bare.each)} and ${kb(bare.oneMore)} KB)`,
        met: Math.max(engine.each, engine.oneMore) <= bytesPerConnectionMax,
      },
    ],
  }
}

async function cost(server: Server, options: Options) {
  const { encoding, threads, signedIn } = options
  const first = Math.max(20, Math.round(options.viewers / 10))
  const addresses = Array.from({ length: Math.ceil(options.viewers / perAddress) }, (_, i) => `127.0.0.${i + 1}`)
  const shape = { encoding, threads, signedIn, port: server.port, secret: server.secret, talkers: 1, localAddresses: addresses }
  const swarms: Swarm[] = []
  try {
    const empty = await settledRss(server)
    swarms.push(await Swarm.connect({ ...shape, viewers: first, name: 'first' }))
    const tenth = await settledRss(server)
    swarms.push(await Swarm.connect({ ...shape, viewers: options.viewers - first, name: 'rest' }))
    const full = await settledRss(server)
    const counts = await Promise.all(swarms.map((swarm) => swarm.counts()))
    if (counts.some(({ closed }) => Object.keys(closed).length > 0)) throw new Error(`${server.name} closed idle connections`)
    const connections = options.viewers
    const each = (full - empty) / connections
    return { name: server.name, connections, empty, tenth, full, each, oneMore: (full - tenth) / (connections - first) }
  } finally {
    await Promise.all(swarms.map((swarm) => swarm.end()))
    await server.stop()
  }
}

/** The lowest of several looks, each after a collection. */
async function settledRss(server: Server): Promise<number> {
  let lowest = Number.POSITIVE_INFINITY
  for (let waitedMs = 0; waitedMs < settleMsMax; waitedMs += settleStepMs) {
    server.collect()
    await new Promise((resolve) => setTimeout(resolve, settleStepMs))
    lowest = Math.min(lowest, server.usage().rssBytes)
  }
  return lowest
}
