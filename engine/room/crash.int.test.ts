/** Real processes, ended by SIGTERM and by kill -9: what was answered is there after the next start. */
import { type ChildProcess, spawn } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { packageRoot } from '../base/package.ts'
import { programEntry } from '../base/worker-entry.ts'
import { signToken } from '../edge/tokens.ts'
import { TestClient } from '../testing.ts'

const { file, execArgv } = programEntry(new URL('../main.ts', import.meta.url))
const secret = 'a secret of at least thirty-two bytes'
let dataDir = ''
const started: ChildProcess[] = []
beforeEach(() => {
  dataDir = mkdtempSync(join(tmpdir(), 'livehouse-crash-'))
})
afterEach(() => {
  for (const child of started.splice(0)) child.kill('SIGKILL')
  rmSync(dataDir, { recursive: true, force: true })
})

const quiet = ['--port', '0', '--admin-port', '0', '--log-level', 'error', '--no-media']
async function serve(...flags: string[]) {
  const child = spawn(process.execPath, [...execArgv, file, 'serve', ...quiet, '--data-dir', dataDir, ...flags], {
    cwd: packageRoot,
    env: { PATH: process.env['PATH'], HOME: process.env['HOME'], LIVEHOUSE_SECRET: secret },
  })
  started.push(child)
  const exit = new Promise<number | null>((resolve) => child.once('exit', (code) => resolve(code)))
  const url = await new Promise<string>((resolve, reject) => {
    let printed = ''
    const read = (chunk: Buffer) => {
      printed += chunk
      const address = /WebSocket +(\S+)/.exec(printed)?.[1]
      if (address) resolve(address)
    }
    child.stdout.on('data', read)
    child.stderr.on('data', read)
    void exit.then(() => reject(new Error(printed)))
  })
  return { child, exit, url }
}

async function open(url: string, sub: string): Promise<TestClient> {
  const client = await TestClient.connect(url, 'json')
  const token = await signToken(new TextEncoder().encode(secret), { sub, ttlMs: 600_000 }, Date.now())
  await client.ok('session.open', { token })
  await client.ok('room.join', {}, 'demo')
  return client
}

it('SIGTERM: everybody is told to come back and closed, nothing that was answered is lost, and the process ends with 0', async () => {
  const { child, exit, url } = await serve('--drain-ms', '300')
  const host = await open(url, 'demo_owner')
  const guest = await TestClient.connect(url, 'proto')
  await guest.ok('session.open', {})
  await host.ok('room.update', { title: 'before the end' }, 'demo')
  const taps = Promise.all(Array.from({ length: 10 }, () => host.call('like.tap', { n: 2 }, 'demo')))
  await host.roundTrip()
  child.kill('SIGTERM')
  for (const client of [host, guest]) {
    expect((await client.next('server.draining')).d).toEqual({ reconnectAfterMs: expect.any(Number) })
  }
  // Who has not left yet may go on until the end.
  await host.ok('room.set_settings', { slowModeMs: 3_000 }, 'demo')
  const answered = (await taps).filter(({ ok }) => ok).length
  for (const client of [host, guest]) expect(await client.closed).toMatchObject({ code: 4000 })
  expect(await exit).toBe(0)

  const next = await serve()
  const again = await open(next.url, 'demo_owner')
  const room = await again.ok('room.join', {}, 'demo')
  expect(room).toMatchObject({ room: { title: 'before the end' }, settings: { slowModeMs: 3_000 } })
  expect(room.likes).toBeGreaterThanOrEqual(answered * 2)
})

it('kill -9 while everything changes: every answered change is there after the restart', async () => {
  /** The last answered value of each kind, and the one that was under way: the disk has one of the two, or a later one. */
  const known = { title: 0, slowModeMs: 0, likes: 0, wall: 0, epoch: 0 }
  const mutes = new Set<string>()
  const roles = new Set<string>()
  for (let round = 0; round < 3; round++) {
    const { child, exit, url } = await serve()
    const host = await open(url, 'demo_owner')
    const room = await host.ok('room.join', {}, 'demo')
    const { mutes: kept, roles: granted } = await host.ok('room.list_restrictions', {}, 'demo')
    expect(room.epoch).toBeGreaterThan(known.epoch)
    expect(Number(room.room.title.split(' ')[1] ?? 0) || 0).toBeGreaterThanOrEqual(known.title)
    expect(room.settings.slowModeMs).toBeGreaterThanOrEqual(known.slowModeMs)
    expect(room.likes).toBeGreaterThanOrEqual(known.likes)
    if (known.wall > 0) expect(Number(room.wall.text)).toBeGreaterThanOrEqual(known.wall)
    expect(kept.map((mute: { userId: string }) => mute.userId)).toEqual(expect.arrayContaining([...mutes]))
    expect(granted.map((grant: { userId: string }) => grant.userId)).toEqual(expect.arrayContaining([...roles]))
    Object.assign(known, { epoch: room.epoch, likes: room.likes })

    let n = round * 10_000
    let isOver = false
    let isLiked = false
    const others = await Promise.all([1, 2, 3].map(() => open(url, 'demo_owner')))
    const lane = async (client: TestClient, step: (client: TestClient, value: number) => Promise<void>) => {
      while (!isOver) await step(client, ++n).catch(() => (isOver = true))
    }
    const [a, b, c] = others as [TestClient, TestClient, TestClient]
    const lanes = [
      lane(host, async (client, value) => {
        await client.ok('room.update', { title: `title ${value}` }, 'demo')
        known.title = Math.max(known.title, value)
      }),
      lane(a, async (client, value) => {
        await client.ok('room.mute', { userId: `troll${value}`, durationMs: -1 }, 'demo')
        mutes.add(`troll${value}`)
        if (roles.size < 150) {
          await client.ok('room.grant_role', { userId: `staff${value}`, role: 'assistant' }, 'demo')
          roles.add(`staff${value}`)
        }
      }),
      lane(b, async (client, value) => {
        await client.ok('wall.show', { text: String(value), showMs: 3_600_000 }, 'demo')
        known.wall = Math.max(known.wall, value)
        await client.ok('room.set_settings', { slowModeMs: value }, 'demo')
        known.slowModeMs = Math.max(known.slowModeMs, value)
      }),
      lane(c, async (client) => {
        known.likes = Math.max(known.likes, (await client.ok('like.tap', { n: 7 }, 'demo')).total)
        isLiked = true
      }),
    ]
    // At a moment that no part of the engine chose: after some answered changes, in the middle of others.
    const enough = 20 + Math.floor(Math.random() * 60) + round * 10_000
    while ((n < enough || !isLiked) && !isOver) await host.next(() => true)
    child.kill('SIGKILL')
    await exit
    await Promise.all(lanes)
  }
  expect(mutes.size).toBeGreaterThan(3)
  expect(known.likes).toBeGreaterThan(7)
})
