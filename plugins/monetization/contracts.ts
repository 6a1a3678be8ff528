/**
 * Who gets which share of what a streamer is given: the contract in force when the gift was accepted. Without one the defaults of the
 * settings apply and no guild takes part. Windows are half-open, [fromAt, toAt), and those of one streamer never overlap.
 */
export interface Contract {
  id: string
  streamerId: string
  /** Empty: none. */
  guildId: string
  streamerBps: number
  guildBps: number
  fromAt: number
  /** 0: until further notice. */
  toAt: number
}
export interface Shares {
  streamerBps: number
  guildId: string
  guildBps: number
  version: string
}

const idPattern = /^[A-Za-z0-9_-]{1,64}$/
const isBps = (value: number) => Number.isInteger(value) && value >= 0 && value <= 10_000

const blank: Omit<Contract, 'id'> = { streamerId: '', guildId: '', streamerBps: 0, guildBps: 0, fromAt: 0, toAt: 0 }

/** What an operator sends, as a contract; fields that are none, or of a wrong type, are named. */
export function contractOf(id: string, given: unknown): Contract | string {
  if (typeof given !== 'object' || given === null || Array.isArray(given)) return 'the body must be an object'
  for (const [name, value] of Object.entries(given)) {
    // What was read is sent back changed.
    if (name === 'id' && value === id) continue
    if (!Object.hasOwn(blank, name)) return `${name.slice(0, 64)}: a contract has no such field, or it is not changed here`
    if (typeof value !== typeof blank[name as keyof typeof blank]) return `${name}: has a wrong type`
  }
  return { ...blank, ...given, id }
}

/** Why it cannot stand beside the others of its streamer; undefined when it can. */
export function contractProblem(contract: Contract, others: readonly Contract[]): string | undefined {
  const { id, streamerId, guildId, streamerBps, guildBps, fromAt, toAt } = contract
  if (!idPattern.test(id) || !idPattern.test(streamerId)) return 'id, streamerId: 1 to 64 letters, digits, _ and -'
  if (guildId !== '' && !idPattern.test(guildId)) return 'guildId: 1 to 64 letters, digits, _ and -, or empty'
  if (!isBps(streamerBps) || !isBps(guildBps)) return 'streamerBps, guildBps: whole numbers from 0 to 10000'
  if (streamerBps + guildBps > 10_000) return `streamerBps and guildBps are ${streamerBps + guildBps} together, more than 10000`
  if (guildId === '' && guildBps > 0) return 'guildBps: there is no guild'
  if (![fromAt, toAt].every((at) => Number.isSafeInteger(at) && at >= 0)) return 'fromAt, toAt: epoch milliseconds'
  if (toAt !== 0 && toAt <= fromAt) return 'toAt: must be after fromAt, or 0'
  const clash = others.find((other) => other.id !== id && other.streamerId === streamerId && overlap(other, contract))
  return clash && `it overlaps with contract ${clash.id}`
}

const endOf = ({ toAt }: Contract) => (toAt === 0 ? Number.POSITIVE_INFINITY : toAt)
const overlap = (a: Contract, b: Contract): boolean => a.fromAt < endOf(b) && b.fromAt < endOf(a)

export class Contracts {
  readonly #byStreamer = new Map<string, Contract[]>()
  readonly #ids = new Set<string>()

  load(contracts: readonly Contract[]): void {
    this.#byStreamer.clear()
    this.#ids.clear()
    for (const contract of contracts) {
      this.#ids.add(contract.id)
      const known = this.#byStreamer.get(contract.streamerId)
      if (known) known.push(contract)
      else this.#byStreamer.set(contract.streamerId, [contract])
    }
  }

  get size(): number {
    return this.#ids.size
  }

  has(id: string): boolean {
    return this.#ids.has(id)
  }

  all(): Contract[] {
    return [...this.#byStreamer.values()].flat()
  }

  of(streamerId: string): readonly Contract[] {
    return this.#byStreamer.get(streamerId) ?? []
  }

  /** `at`: when the gift was accepted, whenever this is asked. */
  sharesAt(streamerId: string, at: number, solo: { streamerBps: number }): Shares {
    const contract = this.of(streamerId).find((one) => one.fromAt <= at && at < endOf(one))
    if (!contract) return { streamerBps: solo.streamerBps, guildId: '', guildBps: 0, version: 'default' }
    const { streamerBps, guildId, guildBps, id } = contract
    return { streamerBps, guildId, guildBps, version: id }
  }
}
