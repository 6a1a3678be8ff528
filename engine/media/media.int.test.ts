/** A real node process with real workers: up beside the engine, its worker killed, itself killed, hung, and gone with the engine. */
import { type ChildProcess, spawn } from 'node:child_process'
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { isDeepStrictEqual } from 'node:util'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { packageRoot } from '../base/package.ts'
import { programEntry } from '../base/worker-entry.ts'
import { startTestEngine, type TestClient, type TestEngine } from '../testing.ts'
import { mediaReady, sendPicture, until } from './fixtures/client.ts'
import type { Media } from './media.ts'

let engine: TestEngine
let media: Media
let owner: TestClient
let viewer: TestClient
const children: ChildProcess[] = []

beforeAll(async () => {
  engine = await startTestEngine({ media: true, mediaWorkers: 1 })
  media = engine.media as Media
  owner = await engine.connect({ token: await engine.token('demo_owner') })
  viewer = await engine.connect()
  const { stream } = await viewer.ok('room.join', {}, 'demo')
  expect(stream.state).toBe(media.isReady ? 'off' : 'unavailable')
  await owner.ok('room.join', {}, 'demo')
  await mediaReady(engine)
}, 60_000)
afterAll(async () => {
  for (const child of children) child.kill('SIGKILL')
  await engine.stop()
})

const snapshot = async () => (await (await engine.connect()).ok('room.join', {}, 'demo')).stream
async function goLive(): Promise<void> {
  const { ingestJson } = await owner.ok('stream.open_ingest', {}, 'demo')
  for (const child of children.splice(0)) child.kill('SIGKILL')
  children.push(sendPicture(JSON.parse(ingestJson)))
  for (let track = 0; track < 2; track++) await viewer.next('stream.published')
}
const metric = async (name: string) => {
  const page = await (await fetch(new URL('/metrics', engine.adminUrl))).text()
  return Number(new RegExp(`^${name} (\\S+)$`, 'm').exec(page)?.[1])
}

it('is told about to viewers, operators and Prometheus', async () => {
  expect(await snapshot()).toEqual({ state: 'off', tracks: [], lines: [], degradeLevel: 0 })
  await goLive()
  await until('a sample', () => media.sample.rooms.some(({ room }) => room === 'demo'))
  const { status, body } = await engine.admin('GET', '/media')
  expect(status).toBe(200)
  expect(body).toMatchObject({ state: { is: 'ready' }, degradeLevel: 0, roomsTotal: 1, workers: [{ rooms: 1 }] })
  expect(body.rooms[0]).toMatchObject({ room: 'demo', peers: 1, links: 0 })
  await until('operators to see what the node told', async () => {
    const [shown] = (await engine.admin('GET', '/media')).body.rooms
    return isDeepStrictEqual(shown, media.sample.rooms[0])
  })
  expect(await metric('livehouse_media_ready')).toBe(1)
  expect(await metric('livehouse_media_rooms')).toBe(1)
  const gauges = ['workers', 'worker_cpu_bps', 'worker_cpu_bps_max', 'transports', 'consumers', 'links', 'requests_under_way']
  const traffic = ['egress_bps', 'egress_bps_peak', 'ingress_bps']
  const totals = [
    'node_deaths_total',
    'worker_deaths_total',
    'bitrate_cuts_total',
    'held_overflows_total',
    'dropped_packets_total',
  ]
  for (const name of [...gauges, ...traffic, ...totals])
    expect([name, (await metric(`livehouse_media_${name}`)) >= 0]).toEqual([name, true])
  for (const name of ['failovers', 'takeovers', 'cuts', 'lost'])
    expect([name, await metric(`livehouse_stream_${name}_total`)]).toEqual([name, 0])
  expect(await metric('livehouse_media_requests_total{outcome="answered"}')).toBeGreaterThan(0)
})

