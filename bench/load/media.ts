/**
 * Media: what a viewer costs the media worker, and what share of it all the node around it takes (RTP of the shown line passes through
 * it once). One room, one picture of 1 Mbit/s in 117 packets a second, more and more viewers, plain and with SRTP.
 *
 * The picture comes as RTP from this process. Viewers send to a port where nobody reads.
 */
import { type ChildProcess, fork } from 'node:child_process'
import { createSocket } from 'node:dgram'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { Worker } from 'node:worker_threads'
import type { Ingest } from '../../schemas/sfu.ts'
import type { FromMediaNode, ToMediaNode } from './media-node.ts'
import type { Options } from './options.ts'
import { printCells, type Result, type Target } from './report.ts'

const secondsDefault = 5
const counts = [1, 100, 200, 400]
const packetsPerS = 117
const payloadBytes = 1_055
const keyEvery = 234
const nodeShareMax = 0.05

interface Figure {
  viewers: number
  isSrtp: boolean
  perS: number
  mbitPerS: number
  workerShare: number
  nodeShare: number
  workerUsPerPacket: number
  rssKbPerViewer: number
}
type Measured = Extract<FromMediaNode, { nodeUs: number }>

export async function media(options: Options): Promise<Result> {
  const seconds = options.seconds ?? secondsDefault
  const sink = await startSink()
  const child = forkNode(options.nodeFlags)
  const node = new Node(child)
  const figures: Figure[] = []
  try {
    const { ingest } = await node.next('ingest')
    const stopSending = sendPicture(ingest)
    try {
      for (const isSrtp of [false, true]) {
        const empty = (await node.measure()).rssKb
        for (const viewers of counts) figures.push(await figureOf(node, { viewers, isSrtp, sinkPort: sink.port, seconds, empty }))
        await node.viewers({ viewers: 0, isSrtp, sinkPort: sink.port })
      }
    } finally {
      stopSending()
    }
  } finally {
    child.kill()
    await sink.worker.terminate()
  }
  print(figures)
  return { scenario: 'media', options: { seconds, packetsPerS, payloadBytes }, figures, targets: targetsOf(figures) }
}

async function figureOf(
  node: Node,
  {
    viewers,
    isSrtp,
    sinkPort,
    seconds,
    empty,
  }: { viewers: number; isSrtp: boolean; sinkPort: number; seconds: number; empty: number },
): Promise<Figure> {
  await node.viewers({ viewers, isSrtp, sinkPort })
  await pause(1_000)
  const before = await node.measure()
  await pause(seconds * 1_000)
  const after = await node.measure()
  const overUs = (after.atMs - before.atMs) * 1_000
  const bytes = after.bytesSent - before.bytesSent
  const packets = (packetsPerS * viewers * overUs) / 1e6
  return {
    viewers,
    isSrtp,
    perS: packets / (overUs / 1e6),
    mbitPerS: (bytes * 8) / overUs,
    workerShare: (after.workerUs - before.workerUs) / overUs,
    nodeShare: (after.nodeUs - before.nodeUs) / (after.workerUs - before.workerUs + after.nodeUs - before.nodeUs),
    workerUsPerPacket: (after.workerUs - before.workerUs) / packets,
    rssKbPerViewer: Math.max(0, after.rssKb - empty) / viewers,
  }
}

/** The node's process, one question after the other. */
class Node {
  readonly #child: ChildProcess
  readonly #came: FromMediaNode[] = []
  #wake: () => void = () => undefined

