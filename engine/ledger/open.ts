/**
 * The ledger of an engine: a writer thread with a queue before it, a reader thread, and the audit.
 *
 *     const ledger = await openLedger({ dir: '.livehouse', clock, log })
 *     const result = await ledger.submit({ op: 'charge', txId, at, action: 'gift', origin, value: 999n, ... })
 *     ledger.onCommitted(() => wakeWhoeverReads())          // ledger.reads.journalAfter(cursor, 500)
 *     await ledger.close()
 *
 * In `dir`: ledger.db (the truth), ledger.lock (held by the one writer), ledger-book.db (derived; may be deleted while nothing runs).
 * With `databaseUrl` Postgres has the journal, and only the book is in `dir`. No two processes share a book: each has its own `dir`.
 * `openLedgerInline` is the same without threads, for the simulation and unit tests: it answers within microtasks.
 */
import { join } from 'node:path'
import type { Clock } from '../base/clock.ts'
import type { Log } from '../base/log.ts'
import { Applier, type ApplierAnswer, type ApplierAsk } from './applier.ts'
import type { Broken } from './audit.ts'
import { AuditLoop } from './audit-loop.ts'
import type { LedgerOp, LedgerResult } from './ops.ts'
import type { PostgresOptions } from './postgres-connection.ts'
import { LedgerQueue, type LedgerState, type LedgerStats, type Writer } from './queue.ts'
import { LedgerReader } from './reader.ts'
import { type ReadAnswer, type ReadAsk, Reading } from './reading.ts'
import { LedgerReads, type ReadLine } from './reads.ts'
import { roomsFileOf } from './rooms.ts'
import { type PackedAnswer, type PackedAsk, packOps, unpackResults } from './sent.ts'
import { inMemory } from './sqlite-ledger.ts'
import { Thread } from './thread.ts'

export interface LedgerOptions {
  clock: Clock
  log?: Log | undefined
  queueMax?: number | undefined
  /** Largest ledger.db in pages of 4 KB. Unset: as large as the disk. */
  pagesMax?: number | undefined
  /** Called when the audit finds what must not be. */
  onBroken?: ((broken: readonly Broken[]) => void) | undefined
  /** Between two looks of the audit when nothing is new. Unset: 1 s. */
  auditEveryMs?: number | undefined
}

export class OpenLedger {
  readonly reads: LedgerReads
  /** Started by whoever opened the ledger. */
  readonly audit: AuditLoop
  readonly #queue: LedgerQueue

  constructor(queue: LedgerQueue, line: ReadLine, { clock, log, onBroken, auditEveryMs = 1_000 }: LedgerOptions) {
    this.#queue = queue
    this.audit = new AuditLoop(() => this.reads.auditStep(), { clock, log, everyMs: auditEveryMs, onBroken })
    this.reads = new LedgerReads(line, (step) => this.audit.note(step))
  }

  get state(): LedgerState {
    return this.#queue.state
  }

  stats(): LedgerStats {
    return this.#queue.stats()
  }

  /** Resolves when it is on disk or refused. Rejects with a `LedgerUnavailable` (`billing.unavailable`). */
  submit(op: LedgerOp): Promise<LedgerResult> {
    return this.#queue.submit(op)
  }

  onCommitted(listener: (pos: number) => void): () => void {
    return this.#queue.onCommitted(listener)
  }

  onState(listener: (state: LedgerState) => void): () => void {
    return this.#queue.onState(listener)
  }

  /** Answers what waits, then lets go of the files. */
  async close(): Promise<void> {
    this.audit.stop()
    await this.#queue.close()
    await this.reads.close()
  }
}

export interface FolderOptions extends LedgerOptions {
  /** Of ledger.db and ledger-book.db; of the book alone with `databaseUrl`. */
  dir: string
  /** A Postgres database that holds the ledger instead of ledger.db: postgres://user:password@host:5432/database. */
  databaseUrl?: string | undefined
}

/** Rejects when another process holds this ledger, or it cannot be opened. */
export async function openLedger(options: FolderOptions): Promise<OpenLedger> {
  const { dir, databaseUrl: url, pagesMax } = options
  const bookFile = join(dir, 'ledger-book.db')
  const place = url === undefined ? { file: join(dir, 'ledger.db') } : { url }
  const writer = new ThreadWriter({ ...place, pagesMax }, (reason) => queue.writerGone(reason))
  const { pos } = await writer.reopen().catch(async (error) => {
    await writer.close()
    throw notOpened(error.message, url !== undefined)
  })
  const queue: LedgerQueue = new LedgerQueue(writer, pos, options)
  return new OpenLedger(queue, new ReaderLine({ ...place, bookFile }), options)
}

