/**
 * WHIP and WHEP with a client that is not ours: Chromium's own RTCPeerConnection and fetch. What it publishes is decoded by another page.
 */
import { type Browser, chromium, type Page } from 'playwright-core'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { type SignalServer, serveSignals } from './signals-http.ts'
import { startTestNode, type TestNode } from './testing.ts'

const flags = ['--headless', '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-sync']
const quiet = ['--disable-background-networking', '--disable-component-update', '--autoplay-policy=no-user-gesture-required']

let sfu: TestNode
let server: SignalServer
let browser: Browser
beforeAll(async () => {
  // The second viewer of a room is put on the other worker.
  sfu = await startTestNode({ workers: 2, consumersPerRouterMax: 2 })
  server = await serveSignals(sfu.node)
  browser = await chromium.launch({ executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium', args: [...flags, ...quiet] })
}, 600_000)
afterAll(async () => {
  await browser?.close()
  server?.close()
  sfu?.close()
})

/** Runs in the page: a WHIP and a WHEP client of the plainest kind. */
const clients = `
  window.whip = async (url, { codec, rids }) => {
    // Chromium sends three layers of 960x540 and more.
    const [width, height] = rids ? [960, 540] : [640, 360]
    const canvas = Object.assign(document.createElement('canvas'), { width, height })
    const paint = canvas.getContext('2d')
    let frame = 0
    setInterval(() => { paint.fillStyle = 'hsl(' + (frame * 7 % 360) + ',90%,50%)'; paint.fillRect(0, 0, width, height); paint.fillStyle = '#000'; paint.fillText(String(frame++), frame % 600, 180) }, 66)
    const audio = new AudioContext()
    const tone = audio.createOscillator()
    const out = audio.createMediaStreamDestination()
    tone.connect(out); tone.start()
    const stream = new MediaStream([...canvas.captureStream(15).getTracks(), ...out.stream.getTracks()])
    const pc = new RTCPeerConnection({ bundlePolicy: 'max-bundle' })
    pc.addTransceiver(stream.getAudioTracks()[0], { direction: 'sendonly', streams: [stream] })
    const sendEncodings = rids && rids.map((rid, at) => ({ rid, scaleResolutionDownBy: 2 ** at }))
    const video = pc.addTransceiver(stream.getVideoTracks()[0], { direction: 'sendonly', streams: [stream], ...(rids ? { sendEncodings } : {}) })
    if (codec) {
      const all = RTCRtpSender.getCapabilities('video').codecs
      const isWanted = ({ mimeType, sdpFmtpLine = '' }) => mimeType === codec && (codec !== 'video/H264' || /42e01f/.test(sdpFmtpLine) && /mode=1/.test(sdpFmtpLine))
      video.setCodecPreferences([...all.filter(isWanted), ...all.filter(({ mimeType }) => mimeType === 'video/rtx')])
    }
    return window.negotiate(pc, url)
  }
  window.whep = async (url, setup = 'actpass') => {
    const pc = new RTCPeerConnection({ bundlePolicy: 'max-bundle' })
    pc.addTransceiver('audio', { direction: 'recvonly' })
    pc.addTransceiver('video', { direction: 'recvonly' })
    const video = document.createElement('video')
    video.muted = true; video.autoplay = true
    document.body.append(video)
    window.shown = 0
    const count = () => { window.shown++; video.requestVideoFrameCallback(count) }
    video.requestVideoFrameCallback(count)
    pc.ontrack = ({ streams }) => { video.srcObject = streams[0] }
    return window.negotiate(pc, url, setup)
  }
  window.negotiate = async (pc, url, setup = 'actpass') => {
    window.pc = pc
    const candidates = []
    pc.onicecandidate = ({ candidate }) => candidate && candidates.push(candidate)
    await pc.setLocalDescription(await pc.createOffer())
    const response = await fetch(url, { method: 'POST', headers: { 'content-type': 'application/sdp' }, body: pc.localDescription.sdp.replaceAll('setup:actpass', 'setup:' + setup) })
    if (response.status !== 201) return { status: response.status, retryAfter: response.headers.get('retry-after'), body: await response.text() }
    window.resource = new URL(response.headers.get('location'), url).href
    window.etag = response.headers.get('etag')
    window.answer = await response.text()
    await pc.setRemoteDescription({ type: 'answer', sdp: window.answer })
    return { status: 201, answer: window.answer, trickled: await window.trickle(pc, candidates) }
  }
  const lineOf = (sdp, name) => sdp.match(new RegExp('a=' + name + ':(.*)'))[1].trim()
  const iceOf = (sdp) => ['ice-ufrag', 'ice-pwd'].map((name) => 'a=' + name + ':' + lineOf(sdp, name))
  const patch = (ifMatch, lines) => fetch(window.resource, {
    method: 'PATCH', headers: { 'content-type': 'application/trickle-ice-sdpfrag', ...(ifMatch ? { 'if-match': ifMatch } : {}) }, body: lines.join('\\r\\n') + '\\r\\n',
  })
  window.trickle = async (pc, candidates) => {
    if (pc.iceGatheringState !== 'complete') await new Promise((done) => { pc.onicegatheringstatechange = () => pc.iceGatheringState === 'complete' && done() })
    const lines = [...iceOf(pc.localDescription.sdp), 'm=audio 9 UDP/TLS/RTP/SAVPF 0', 'a=mid:0', ...candidates.map(({ candidate }) => 'a=' + candidate), 'a=end-of-candidates']
    return [(await patch(window.etag, lines)).status, (await patch('"another"', lines)).status, (await patch(undefined, lines)).status]
  }
  window.restart = async () => {
    const { pc } = window
    const selected = async () => [...(await pc.getStats()).values()].find(({ type }) => type === 'transport').iceLocalUsernameFragment
    const before = await selected()
    await pc.setLocalDescription(await pc.createOffer({ iceRestart: true }))
    const response = await patch('*', [...iceOf(pc.localDescription.sdp), 'm=audio 9 UDP/TLS/RTP/SAVPF 0', 'a=mid:0'])
    const fragment = await response.text()
    const [ufrag, pwd] = iceOf(fragment)
    const sdp = window.answer.replace(/a=ice-ufrag:.*/g, ufrag).replace(/a=ice-pwd:.*/g, pwd)
    await pc.setRemoteDescription({ type: 'answer', sdp })
    const isNewEtag = response.headers.get('etag') !== window.etag
    window.etag = response.headers.get('etag')
    for (;;) {
      const after = await selected()
      if (after !== before && pc.iceConnectionState !== 'checking' && pc.connectionState === 'connected') return { status: response.status, isNewEtag, fragment }
      await new Promise((done) => setTimeout(done, 50))
    }
  }
  window.remove = async () => [(await fetch(window.resource, { method: 'DELETE' })).status, (await fetch(window.resource, { method: 'DELETE' })).status]
  window.statsOf = async (type, kind) => [...(await window.pc.getStats()).values()].filter((one) => one.type === type && one.kind === kind)
  // Pictures that were decoded, and shown, and sound packets, so many more than now.
  window.more = async (frames) => {
    const now = async () => {
      const [picture, sound] = [(await window.statsOf('inbound-rtp', 'video'))[0], (await window.statsOf('inbound-rtp', 'audio'))[0]]
      return [picture?.framesDecoded ?? 0, window.shown, sound?.packetsReceived ?? 0]
    }
    const from = await now()
    while (!(await now()).every((count, at) => count >= from[at] + frames)) await new Promise((done) => setTimeout(done, 50))
  }
  window.width = async (wanted) => {
    while ((await window.statsOf('inbound-rtp', 'video'))[0]?.frameWidth !== wanted) await new Promise((done) => setTimeout(done, 50))
  }
  window.ended = async () => {
    while (window.pc.connectionState === 'connected') await new Promise((done) => setTimeout(done, 50))
  }
`

type Answered = { status: number; retryAfter?: string; body?: string; answer?: string; trickled?: number[] }
/** What `clients` puts into the page. */
interface Clients {
  whip(url: string, options: { codec?: string; rids?: string[] }): Promise<Answered>
  whep(url: string, setup?: string): Promise<Answered>
  answer: string
  pc: { close(): void }
  restart(): Promise<{ status: number; isNewEtag: boolean; fragment: string }>
  remove(): Promise<number[]>
  more(frames: number): Promise<void>
  width(wanted: number): Promise<void>
  ended(): Promise<void>
  statsOf(type: string, kind: string): Promise<Record<string, number>[]>
}

async function newPage(): Promise<Page> {
  const page = await browser.newPage()
  await page.goto(server.origin)
  await page.evaluate(clients)
  return page
}
const publish = (page: Page, path: string, options: { codec?: string; rids?: string[] } = {}) =>
  page.evaluate(([url, wanted]) => (globalThis as unknown as Clients).whip(url, wanted), [server.origin + path, options] as const)
const play = (page: Page, path: string, setup = 'actpass') =>
  page.evaluate(([url, as]) => (globalThis as unknown as Clients).whep(url, as), [server.origin + path, setup] as const)
const more = (page: Page, frames: number) => page.evaluate((wanted) => (globalThis as unknown as Clients).more(wanted), frames)

async function live(room: string, options: { codec?: string; rids?: string[] } = {}): Promise<Page> {
  await sfu.node.request('room.open', { room })
  const publisher = await newPage()
  const published = await publish(publisher, `/whip/${room}`, options)
  expect(published).toMatchObject({ status: 201, trickled: [204, 412, 428] })
  for (const kind of ['audio', 'video'])
    await sfu.until('track.opened', (event) => event.room === room && event.track.kind === kind)
  return publisher
}

it.each(['video/VP8', 'video/H264'])('published by WHIP, played by WHEP on two workers: %s', async (codec) => {
  const room = codec.slice(6)
  const publisher = await live(room, { codec })
  const viewer = await newPage()
  const played = await play(viewer, `/whep/${room}`)
  expect(played).toMatchObject({ status: 201, trickled: [204, 412, 428] })
  await more(viewer, 20)
  const [picture] = await viewer.evaluate(() => (globalThis as unknown as Clients).statsOf('inbound-rtp', 'video'))
  expect(picture).toMatchObject({ frameWidth: 640, frameHeight: 360 })
  // Retransmission has the number that the viewer gave it.
  expect(played.answer).toContain(`a=ssrc-group:FID ${picture?.['ssrc']} ${picture?.['rtxSsrc']}\r\n`)

  const other = await newPage()
  expect(await play(other, `/whep/${room}`, 'passive')).toMatchObject({ status: 201 })
  expect(await other.evaluate(() => (globalThis as unknown as Clients).answer)).toContain('a=setup:active')
  await more(other, 10)
  expect(sfu.node.rooms.get(room)?.places.all).toHaveLength(2)
  // It leaves without a word to HTTP.
  await other.evaluate(() => (globalThis as unknown as Clients).pc.close())
  await sfu.until('transport.closed', (event) => event.room === room && event.peer.startsWith('whep'))
  await other.close()
  // New ICE on both sides: the picture goes on.
  for (const page of [publisher, viewer]) {
    const restarted = await page.evaluate(() => (globalThis as unknown as Clients).restart())
    expect(restarted).toMatchObject({ status: 200, isNewEtag: true })
    expect(restarted.fragment).toMatch(/a=candidate:/)
    await more(viewer, 10)
  }

  expect(await viewer.evaluate(() => (globalThis as unknown as Clients).remove())).toEqual([200, 404])
  await viewer.evaluate(() => (globalThis as unknown as Clients).ended())
  expect(await publisher.evaluate(() => (globalThis as unknown as Clients).remove())).toEqual([200, 404])
  const signals = sfu.node.rooms.get(room)?.signals
  expect({ resources: signals?.size, layouts: signals?.layouts.size, peers: sfu.node.rooms.get(room)?.peers.size }).toEqual({
    resources: 0,
    layouts: 0,
    peers: 0,
  })
  await Promise.all([publisher, viewer].map((page) => page.close()))
})

it('simulcast by WHIP: a producer of three layers; a viewer may get each of them', async () => {
  const room = 'layers'
  const publisher = await live(room, { codec: 'video/VP8', rids: ['h', 'm', 'l'] })
  const of = sfu.node.rooms.get(room)
  const [picture] = of?.tracks.filter(({ shape }) => shape.kind === 'video') ?? []
  expect(picture?.producer.type).toBe('simulcast')
  expect(picture?.producer.rtpParameters.encodings).toHaveLength(3)
  const viewer = await newPage()
  expect(await play(viewer, `/whep/${room}`)).toMatchObject({ status: 201 })
  await more(viewer, 10)
  const [watching] = [...(of?.peers.values() ?? [])].filter(({ consumers }) => consumers.size > 0)
  const consumer = [...(watching?.consumers.values() ?? [])].find(({ layers }) => layers === 3)?.consumer
  if (!watching || !consumer) throw new Error('nobody watches layers')
  // The lowest is a quarter of the picture in each direction.
  await sfu.node.request('consumer.layers', { room, peer: watching.id, consumer: consumer.id, spatial: 0 })
  await viewer.evaluate(() => (globalThis as unknown as Clients).width(240))
  await more(viewer, 10)
  await Promise.all([publisher, viewer].map((page) => page.close()))
})

it('nothing is live; then it is; a picture of another codec ends what viewers have, and they ask again', async () => {
  const room = 'again'
  await sfu.node.request('room.open', { room })
  const viewer = await newPage()
  expect(await play(viewer, `/whep/${room}`)).toMatchObject({ status: 409, retryAfter: '3' })
  const first = await live(room, { codec: 'video/VP8' })
  expect(await play(viewer, `/whep/${room}`)).toMatchObject({ status: 201 })
  await more(viewer, 10)
  expect(await first.evaluate(() => (globalThis as unknown as Clients).remove())).toEqual([200, 404])
  const second = await newPage()
  // The old picture waits for its line to come back, but this one is of another codec.
  expect(await publish(second, `/whip/${room}`, { codec: 'video/H264' })).toMatchObject({ status: 201 })
  await viewer.evaluate(() => (globalThis as unknown as Clients).ended())
  await sfu.until('track.opened', ({ room: of, track }) => of === room && track.kind === 'video' && track.id !== '')
  for (;;) {
    const asked = await play(viewer, `/whep/${room}`)
    if (asked.status === 201 && asked.answer?.includes('H264/90000')) break
  }
  await more(viewer, 10)
  await Promise.all([first, second, viewer].map((page) => page.close()))
})
