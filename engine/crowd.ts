/**
 * `livehouse crowd`: simulated viewers in a room of a running engine, for demos and for a first look.
 *
 * They come through the public socket with the client library like anybody else: connect a few at a time, join, talk, answer one
 * another, like. One conductor spreads the talk over all of them, so that `--rate` is the room's total. It ends by itself.
 *
 *     livehouse crowd --viewers 200 --rate 20 --minutes 5
 *
 * Tokens: from `POST /dev/token` where the engine has it, else signed with the secret of the engine (`LIVEHOUSE_SECRET` or `--data-dir`).
 * Only loopback addresses: this is no tool against other people's rooms.
 */
import { readArguments } from './arguments.ts'
import { type Clock, SystemClock } from './base/clock.ts'
import { type Random, randomInt, systemRandom } from './base/random.ts'
import { connect, type LiveClient, RefusedError, type RoomView } from './client/node.ts'
import { ConfigError, loadConfig } from './config.ts'
import { answer, nickname, smallTalk } from './crowd-lines.ts'
import { isLoopback } from './edge/addresses.ts'
import { loadSecret, signToken } from './edge/tokens.ts'
import { freeColors } from './live/danmaku.ts'

export const crowdArguments = {
  url: `ws://127.0.0.1:${process.env['LIVEHOUSE_PORT'] ?? 8080}/live`,
  room: 'demo',
  viewers: '50',
  rate: '3',
  minutes: '10',
  'data-dir': '.livehouse',
} as const

export interface CrowdPlan {
  url: URL
  room: string
  viewers: number
  /** Danmaku a second of the whole crowd. */
  ratePerS: number
  durationMs: number
  dataDir: string | undefined
}

const viewersMax = 2_000
const ratePerSMax = 1_000
const minutesMax = 1_440
const rampPerS = 25
const tokenTtlMs = 86_400_000
const statusTtyMs = 1_000
const statusPlainMs = 10_000
const joinTimeoutMs = 15_000

/** What the command line asks for. Throws `ConfigError` with every problem at once. */
export function readPlan(argv: readonly string[]): CrowdPlan {
  const given = readArguments(argv, crowdArguments)
  const problems: string[] = []
  const number = (name: 'viewers' | 'rate' | 'minutes', least: number, most: number): number => {
    const value = Number(given[name] ?? crowdArguments[name])
    if (!(value >= least && value <= most)) problems.push(`--${name}: ${given[name]} is not a number from ${least} to ${most}.`)
    return value
  }
  const viewers = Math.round(number('viewers', 1, viewersMax))
  const ratePerS = number('rate', 0, ratePerSMax)
  const durationMs = number('minutes', 0.01, minutesMax) * 60_000
  const address = given.url ?? crowdArguments.url
  const url = URL.canParse(address) ? new URL(address) : undefined
  if (!url || !/^wss?:$/.test(url.protocol)) problems.push(`--url: ${address} is not an address like ${crowdArguments.url}.`)
  else if (url.hostname !== 'localhost' && !isLoopback(url.hostname.replace(/^\[|\]$/g, '')))
    problems.push(`--url: ${url.hostname} is not this machine. A crowd is for engines on loopback only.`)
  const room = given.room ?? crowdArguments.room
  if (!/^[A-Za-z0-9_-]{1,64}$/.test(room)) problems.push(`--room: ${room} is not 1 to 64 of letters, digits, _ and -.`)
  if (problems.length > 0 || !url) throw new ConfigError(problems)
  return { url, room, viewers, ratePerS, durationMs, dataDir: given['data-dir'] }
}

type TokenFor = (index: number) => Promise<string>

