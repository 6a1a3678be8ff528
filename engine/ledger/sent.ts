/**
 * Batches on their way to the thread of the writer and answers on their way back: what both ends know is not sent, and nothing is sent
 * as an object within an object. Cloning ops as they are cost a gift 15 us of both threads, a third of all; this costs 4.
 *
 *     const answer = await thread.ask({ packed: packOps(ops) })     // here
 *     return unpackResults(ops, answer.results)                     // the op's own reply and the few fields made there
 *
 *     serve((options) => packedHandler(new Applier(options)))       // there
 *
 * Only charges whose texts can be made here are packed, all other ops go as they are: whether an op is well formed is for `check.ts`.
 * Event and reply become text where they come from, once; the writer adds the id and the balance to them and stores them.
 */

import type { ApplierAnswer, ApplierAsk } from './applier.ts'
import { isText, jsonCharsMax } from './check.ts'
import type { Charge, Entry, LedgerOp, LedgerResult, Origin, Spend, SpendWindow } from './ops.ts'
import type { Soon } from './soon.ts'
import type { SplitTerms } from './split.ts'

/** What many charges of a batch have in common. */
type Shape = readonly [
  action: string,
  command: string,
  sink: string,
  terms: SplitTerms,
  contract: string,
  catalog: string,
  spend: Spend | undefined,
]

export interface PackedOps {
  shapes: readonly Shape[]
  /** Rooms, lives, streamers and guilds, each once: the thread reads a text and works out its hash once then. */
  names: readonly string[]
  /** An op is `fieldsOfOne` cells that begin with the place of its shape, or -1 and the op. */
  cells: readonly unknown[]
}
export type PackedResults = readonly unknown[]
export type PackedAsk = { packed: PackedOps } | { reopen: true }
export interface PackedAnswer {
  results: PackedResults
  pos: number
}

/** A shape in the thread, with what is found out about it once a batch. */
export class SentShape {
  readonly fields: Shape
  /** A charge of this shape was found well formed. */
  isSound = false
  /** The end of their facts, which is the same for all of them. */
  factsTail: string | undefined

  constructor(fields: Shape) {
    this.fields = fields
  }
}

/** A charge as it came: the end of its two texts is written when its id and its balance stand in them. */
export class SentCharge implements Charge {
  readonly op = 'charge'
  readonly txId: string
  readonly at: number
  readonly action: string
  readonly origin: Origin
  readonly roomId: string | undefined
  readonly liveId: string | undefined
  readonly value: bigint
  readonly payFrom: readonly string[]
  readonly sink: string
  readonly terms: SplitTerms
  readonly streamer: string
  readonly guild: string | undefined
  readonly contractVersion: string
  readonly catalogVersion: string
  readonly spend: Spend | undefined
  readonly shape: SentShape
  readonly #event: string | undefined
  readonly #reply: string

  constructor(shape: SentShape, { cells, names }: Pick<PackedOps, 'cells' | 'names'>, from: number) {
    const [action, command, sink, terms, contractVersion, catalogVersion, spend] = shape.fields
    this.txId = cells[from + 1] as string
    this.at = cells[from + 2] as number
    const ik = cells[from + 4] as string | undefined
    this.origin = { actor: cells[from + 3] as string, command, ik, bodyHash: cells[from + 5] as string | undefined }
    this.roomId = names[cells[from + 6] as number]
    this.liveId = names[cells[from + 7] as number]
    this.value = BigInt(cells[from + 8] as number)
    const [first, second] = [cells[from + 9] as string, cells[from + 10] as string | undefined]
    this.payFrom = second === undefined ? [first] : [first, second]
    this.streamer = names[cells[from + 11] as number] as string
    this.guild = names[cells[from + 12] as number]
    this.#event = cells[from + 13] as string | undefined
    this.#reply = cells[from + 14] as string
    this.shape = shape
    this.action = action
    this.sink = sink
    this.terms = terms
    this.contractVersion = contractVersion
    this.catalogVersion = catalogVersion
    this.spend = spend
  }

  /** Checked like an id by whoever calls this. */
  eventText(txId: string): string | null {
    return this.#event === undefined ? null : `${this.#event}"txId":"${txId}"}}`
  }