  constructor(child: ChildProcess) {
    this.#child = child
    child.on('message', (message) => {
      this.#came.push(message as FromMediaNode)
      this.#wake()
    })
    child.once('exit', () => this.#wake())
  }

  async next<K extends string>(key: K): Promise<Extract<FromMediaNode, Record<K, unknown>>> {
    for (;;) {
      const at = this.#came.findIndex((message) => key in message)
      if (at >= 0) return this.#came.splice(at, 1)[0] as Extract<FromMediaNode, Record<K, unknown>>
      if (this.#child.exitCode !== null) throw new Error(`the media node ended with ${this.#child.exitCode}`)
      await new Promise<void>((resolve) => (this.#wake = resolve))
    }
  }

  async viewers(wanted: Extract<ToMediaNode, { viewers: number }>): Promise<void> {
    this.#child.send(wanted)
    await this.next('viewers')
  }

  async measure(): Promise<Measured> {
    this.#child.send({ measure: true } satisfies ToMediaNode)
    return this.next('nodeUs') as Promise<Measured>
  }
}

function forkNode(flags: readonly string[]): ChildProcess {
  const source = import.meta.url.endsWith('.ts')
  const script = fileURLToPath(new URL(`./media-node.${source ? 'ts' : 'js'}`, import.meta.url))
  const child = fork(script, { execArgv: [...flags, ...(source ? ['--import', 'tsx'] : [])] })
  const orphan = () => child.kill('SIGKILL')
  process.once('exit', orphan)
  child.once('exit', () => process.off('exit', orphan))
  return child
}

/** A thread that binds a port and then stands still: the kernel drops what nobody reads. */
async function startSink(): Promise<{ port: number; worker: Worker }> {
  const code = `const { parentPort } = require('node:worker_threads')
    const socket = require('node:dgram').createSocket('udp4')
    socket.bind(0, '127.0.0.1', () => {
      parentPort.postMessage(socket.address().port)
      setTimeout(() => Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0), 50)
    })`
  const worker = new Worker(code, { eval: true })
  const [port] = (await once(worker, 'message')) as [number]
  return { port, worker }
}

/** VP8 in form: a key frame each two seconds, one packet a frame. What the picture shows is nothing to a media server. */
function sendPicture({ host, videoPort, video }: Ingest): () => void {
  const socket = createSocket('udp4')
  const packet = Buffer.alloc(12 + payloadBytes, 0x55)
  packet[0] = 0x80
  packet[1] = 0x80 | video.payloadType
  packet.writeUInt32BE(video.ssrc, 8)
  packet[12] = 0x10
  let sent = 0
  const startedAt = performance.now()
  const timer = setInterval(() => {
    const due = Math.floor(((performance.now() - startedAt) * packetsPerS) / 1_000)
    for (; sent < due; sent++) {
      packet.writeUInt16BE(sent & 0xffff, 2)
      packet.writeUInt32BE(Math.floor((sent * 90_000) / packetsPerS) >>> 0, 4)
      packet[13] = sent % keyEvery === 0 ? 0x10 : 0x11
      socket.send(Buffer.from(packet), videoPort, host)
    }
  }, 5)
  return () => {
    clearInterval(timer)
    socket.close()
  }
}

const pause = (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms))
const shown = (value: number, digits: number) =>
  value.toLocaleString('en-US', { minimumFractionDigits: digits, maximumFractionDigits: digits })

function print(figures: readonly Figure[]): void {
  console.log(`\nMedia: one picture of ${packetsPerS} packets a second, one worker`)
  const head = ['viewers', 'SRTP', 'packets/s', 'Mbit/s', 'worker CPU %', 'us/packet', 'node share %', 'KB/viewer']
  const rows = figures.map((row) => [
    ...[String(row.viewers), row.isSrtp ? 'yes' : 'no', shown(row.perS, 0), shown(row.mbitPerS, 1)],
    ...[
      shown(row.workerShare * 100, 1),
      shown(row.workerUsPerPacket, 1),
      shown(row.nodeShare * 100, 1),
      shown(row.rssKbPerViewer, 0),
    ],
  ])
  printCells([head, ...rows])
}

function targetsOf(figures: readonly Figure[]): Target[] {
  return [false, true].flatMap((isSrtp) => {
    const full = figures.findLast((row) => row.isSrtp === isSrtp)
    if (!full) return []
    const what = `share of the node around the worker at ${full.viewers} viewers${isSrtp ? ' with SRTP' : ''}`
    const measured = `${shown(full.nodeShare * 100, 1)} %`
    return [{ what, target: `<= ${nodeShareMax * 100} %`, measured, met: full.nodeShare <= nodeShareMax }]
  })
}
