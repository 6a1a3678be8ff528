/**
 * The members of one thread: connects them, gives them a phase, paces the talkers among them, sums up what they counted.
 *
 * Open loop: a message is due at its time whatever the server does, and its stamp is the instant at which it is written. The
 * server's slowness therefore shows in the times and cannot slow the load down.
 */
import type { Encoding } from '../../schemas/wire.ts'
import { clientFrame, opcodes } from './frames.ts'
import { Histogram } from './histogram.ts'
import { Marker, nowUs, stampDigits } from './marker.ts'
import { Member } from './member.ts'

export interface CrowdOptions {
  port: number
  room: string
  encoding: Encoding
  /** Viewers that only count, viewers that also read the stamps, and members that talk. */
  viewers: number
  probes: number
  /** One token a talker. */
  talkerTokens: readonly string[]
  /** Tokens of the viewers; fewer than viewers: the rest is anonymous. */
  viewerTokens: readonly string[]
  /** Source addresses: one has about 28,000 ports. */
  localAddresses: readonly string[]
  /** Sets device ids of several threads apart. */
  name: string
  textBytesMin: number
  textBytesMax: number
  /** Every so-manieth message carries the instant of its sending. */
  stampEvery: number
}

export interface Counts {
  members: number
  /** Danmaku that arrived, over all members, and at the members that got the fewest and the most. */
  arrived: number
  arrivedMin: number
  arrivedMax: number
  bytes: number
  frames: number
  pings: number
  closed: Record<string, number>
  sent: number
  accepted: number
  refused: Record<string, number>
}

const connectsAtOnce = 64

export class Crowd {
  readonly options: CrowdOptions
  readonly times = new Histogram()
  #members: Member[] = []
  #talkers: Member[] = []
  #marker = new Marker(0)
  #sent = 0

  constructor(options: CrowdOptions) {
    this.options = options
  }

  async connect(): Promise<number> {
    const { viewers, probes, talkerTokens } = this.options
    for (let i = 0; i < viewers + probes; i++) this.#members.push(this.#viewer(i, i < probes))
    this.#talkers = talkerTokens.map((token, i) => this.#member({ deviceId: `${this.options.name}-t${i}`, token, talker: true }))
    this.#members.push(...this.#talkers)
    let next = 0
    const lane = async () => {
      for (let member = this.#members[next++]; member; member = this.#members[next++]) await member.open()
    }
    await Promise.all(Array.from({ length: connectsAtOnce }, lane))
    return this.#members.length
  }

  #viewer(i: number, probe: boolean): Member {
    const token = this.options.viewerTokens[i]
    const deviceId = `${this.options.name}-${i}`
    const onStamp = probe ? (stampUs: number) => this.times.add(nowUs() - stampUs) : undefined
    return this.#member({ deviceId, token, talker: false, onStamp })
  }