it('operators degrade a room, all rooms, and change its line; each is in the audit', async () => {
  expect((await engine.admin('POST', '/rooms/demo/stream:degrade', { level: 2 })).status).toBe(200)
  expect((await viewer.next('stream.degraded')).d).toEqual({ level: 2, by: 'operator' })
  expect((await engine.admin('POST', '/media:degrade', { level: 3 })).status).toBe(200)
  expect((await viewer.next('stream.degraded')).d).toEqual({ level: 3, by: 'operator' })
  expect((await engine.admin('POST', '/media:degrade', { level: 1 })).status).toBe(200)
  expect((await viewer.next('stream.degraded')).d).toEqual({ level: 2, by: 'operator' })
  expect((await snapshot()).degradeLevel).toBe(2)
  expect((await engine.admin('POST', '/rooms/demo/stream:degrade', { level: 9 })).status).toBe(400)
  expect((await engine.admin('POST', '/rooms/demo/stream:switch-line', { line: 'primary' })).body).toEqual({ line: 'primary' })
  expect((await engine.admin('POST', '/rooms/demo/stream:switch-line', { line: 'backup' })).status).toBe(404)
  expect((await engine.admin('POST', '/rooms/none/stream:cut')).status).toBe(404)

  const as = async (scope: string, path: string) => {
    const headers = { authorization: `Bearer ${await engine.token('mia', { scope })}` }
    return (await fetch(new URL(`/admin/v1${path}`, engine.adminUrl), { headers })).status
  }
  expect([await as('media', '/media'), await as('audit:read', '/media'), await as('media', '/plugins')]).toEqual([200, 403, 403])
  const { items } = await engine.store.audit.list(0, 100).then((list) => ({ items: list }))
  expect(items.map(({ action }) => action)).toContain('POST /media::degrade')
})

it('a worker that dies takes no show along: tracks are made anew', async () => {
  const [{ pid } = { pid: 0 }] = media.sample.workers
  process.kill(pid, 'SIGKILL')
  await viewer.next('stream.migrated')
  expect(viewer.of('stream.unpublished')).toHaveLength(2)
  expect(await snapshot()).toMatchObject({ state: 'live', tracks: [], lines: [] })
  await goLive()
  expect(viewer.of('stream.started')).toHaveLength(1)
  expect(viewer.of('stream.stopped')).toEqual([])
  await until('the death to be counted', () => media.counts.workerDeaths === 1)
  // Levels outlive a worker.
  expect(await media.request('room.describe', { room: 'demo' })).toMatchObject({ degradeLevel: 2 })
})

it('a node that dies is started again, with what it was told', async () => {
  process.kill(media.pid as number, 'SIGKILL')
  await viewer.next('stream.migrated')
  expect((await owner.refused('stream.open_ingest', {}, 'demo')).code).toBe('stream.unavailable')
  expect((await snapshot()).state).toBe('unavailable')
  expect((await engine.admin('GET', '/media')).body).toMatchObject({ state: { is: 'starting' }, nodeDeaths: 1, workers: [] })
  await mediaReady(engine)
  await goLive()
  expect(viewer.of('stream.started')).toHaveLength(1)
  expect(await media.request('room.describe', { room: 'demo' })).toMatchObject({ degradeLevel: 2 })
})

it('a node that hangs answers nobody, and is replaced', async () => {
  const pid = media.pid as number
  process.kill(pid, 'SIGSTOP')
  expect((await owner.refused('stream.switch_line', { line: 'auto' }, 'demo')).code).toBe('stream.unavailable')
  expect(media.counts.timedOut).toBeGreaterThan(0)
  // Chat is not held up by it.
  await viewer.roundTrip()
  await until('another node', () => media.isReady && media.pid !== pid)
  expect(media.deaths).toBe(2)
})

it('ends with the engine, however that ends', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'livehouse-media-'))
  const { file, execArgv } = programEntry(new URL('../main.ts', import.meta.url))
  const env = { PATH: process.env.PATH, HOME: process.env.HOME, LIVEHOUSE_DATA_DIR: folder, LIVEHOUSE_MEDIA_WORKERS: '1' }
  const flags = ['serve', '--port', '0', '--admin-port', '0']
  const child = spawn(process.execPath, [...execArgv, file, ...flags], { cwd: packageRoot, env, stdio: 'ignore' })
  try {
    const nodes = () =>
      readFileSync(`/proc/${child.pid}/task/${child.pid}/children`, 'utf8')
        .split(' ')
        .filter((pid) => pid !== '' && readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes('sfu/main'))
    const [node] = await until('its node', () => nodes().length > 0 && nodes())
    const workers = () => readFileSync(`/proc/${node}/task/${node}/children`, 'utf8').split(' ').filter(Boolean)
    const [worker] = await until('its worker', () => workers().length > 0 && workers())
    child.kill('SIGKILL')
    await until('node and worker to end', () => !existsSync(`/proc/${node}`) && !existsSync(`/proc/${worker}`))
  } finally {
    child.kill('SIGKILL')
    rmSync(folder, { recursive: true, force: true })
  }
})
