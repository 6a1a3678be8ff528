/**
 * A row on its way into the journal with the texts that are written for it, made while its op can still be refused alone. Pure.
 *
 * The texts are what counts; what is in them is looked at only when the same key comes again within the batch.
 */
import type { Cell } from './cells.ts'
import { jsonCharsMax } from './check.ts'
import type { Charge, Entry, JournalRow, Transfer } from './ops.ts'
import { Refused } from './refused.ts'
import { legsOf, legText } from './rows.ts'
import { SentCharge } from './sent.ts'
import type { Shares, Spent, SplitTerms } from './split.ts'

export interface RowTexts {
  legs: string
  facts: string
  event: string | null
  reply: string
}

export class NewRow implements JournalRow {
  readonly pos: number
  readonly txId: string
  readonly at: number
  readonly action: string
  readonly actor: string
  readonly command: string
  readonly ik: string | undefined
  readonly bodyHash: string | undefined
  readonly roomId: string | undefined
  readonly liveId: string | undefined
  readonly text: RowTexts

  constructor(pos: number, { txId, at, action, origin, roomId, liveId }: Entry, text: RowTexts) {
    this.pos = pos
    this.txId = txId
    this.at = at
    this.action = action
    this.actor = origin.actor
    this.command = origin.command
    this.ik = origin.ik
    this.bodyHash = origin.bodyHash
    this.roomId = roomId
    this.liveId = liveId
    this.text = text
  }

  get legs(): readonly Transfer[] {
    return legsOf(this.text.legs)
  }
  get facts(): JournalRow['facts'] {
    return JSON.parse(this.text.facts)
  }
  get event(): JournalRow['event'] {
    return this.text.event === null ? undefined : JSON.parse(this.text.event)
  }
  get reply(): JournalRow['reply'] {
    return JSON.parse(this.text.reply)
  }
}

export interface Leg {
  from: Cell
  to: Cell
  amount: bigint
}

export const legsTextOf = (legs: readonly Leg[]): string =>
  `[${legs.map(({ from, to, amount }) => legText(from.ledger, { dr: from.account, cr: to.account, amount })).join(',')}]`

/** Written by hand: as an object through JSON.stringify it took as long as all decisions about a gift. */
export function chargeFacts(charge: Charge, { paid, bonus }: Spent, { income, streamer, guild, platform }: Shares): string {
  const tail = charge instanceof SentCharge ? (charge.shape.factsTail ??= factsTail(charge)) : factsTail(charge)
  return (
    `{"value":"${charge.value}","paid":"${paid}","bonus":"${bonus}","income":"${income}","streamer":"${streamer}",` +
    `"guild":"${guild}","platform":"${platform}",${tail}`
  )
}

const factsTail = ({ terms, contractVersion, catalogVersion }: Charge): string =>
  `"terms":${termsText(terms)},"contractVersion":${JSON.stringify(contractVersion)},"catalogVersion":${JSON.stringify(catalogVersion)}}`

export const termsText = ({ streamerBps, guildBps, paidBps, bonusBps }: SplitTerms): string =>
  `{"streamerBps":${streamerBps},"guildBps":${guildBps},"paidBps":${paidBps},"bonusBps":${bonusBps}}`

/** Of the event and the reply, as they are written. Refuses what is no JSON or too long. */
export function textsOf(op: Entry, reply: Readonly<Record<string, unknown>>): Pick<RowTexts, 'event' | 'reply'> {
  const { txId } = op
  if (op instanceof SentCharge)
    return {
      event: short('event', op.eventText(txId)),
      reply: short('reply', op.replyText(txId, reply['balanceCoin'] as string)),
    }
  const event = op.event && { t: op.event.t, d: { ...op.event.d, txId } }
  return { event: event ? jsonText('event', event) : null, reply: jsonText('reply', reply) }
}

export function jsonText(name: string, value: object): string {
  let text: string
  try {
    text = JSON.stringify(value)
  } catch (error) {
    throw new Refused('ledger.bad_op', `${name}: ${error instanceof Error ? error.message : error}`)
  }
  return short(name, text)
}

function short<T extends string | null>(name: string, text: T): T {
  if (text !== null && text.length > jsonCharsMax)
    throw new Refused('ledger.bad_op', `${name}: longer than ${jsonCharsMax} characters`)
  return text
}
