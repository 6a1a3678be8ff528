/**
 * What the rules keep in memory: a cell for each account, one for each payer, and for each charge the cells that it moves. Right only
 * while there is one writer; at the bound all of it is forgotten and read again.
 *
 *     cells.known(charge)       // the same wallet paid before: two look-ups instead of nine, and its names were checked then
 *     cells.find(charge)        // of a charge that was checked; undefined when something of it was not read yet
 */
import { accountKind, accounts, isEarnings } from './accounts.ts'
import type { Balance, Charge } from './ops.ts'
import { type Payer, payerOf } from './payers.ts'

/** An account. What the chart says of it is kept with it: looking that up each time was a third of a gift. */
export interface Cell extends Balance {
  account: string
  ledger: string
  isDebit: boolean
  mayBeNegative: boolean
  isEarnings: boolean
  /** Number of its row in the storage, which keeps it here; unset before it has one, or needs none. */
  row: number | undefined
  /** The op that saved it last, and the batch that it was last written with. */
  savedBy: number
  touchedBy: number
}
export interface PayerCell {
  payer: Payer
  row: number | undefined
  touchedBy: number
}
/** As they are stored. */
export type StoredBalance = Balance & { row?: number }
export type StoredPayer = Payer & { row?: number }

/** What a charge moves. */
export interface ChargeCells {
  wallet: Wallet
  sink: Cell
  beans: Cell
  streamer: Cell
  guild: Cell | undefined
}
/** Accounts of one user, in the order in which they are emptied. */
export interface Wallet {
  names: readonly string[]
  from: readonly Cell[]
  payer: PayerCell
}

export const zeroBalance = (): Balance => ({ debits: 0n, credits: 0n, pendingDebits: 0n, pendingCredits: 0n })

/** What may be spent: pending debits are spent already, pending credits are not there yet. */
export function availableOf(account: string, balance: Balance): bigint {
  return available(balance, accountKind(account)?.normal === 'debit')
}
export const available = ({ debits, credits, pendingDebits, pendingCredits }: Balance, isDebit: boolean): bigint =>
  isDebit ? debits - credits - pendingCredits : credits - debits - pendingDebits
export const balanceIn = ({ debits, credits, pendingDebits, pendingCredits }: Balance): Balance => ({
  debits,
  credits,
  pendingDebits,
  pendingCredits,
})

function cellOf(account: string, { debits, credits, pendingDebits, pendingCredits, row }: StoredBalance): Cell {
  const kind = accountKind(account)
  return {
    account,
    ledger: kind?.ledger ?? '',
    isDebit: kind?.normal === 'debit',
    mayBeNegative: kind?.mayBeNegative === true,
    isEarnings: isEarnings(account),
    row,
    savedBy: 0,
    touchedBy: 0,
    debits,
    credits,
    pendingDebits,
    pendingCredits,
  }
}

/** Accounts and payers that are kept, some 300 bytes each. */
const cellsMax = 200_000

export class Cells {
  readonly #accounts = new Map<string, Cell>()
  readonly #payers = new Map<string, PayerCell>()
  /** By the first of its names. */
  readonly #wallets = new Map<string, Wallet>()

  /** Before a batch, never within one. */
  keepWithin(): void {
    if (this.#accounts.size > cellsMax || this.#payers.size > cellsMax) this.clear()
  }

  clear(): void {
    this.#accounts.clear()
    this.#payers.clear()
    this.#wallets.clear()
  }

  has(account: string): boolean {
    return this.#accounts.has(account)
  }

  hasPayer(payer: string): boolean {
    return this.#payers.has(payer)
  }

  peek(account: string): Cell | undefined {
    return this.#accounts.get(account)
  }

  account(account: string): Cell {
    const cell = this.#accounts.get(account)
    if (!cell) throw new Error(`${account} was not read`) // ours: posting to a balance that was not read would forget the old one
    return cell
  }

  payer(payer: string): PayerCell {
    const cell = this.#payers.get(payer)
    if (!cell) throw new Error(`${payer} was not read`)
    return cell
  }

  put(account: string, stored: StoredBalance): void {
    if (!this.#accounts.has(account)) this.#accounts.set(account, cellOf(account, stored))
  }

  putPayer({ row, ...payer }: StoredPayer): void {
    if (!this.#payers.has(payer.payer)) this.#payers.set(payer.payer, { payer, row, touchedBy: 0 })
  }

  /** Of a charge that nobody has checked: undefined unless all its accounts are such as a charge may name. */
  known({ payFrom, sink, streamer, guild, terms }: Charge): ChargeCells | undefined {
    const wallet = this.#wallets.get(payFrom[0] as string)
    if (!wallet || !isSameList(wallet.names, payFrom)) return undefined
    const cells = this.#around(wallet, { sink, streamer, guild })
    if (!cells?.streamer.isEarnings || cells.guild?.isEarnings === false) return undefined
    return terms.guildBps > 0 && guild === undefined ? undefined : cells
  }

  find(charge: Charge): ChargeCells | undefined {
    const wallet = this.#wallets.get(charge.payFrom[0] as string)
    if (wallet && isSameList(wallet.names, charge.payFrom)) return this.#around(wallet, charge)
    const made = this.#walletOf(charge)
    if (!made) return undefined
    this.#wallets.set(charge.payFrom[0] as string, made)
    return this.#around(made, charge)
  }

  #walletOf(charge: Charge): Wallet | undefined {
    const payer = this.#payers.get(payerOf(charge))
    const from = charge.payFrom.map((account) => this.#accounts.get(account))
    return payer && from.every((cell) => cell !== undefined) ? { names: [...charge.payFrom], from, payer } : undefined
  }

  #around(wallet: Wallet, { sink, streamer, guild }: Pick<Charge, 'sink' | 'streamer' | 'guild'>): ChargeCells | undefined {
    const found = this.#accounts.get(sink)
    const beans = this.#accounts.get(accounts.beansIssued)
    const earner = this.#accounts.get(streamer)
    const sharer = guild === undefined ? undefined : this.#accounts.get(guild)
    if (!found || !beans || !earner || (guild !== undefined && !sharer)) return undefined
    return { wallet, sink: found, beans, streamer: earner, guild: sharer }
  }
}

function isSameList(a: readonly string[], b: readonly string[]): boolean {
  if (a.length !== b.length) return false
  for (let at = 0; at < a.length; at++) if (a[at] !== b[at]) return false
  return true
}
