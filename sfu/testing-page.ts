/** For browser tests: how Chromium is started, and WHIP and WHEP clients that run in its pages. */

export const executablePath = process.env.CHROMIUM ?? '/usr/bin/chromium'
const flags = ['--headless', '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-sync']
const quiet = ['--disable-background-networking', '--disable-component-update', '--autoplay-policy=no-user-gesture-required']
export const chromiumFlags = [...flags, ...quiet]

/** Runs in the page: a WHIP and a WHEP client of the plainest kind. */
export const clients = `
  window.whip = async (url, { codec, rids, size }) => {
    // Chromium sends three layers of 960x540 and more.
    const [width, height] = size ?? (rids ? [960, 540] : [640, 360])
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
  // Many viewers on one page, each with a connection of its own.
  const crowd = new Map()
  window.come = async (url, name) => {
    const pc = new RTCPeerConnection({ bundlePolicy: 'max-bundle' })
    pc.addTransceiver('video', { direction: 'recvonly' })
    pc.addTransceiver('audio', { direction: 'recvonly' })
    await pc.setLocalDescription(await pc.createOffer())
    const response = await fetch(url, { method: 'POST', headers: { 'content-type': 'application/sdp' }, body: pc.localDescription.sdp })
    if (response.status !== 201) throw new Error(await response.text())
    await pc.setRemoteDescription({ type: 'answer', sdp: await response.text() })
    crowd.set(name, { pc, resource: new URL(response.headers.get('location'), url).href })
  }
  window.leave = async (name, isPolite) => {
    const { pc, resource } = crowd.get(name)
    crowd.delete(name)
    if (isPolite) await fetch(resource, { method: 'DELETE' })
    pc.close()
  }
  window.look = () => Promise.all([...crowd].map(async ([name, { pc }]) => {
    const all = [...(await pc.getStats()).values()]
    const picture = all.find(({ type, kind }) => type === 'inbound-rtp' && kind === 'video') ?? {}
    const { packetsReceived: packets = 0, bytesReceived: bytes = 0, frameWidth: width = 0, framesDecoded: frames = 0 } = picture
    return { name, packets, bytes, width, frames }
  }))
  window.ended = async () => {
    while (window.pc.connectionState === 'connected') await new Promise((done) => setTimeout(done, 50))
  }
`

/** `rids`: layers, the best first. */
export interface PublishOptions {
  codec?: string
  rids?: string[]
  size?: [width: number, height: number]
}
export type Answered = { status: number; retryAfter?: string; body?: string; answer?: string; trickled?: number[] }
/** What `clients` puts into the page. */
export interface Clients {
  whip(url: string, options: PublishOptions): Promise<Answered>
  whep(url: string, setup?: string): Promise<Answered>
  answer: string
  pc: { close(): void }
  restart(): Promise<{ status: number; isNewEtag: boolean; fragment: string }>
  remove(): Promise<number[]>
  more(frames: number): Promise<void>
  width(wanted: number): Promise<void>
  ended(): Promise<void>
  statsOf(type: string, kind: string): Promise<Record<string, number>[]>
  come(url: string, name: string): Promise<void>
  leave(name: string, isPolite: boolean): Promise<void>
  look(): Promise<Seen[]>
}
/** Of one of many viewers: its picture. */
export interface Seen {
  name: string
  packets: number
  bytes: number
  width: number
  frames: number
}