  #member(own: {
    deviceId: string
    token: string | undefined
    talker: boolean
    onStamp?: ((us: number) => void) | undefined
  }): Member {
    const { port, room, encoding, localAddresses } = this.options
    const localAddress = localAddresses[this.#members.length % Math.max(1, localAddresses.length)]
    const speaks = own.talker ? 'json' : encoding
    return new Member({ port, room, encoding: speaks, localAddress, marker: this.#marker, onStamp: undefined, ...own })
  }

  /** Everybody counts the messages of this phase from zero. */
  phase(number: number): void {
    this.#marker = new Marker(number)
    this.#sent = 0
    this.times.clear()
    for (const member of this.#members) member.restart(this.#marker)
  }

  /** Sends `perS` messages a second for `forMs`, spread over the talkers. Resolves when the last one is written. */
  talk(perS: number, forMs: number): Promise<void> {
    const { textBytesMin, textBytesMax, stampEvery } = this.options
    const templates = danmakuTemplates(this.#marker, this.options.room, textBytesMin, textBytesMax)
    const all = Math.round((perS * forMs) / 1000)
    const startUs = nowUs()
    return new Promise((resolve) => {
      const pass = () => {
        const due = Math.min(all, Math.floor(((nowUs() - startUs) * perS) / 1e6) + 1)
        while (this.#sent < due) this.#say(templates, this.#sent % stampEvery === 0)
        if (this.#sent >= all) resolve()
        else setTimeout(pass, 1)
      }
      pass()
    })
  }

  #say(templates: readonly Template[], stamped: boolean): void {
    const talker = this.#talkers[this.#sent % this.#talkers.length]
    const template = templates[this.#sent % templates.length]
    if (!talker || !template) throw new Error('nobody to talk')
    const frame = Buffer.from(template.frame)
    frame.write(String(this.#sent).padStart(idDigits, '0'), template.idAt, 'latin1')
    if (stamped) frame.write(String(nowUs()).padStart(stampDigits, '0'), template.stampAt, 'latin1')
    talker.write(frame)
    this.#sent++
  }

  counts(): Counts {
    const sum: Counts = {
      members: this.#members.length,
      arrived: 0,
      arrivedMin: Number.MAX_SAFE_INTEGER,
      arrivedMax: 0,
      bytes: 0,
      frames: 0,
      pings: 0,
      closed: {},
      sent: this.#sent,
      accepted: 0,
      refused: {},
    }
    for (const member of this.#members) addMember(sum, member)
    return sum
  }

  end(): void {
    for (const member of this.#members) member.end()
    this.#members = []
    this.#talkers = []
  }
}

function addMember(sum: Counts, member: Member): void {
  // A talker's answer repeats the text of the message, marker and all.
  const arrived = member.count.total - member.accepted
  sum.arrived += arrived
  sum.arrivedMin = Math.min(sum.arrivedMin, arrived)
  sum.arrivedMax = Math.max(sum.arrivedMax, arrived)
  sum.bytes += member.bytes
  sum.frames += member.walk.frames
  sum.pings += member.pings
  sum.accepted += member.accepted
  for (const [code, n] of member.refused) sum.refused[code] = (sum.refused[code] ?? 0) + n
  if (member.closedWith !== undefined) sum.closed[member.closedWith] = (sum.closed[member.closedWith] ?? 0) + 1
}

export function addCounts(a: Counts, b: Counts): Counts {
  const merged: Counts = { ...a, closed: { ...a.closed }, refused: { ...a.refused } }
  for (const key of ['members', 'arrived', 'bytes', 'frames', 'pings', 'sent', 'accepted'] as const) merged[key] += b[key]
  merged.arrivedMin = Math.min(a.arrivedMin, b.arrivedMin)
  merged.arrivedMax = Math.max(a.arrivedMax, b.arrivedMax)
  for (const [code, n] of Object.entries(b.closed)) merged.closed[code] = (merged.closed[code] ?? 0) + n
  for (const [code, n] of Object.entries(b.refused)) merged.refused[code] = (merged.refused[code] ?? 0) + n
  return merged
}

interface Template {
  frame: Buffer
  idAt: number
  stampAt: number
}
const idDigits = 8
const templateCount = 5

/** Frames of `danmaku.send` with texts from the shortest to the longest, ready to be copied and patched. */
export function danmakuTemplates(marker: Marker, room: string, textBytesMin: number, textBytesMax: number): Template[] {
  return Array.from({ length: templateCount }, (_, i) => {
    const size = Math.round(textBytesMin + ((textBytesMax - textBytesMin) * i) / (templateCount - 1))
    const text = filled(`${marker.text}${'0'.repeat(stampDigits)}`, size)
    const id = '9'.repeat(idDigits)
    const frame = clientFrame(opcodes.text, Buffer.from(JSON.stringify({ id, t: 'danmaku.send', room, d: { text } })))
    return { frame, idAt: frame.indexOf(id), stampAt: frame.indexOf(marker.text) + marker.text.length }
  })
}

function filled(head: string, size: number): string {
  if (size < head.length) throw new RangeError(`a text of the bench has at least ${head.length} bytes`)
  const words = ' what a goal look at that one again he is on fire tonight and nobody can stop him now'.repeat(12)
  return `${head}${words}`.slice(0, size).replace(/ $/, '.')
}