  replyText(txId: string, balanceCoin: number | string): string {
    return `${this.#reply}"txId":"${txId}","balanceCoin":${JSON.stringify(balanceCoin)}}`
  }
}
const fieldsOfOne = 15

// ------------------------------------------------------------------ here

/** As they grow. */
class Packing implements PackedOps {
  readonly shapes: Shape[] = []
  readonly names: string[] = []
  readonly cells: unknown[] = []
  readonly #places = new Map<string, number>()

  /** Place among `names`; -1 of none. */
  place(name: string | undefined): number {
    if (name === undefined) return -1
    const known = this.#places.get(name)
    if (known !== undefined) return known
    const place = this.names.push(name) - 1
    this.#places.set(name, place)
    return place
  }
}

export function packOps(ops: readonly LedgerOp[]): PackedOps {
  const packing = new Packing()
  for (const op of ops) if (!packed(op, packing)) packing.cells.push(-1, op)
  const { shapes, names, cells } = packing
  return { shapes, names, cells }
}

const isString = (value: unknown): value is string => typeof value === 'string'
const isStringOrNone = (value: unknown): value is string | undefined => value === undefined || typeof value === 'string'
const shapesMax = 16

function packed(op: LedgerOp, packing: Packing): boolean {
  if (op?.op !== 'charge') return false
  const { txId, at, origin, roomId, liveId, value, payFrom, streamer, guild, event, reply } = op
  const [first, second] = Array.isArray(payFrom) ? payFrom : []
  if (!isString(txId) || typeof at !== 'number' || !isString(first) || !isStringOrNone(second)) return false
  if (payFrom.length !== (second === undefined ? 1 : 2)) return false
  if (!isString(streamer) || !isStringOrNone(guild) || !isStringOrNone(roomId) || !isStringOrNone(liveId)) return false
  if (typeof value !== 'bigint' || value < 0n || value > safeMax || !isPlainObject(origin, 1)) return false
  const { actor, ik, bodyHash } = origin
  if (!isString(actor) || !isStringOrNone(ik) || !isStringOrNone(bodyHash)) return false
  const texts = textsOf(event, reply)
  const shape = texts && shapeOf(op, packing.shapes)
  if (!texts || shape === undefined) return false
  packing.cells.push(shape, txId, at, actor, ik, bodyHash, packing.place(roomId), packing.place(liveId), Number(value))
  packing.cells.push(first, second, packing.place(streamer), packing.place(guild), texts.event, texts.reply)
  return true
}
const safeMax = BigInt(Number.MAX_SAFE_INTEGER)

/** Place of the shape among `shapes`; undefined when it cannot be sent like that. */
function shapeOf(
  { action, origin, sink, terms, contractVersion, catalogVersion, spend }: Charge,
  shapes: Shape[],
): number | undefined {
  const { command } = origin
  if (!hasTerms(terms) || !isSpendOrNone(spend)) return undefined
  const found = shapes.findIndex(
    (shape) =>
      shape[0] === action &&
      shape[1] === command &&
      shape[2] === sink &&
      shape[4] === contractVersion &&
      shape[5] === catalogVersion &&
      isSameTerms(shape[3], terms) &&
      isSameSpend(shape[6], spend),
  )
  if (found >= 0) return found
  if (shapes.length >= shapesMax) return undefined
  if (![action, command, sink, contractVersion, catalogVersion].every(isString)) return undefined
  return shapes.push([action, command, sink, terms, contractVersion, catalogVersion, spend]) - 1
}

const isSameTerms = (a: SplitTerms, b: SplitTerms): boolean =>
  a.streamerBps === b.streamerBps && a.guildBps === b.guildBps && a.paidBps === b.paidBps && a.bonusBps === b.bonusBps

/** Else they would be alike in not having them. */
const hasTerms = (terms: SplitTerms): boolean =>
  isPlainObject(terms, 1) &&
  Object.keys(terms).length === 4 &&
  [terms.streamerBps, terms.guildBps, terms.paidBps, terms.bonusBps].every((bps) => typeof bps === 'number')

const isSameSpend = (a: Spend | undefined, b: Spend | undefined): boolean =>
  a === b || (a !== undefined && b !== undefined && isSameWindow(a.minute, b.minute) && isSameWindow(a.day, b.day))
const isSameWindow = (a: SpendWindow, b: SpendWindow): boolean => a.from === b.from && a.until === b.until && a.max === b.max