/** How viewers get their tokens, decided by the first one. */
async function tokenSource(plan: CrowdPlan, clock: Clock): Promise<TokenFor> {
  const http = new URL('/dev/token', plan.url)
  http.protocol = plan.url.protocol === 'wss:' ? 'https:' : 'http:'
  const ask: TokenFor = async (index) => {
    const body = JSON.stringify({ as: 'viewer', name: nickname(index), room: plan.room })
    const response = await fetch(http, { method: 'POST', headers: { 'content-type': 'application/json' }, body })
    if (!response.ok) throw new Error(`${http.pathname} answered ${response.status}`)
    return ((await response.json()) as { token: string }).token
  }
  if (plan.dataDir === undefined && !process.env['LIVEHOUSE_SECRET'] && (await fetchStatus(http)) !== 404) return ask
  const flags = plan.dataDir === undefined ? [] : [`--data-dir=${plan.dataDir}`]
  const secret = await loadSecret(loadConfig({ argv: flags, env: process.env }))
  return (index) => signToken(secret, { sub: `crowd_${index + 1}`, name: nickname(index), ttlMs: tokenTtlMs }, clock.now())
}

async function fetchStatus(url: URL): Promise<number> {
  const response = await fetch(url, { method: 'POST', body: '{}' })
  await response.body?.cancel()
  return response.status
}

interface Totals {
  said: number
  likes: number
  refused: Map<string, number>
}

export class Crowd {
  readonly #plan: CrowdPlan
  readonly #clock: Clock
  readonly #random: Random
  readonly #clients: LiveClient[] = []
  readonly #rooms: RoomView[] = []
  readonly #totals: Totals = { said: 0, likes: 0, refused: new Map() }
  #stopped = false
  #problem: string | undefined

  constructor(plan: CrowdPlan, { clock, random }: { clock: Clock; random: Random }) {
    this.#plan = plan
    this.#clock = clock
    this.#random = random
  }

  get joined(): number {
    return this.#rooms.filter(({ status }) => status === 'joined').length
  }
  get said(): number {
    return this.#totals.said
  }
  get problem(): string | undefined {
    return this.#problem
  }

  /** Talks until the plan's time is over or `stop` is called. */
  async run(): Promise<void> {
    const endAt = this.#clock.now() + this.#plan.durationMs
    const tokenFor = await tokenSource(this.#plan, this.#clock)
    const over = this.#until(endAt)
    void this.#arrive(tokenFor)
    this.#talk()
    this.#like()
    await over
    this.stop()
  }

  stop(): void {
    this.#stopped = true
    for (const client of this.#clients) client.close()
    this.#end?.()
  }
  #end: (() => void) | undefined

  #until(endAt: number): Promise<void> {
    return new Promise((resolve) => {
      this.#end = resolve
      this.#clock.after(endAt - this.#clock.now(), resolve)
    })
  }

  /** A few at a time: a demo must not look like an attack. */
  async #arrive(tokenFor: TokenFor): Promise<void> {
    for (let index = 0; index < this.#plan.viewers && !this.#stopped; index++) {
      await this.#enter(index, tokenFor).catch((error: unknown) => {
        this.#problem = error instanceof Error ? error.message : String(error)
      })
      if (!this.#stopped) await this.#pause(1_000 / rampPerS)
    }
    if (this.#rooms.length === 0) this.stop()
  }

