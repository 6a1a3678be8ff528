/** The client against the real engine: both encodings, resume over a cut socket, refusals, a crowd that arrives. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { SystemClock } from '../base/clock.ts'
import { seededRandom } from '../base/random.ts'
import { loadConfig } from '../config.ts'
import { Crowd, readPlan } from '../crowd.ts'
import { signToken } from '../edge/tokens.ts'
import { type Engine, startEngine } from '../engine.ts'
import { LiveClient } from './client.ts'
import type { Socket } from './host.ts'
import { connect, nodeHost, RefusedError } from './node.ts'
import type { RoomEvent, RoomView } from './room.ts'

let engine: Engine
let dir: string
const clients: LiveClient[] = []

beforeAll(async () => {
  dir = mkdtempSync(join(tmpdir(), 'livehouse-client-'))
  const argv = [
    '--port=0',
    '--admin-port=0',
    `--data-dir=${dir}`,
    '--log-level=silent',
    '--no-media',
    '--danmaku-per-user-burst-max=20',
  ]
  engine = await startEngine(loadConfig({ argv, env: {}, cwd: dir }))
})
afterAll(async () => {
  for (const client of clients) client.close()
  await engine?.stop()
  rmSync(dir, { recursive: true, force: true })
})

const tokenOf = (sub: string) => signToken(engine.secret, { sub, name: sub, ttlMs: 600_000 }, new SystemClock().now())

function kept<T extends LiveClient>(client: T): T {
  clients.push(client)
  return client
}

/** The next danmaku with this text. */
const heard = (room: RoomView, text: string) =>
  new Promise<RoomEvent>((resolve) => {
    const off = room.on('danmaku.sent', (d, event) => {
      if (d.text !== text) return
      off()
      resolve(event)
    })
  })

describe.each(['proto', 'json'] as const)('in %s', (encoding) => {
  test('one writes, the other reads; anonymous viewers only read', async () => {
    const url = engine.webSocketUrl
    const writer = kept(connect({ url, encoding, token: () => tokenOf(`writer_${encoding}`) }))
    const reader = kept(connect({ url, encoding }))
    const [mine, theirs] = await Promise.all([writer.join('demo'), reader.join('demo')])
    expect(mine.state).toMatchObject({ room: { id: 'demo', state: 'open' }, me: { userId: `writer_${encoding}`, roles: [] } })
    expect(theirs.state.me.anonymous).toBe(true)
    const [reply, own, other] = await Promise.all([
      mine.send({ text: `hello in ${encoding}` }),
      heard(mine, `hello in ${encoding}`),
      heard(theirs, `hello in ${encoding}`),
    ])
    expect([own.seq, other.seq]).toEqual([reply.seq, reply.seq])
    await expect(theirs.send({ text: 'me too' })).rejects.toMatchObject({ code: 'auth.required' })
    await expect(mine.send({ text: 'x'.repeat(41) })).rejects.toMatchObject({ code: 'chat.too_long', detail: { max: 40 } })
    await expect(writer.join(`none_${encoding}`)).rejects.toBeInstanceOf(RefusedError)
  })

  test('a cut connection resumes with what was missed, once and in order', async () => {
    let socket: Socket | undefined
    const host = {
      ...nodeHost,
      openSocket: (url: string, subprotocol: string) => {
        socket = nodeHost.openSocket(url, subprotocol)
        return socket
      },
    }
    const away = kept(new LiveClient(host, { url: engine.webSocketUrl, encoding, retryMsMin: 1, retryMsMax: 50 }))
    const room = await away.join('demo')
    const speaker = kept(connect({ url: engine.webSocketUrl, token: await tokenOf(`speaker_${encoding}`) }))
    const stage = await speaker.join('demo')
    const seen: RoomEvent[] = []
    room.on('danmaku.sent', (_, event) => seen.push(event))
    const first = heard(room, `before ${encoding}`)
    await stage.send({ text: `before ${encoding}` })
    await first

    const isAway = new Promise<void>((resolve) => {
      const off = room.on('status', (status) => {
        if (status !== 'away') return
        off()
        resolve()
      })
    })
    const last = heard(room, `missed 3 ${encoding}`)
    // The way back is closed until everything was said.
    let back = () => {}
    const gone = new Promise<void>((resolve) => {
      back = resolve
    })
    const open = host.openSocket
    host.openSocket = () => {
      throw new Error('no network')
    }
    void gone.then(() => {
      host.openSocket = open
    })
    away.on('error', () => undefined)
    socket?.terminate?.()
    await isAway
    for (const n of [1, 2, 3]) await stage.send({ text: `missed ${n} ${encoding}` })
    back()
    expect((await last).missed).toBe(true)
    const texts = seen.map(({ d }) => (d as { text: string }).text).filter((text) => text.endsWith(encoding))
    expect(texts).toEqual([`before ${encoding}`, `missed 1 ${encoding}`, `missed 2 ${encoding}`, `missed 3 ${encoding}`])
  })
})

test('a crowd comes in through the public socket and talks', async () => {
  const plan = readPlan([`--url=${engine.webSocketUrl}`, '--viewers=10', '--rate=50', '--minutes=1'])
  const crowd = new Crowd(plan, { clock: new SystemClock(), random: seededRandom(3) })
  const running = crowd.run()
  await expect.poll(() => crowd.said, { timeout: 20_000 }).toBeGreaterThan(10)
  await expect.poll(() => crowd.joined, { timeout: 20_000 }).toBe(10)
  crowd.stop()
  await running
})