const isSpendOrNone = (spend: Spend | undefined): boolean =>
  spend === undefined ||
  (isPlainObject(spend, 2) && Object.keys(spend).length === 2 && isWindow(spend.minute) && isWindow(spend.day))
const isWindow = (window: SpendWindow): boolean =>
  isPlainObject(window, 1) &&
  Object.keys(window).length === 3 &&
  [window.from, window.until, window.max].every((value) => typeof value === 'number')

/** Both texts up to where the fields come that the writer adds. */
function textsOf(event: Entry['event'], reply: Entry['reply']): { event: string | undefined; reply: string } | undefined {
  if (reply !== undefined && (!isPlainObject(reply, depthMax) || 'txId' in reply || 'balanceCoin' in reply)) return undefined
  const replyText = openEnd(JSON.stringify(reply ?? {}))
  if (replyText.length > jsonCharsMax) return undefined
  if (event === undefined) return { event, reply: replyText }
  if (!isPlainObject(event, depthMax) || !isText(event.t) || !isPlainObject(event.d, depthMax) || 'txId' in event.d)
    return undefined
  const eventText = `{"t":${JSON.stringify(event.t)},"d":${openEnd(JSON.stringify(event.d))}`
  return eventText.length > jsonCharsMax ? undefined : { event: eventText, reply: replyText }
}

const openEnd = (text: string): string => (text === '{}' ? '{' : `${text.slice(0, -1)},`)

const depthMax = 8
const isPlainObject = (value: unknown, depth: number): boolean =>
  typeof value === 'object' && value !== null && !Array.isArray(value) && isPlain(value, depth)
/** What comes out of JSON as it went in, as far as a reader of the journal can tell. */
function isPlain(value: unknown, depth: number): boolean {
  if (typeof value !== 'object') return typeof value !== 'function' && typeof value !== 'symbol' && typeof value !== 'bigint'
  if (value === null) return true
  if (depth === 0) return false
  if (Array.isArray(value)) return value.every((item) => isPlain(item, depth - 1))
  if (Object.getPrototypeOf(value) !== Object.prototype) return false
  for (const name in value) if (!isPlain((value as Record<string, unknown>)[name], depth - 1)) return false
  return true
}

export function unpackResults(ops: readonly LedgerOp[], cells: PackedResults): LedgerResult[] {
  return ops.map((op, at) => {
    const [pos, more] = [cells[2 * at] as number, cells[2 * at + 1]]
    if (pos < 0) return more as LedgerResult
    const { txId, reply } = op as Charge
    return { ok: true, txId, pos, replayed: false, reply: { ...reply, txId, balanceCoin: more } }
  })
}

// ------------------------------------------------------------------ in the thread

export function unpackOps(packed: PackedOps): LedgerOp[] {
  const { shapes, cells } = packed
  const ops: LedgerOp[] = []
  const sent = shapes.map((fields) => new SentShape(fields))
  for (let from = 0; from < cells.length; ) {
    const shape = sent[cells[from] as number]
    ops.push(shape ? new SentCharge(shape, packed, from) : (cells[from + 1] as LedgerOp))
    from += shape ? fieldsOfOne : 2
  }
  return ops
}

/** Two cells an answer: the position and the balance of a packed charge that was posted, or -1 and the answer. */
export function packResults(ops: readonly LedgerOp[], results: readonly LedgerResult[]): PackedResults {
  const cells: unknown[] = []
  for (const [at, result] of results.entries()) {
    if (result.ok && !result.replayed && ops[at] instanceof SentCharge) cells.push(result.pos, result.reply['balanceCoin'])
    else cells.push(-1, result)
  }
  return cells
}

interface OpsHandler {
  handle(ask: ApplierAsk): Soon<ApplierAnswer>
  close(): void
}

export const packedHandler = (applier: OpsHandler) => ({
  handle(ask: PackedAsk): Soon<PackedAnswer> {
    const ops = 'packed' in ask ? unpackOps(ask.packed) : []
    const answered = applier.handle('packed' in ask ? { ops } : ask)
    const pack = ({ results, pos }: ApplierAnswer): PackedAnswer => ({ results: packResults(ops, results), pos })
    return answered instanceof Promise ? answered.then(pack) : pack(answered)
  },
  close: () => applier.close(),
})