  async #enter(index: number, tokenFor: TokenFor): Promise<void> {
    const token = await tokenFor(index)
    if (this.#stopped) return
    const client = connect({ url: this.#plan.url.href, token, platform: 'crowd', deviceId: `crowd_${index + 1}` })
    client.on('error', (error) => {
      this.#problem = String(error)
    })
    this.#clients.push(client)
    const late = this.#clock.after(joinTimeoutMs, () => client.close())
    try {
      const room = await client.join(this.#plan.room, { source: 'crowd' })
      this.#rooms.push(room)
    } finally {
      late.cancel()
    }
  }

  #pause(ms: number): Promise<void> {
    return new Promise((resolve) => void this.#clock.after(ms, resolve))
  }

  /** Waits between messages are exponential, as those of people who do not know of one another. */
  #talk(): void {
    const { ratePerS } = this.#plan
    if (this.#stopped || ratePerS === 0) return
    const waitMs = (-Math.log(1 - this.#random.float()) * 1_000) / ratePerS
    this.#clock.after(waitMs, () => {
      this.#say(this.#somebody())
      this.#talk()
    })
  }

  #somebody(): RoomView | undefined {
    const room = this.#rooms[randomInt(this.#random, this.#rooms.length)]
    return room?.status === 'joined' && room.state.room.state === 'open' ? room : undefined
  }

  #say(room: RoomView | undefined): void {
    if (!room) return
    const random = this.#random
    const chance = (share: number) => random.float() < share
    const heard = chance(0.15) ? room.recent.at(-1 - randomInt(random, 5)) : undefined
    const backwards = room.state.settings.reverseMode && chance(0.05)
    const sending = room.send({
      text: heard ? answer(random) : smallTalk(random),
      mode: backwards ? 'reverse' : 'scroll',
      size: chance(0.08) ? 'l' : chance(0.08) ? 's' : 'm',
      color: chance(0.25) ? (freeColors[randomInt(random, freeColors.length)] as number) : 0xffffff,
      ...(heard ? { replyTo: heard.d.id } : {}),
    })
    this.#count(sending, () => this.#totals.said++)
  }

  #like(): void {
    if (this.#stopped) return
    this.#clock.after(300 + this.#random.float() * 900, () => {
      const room = this.#somebody()
      const n = 1 + randomInt(this.#random, 6)
      if (room?.state.settings.like) this.#count(room.like(n), () => (this.#totals.likes += n))
      this.#like()
    })
  }

  #count(call: Promise<unknown>, done: () => void): void {
    call.then(done, (error: unknown) => {
      const name = error instanceof RefusedError ? error.code : error instanceof Error ? error.name : String(error)
      if (!this.#stopped) this.#totals.refused.set(name, (this.#totals.refused.get(name) ?? 0) + 1)
    })
  }

  status(): string {
    const { said, likes, refused } = this.#totals
    const no = [...refused].map(([code, count]) => `${code} ${count}`).join(', ')
    const totals = `${said} said, ${likes} likes${no && `, refused: ${no}`}`
    if (this.#stopped) return `Over: ${totals}`
    const online = this.#rooms.find(({ status }) => status === 'joined')?.state.online.unique ?? 0
    return `${this.joined} of ${this.#plan.viewers} in "${this.#plan.room}" (${online} online), ${totals}`
  }
}

/** The command. 0: it ran to its end or was stopped. 1: nobody got in. */
export async function runCrowd(argv: readonly string[]): Promise<number> {
  const plan = readPlan(argv)
  const clock = new SystemClock()
  const crowd = new Crowd(plan, { clock, random: systemRandom })
  const stop = () => crowd.stop()
  process.once('SIGINT', stop).once('SIGTERM', stop)
  const showing = showStatus(crowd, clock)
  try {
    await crowd.run()
  } catch (error) {
    const why =
      error instanceof Error
        ? `${error.message}${error.cause instanceof Error ? ` (${error.cause.message})` : ''}`
        : String(error)
    process.stderr.write(`No crowd: ${plan.url.host} does not answer: ${why}. Is the engine running? livehouse serve\n`)
    return 1
  } finally {
    showing.stop()
    process.off('SIGINT', stop).off('SIGTERM', stop)
  }
  if (showing.most > 0) return 0
  process.stderr.write(
    `Nobody got in${crowd.problem ? `: ${crowd.problem.replace(/\.$/, '')}` : ''}. Is the room "${plan.room}" open?\n`,
  )
  return 1
}

/** On a terminal one line that changes, elsewhere a line now and then. */
function showStatus(crowd: Crowd, clock: Clock): { stop: () => void; readonly most: number } {
  const tty = process.stdout.isTTY === true
  let most = 0
  const show = (last: boolean) => {
    most = Math.max(most, crowd.joined)
    const line = crowd.status()
    process.stdout.write(tty ? `\r${line}\x1b[K${last ? '\n' : ''}` : `${line}\n`)
  }
  let timer = clock.after(statusTtyMs, next)
  function next() {
    show(false)
    timer = clock.after(tty ? statusTtyMs : statusPlainMs, next)
  }
  return {
    get most() {
      return most
    },
    stop() {
      timer.cancel()
      show(true)
    },
  }
}