/** With what a person can do about it. */
function notOpened(reason: string, isDatabase: boolean): Error & { remedy: string } {
  const message = isDatabase ? `the database of the ledger cannot be used: ${reason}` : reason
  const remedy = remedies.find(([pattern]) => pattern.test(reason))?.[1] ?? (isDatabase ? databaseRemedy : fileRemedy)
  return Object.assign(new Error(message), { remedy: `Nothing was written to the ledger. ${remedy}` })
}
const remedies: readonly (readonly [RegExp, string])[] = [
  [
    /another process holds/,
    'Stop the other engine first, or give this one a ledger of its own (--data-dir, LIVEHOUSE_DATABASE_URL).',
  ],
  [/newer engine/, 'Start the engine that wrote it, or a newer one.'],
  [/is gone and/, 'livehouse restore makes a new data folder from a backup.'],
]
const databaseRemedy =
  'See that the server runs, and that LIVEHOUSE_DATABASE_URL has its address, database, user and password; livehouse doctor looks at it.'
const fileRemedy =
  'livehouse doctor looks at the data folder; livehouse restore makes a new one from a backup. Do not delete ledger.db or its companions.'

export interface InlineOptions extends LedgerOptions {
  /** Path of ledger.db, or ':memory:'. */
  file: string
  /** What stands between the queue and the writer: a simulated thread that is slow, fails or dies. */
  through?: ((writer: Writer) => Writer) | undefined
}

export function openLedgerInline({ file, through = (writer) => writer, ...options }: InlineOptions): OpenLedger {
  const applier = new Applier({ file, pagesMax: options.pagesMax })
  const run = async (ask: ApplierAsk) => applier.handle(ask)
  const writer = through({ run: (ops) => run({ ops }), reopen: () => run({ reopen: true }), close: async () => applier.close() })
  const reader = file === inMemory ? applier.storage.reader() : LedgerReader.open(file, roomsFileOf(file))
  const reading = new Reading(reader, file === inMemory ? inMemory : file.replace(/(\.db)?$/, '-book.db'))
  const line: ReadLine = { ask: async (ask) => reading.handle(ask), close: async () => reading.close() }
  return new OpenLedger(new LedgerQueue(writer, reader.lastPos(), options), line, options)
}

/** ledger.db, or a Postgres database. */
export type LedgerPlace = { file: string } | PostgresOptions

/** The writer thread; `openLedger` puts the queue before it. */
export class ThreadWriter implements Writer {
  readonly #thread: Thread<PackedAsk, PackedAnswer>

  constructor(data: LedgerPlace & { pagesMax?: number | undefined }, onGone: (reason: string) => void) {
    const entry = 'url' in data ? './postgres-ledger-worker.ts' : './ledger-worker.ts'
    this.#thread = new Thread(new URL(entry, import.meta.url), data, onGone)
  }

  async run(ops: readonly LedgerOp[]): Promise<ApplierAnswer> {
    const { results, pos } = await this.#thread.ask({ packed: packOps(ops) })
    return { results: unpackResults(ops, results), pos }
  }

  async reopen(): Promise<ApplierAnswer> {
    await this.#thread.start()
    const { pos } = await this.#thread.ask({ reopen: true })
    return { results: [], pos }
  }

  close(): Promise<void> {
    return this.#thread.close()
  }

  /** As a crash would end it: for tests. */
  kill(): Promise<void> {
    return this.#thread.kill()
  }
}

/** Started by the first question, and again by the next one after it died. */
class ReaderLine implements ReadLine {
  readonly #thread: Thread<ReadAsk, ReadAnswer>

  constructor(data: LedgerPlace & { bookFile: string }) {
    const entry = 'url' in data ? './postgres-reader-worker.ts' : './reader-worker.ts'
    this.#thread = new Thread(new URL(entry, import.meta.url), data)
  }

  async ask(ask: ReadAsk): Promise<ReadAnswer> {
    await this.#thread.start()
    return this.#thread.ask(ask)
  }

  close(): Promise<void> {
    return this.#thread.close()
  }
}
