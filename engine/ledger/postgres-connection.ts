/**
 * One connection to Postgres, as the ledger uses it: amounts come as `bigint`, JSON as the text that was written, and every question has
 * an answer within `answerMsMax` or the connection is given up. After any failure it is of no use any more: make a new one.
 *
 *     const connection = await connectPostgres({ url, name: 'livehouse ledger writer' })
 *     const rows = await connection.query(statement('last-pos', 'SELECT max(pos) AS pos FROM livehouse_ledger.journal'))
 *     await connection.close()
 *
 * What is thrown never shows the URL, which has the password in it.
 */
import pg from 'pg'
import { SystemClock } from '../base/clock.ts'

export interface PostgresOptions {
  /** postgres://user:password@host:5432/database; with `?sslmode=verify-full` over TLS. */
  url: string
  /** A server that is silent for so long is taken for lost. Unset: 15 s. */
  answerMsMax?: number | undefined
}

/** Prepared once a connection. */
export interface Statement {
  name: string
  text: string
}
export const statement = (name: string, text: string): Statement => ({ name, text })

const answerMsDefault = 15_000
const connectMsMax = 5_000
/** How long a server may take to say goodbye. */
const farewellMs = 1_000

const [int8, int4] = [20, 23]
/** By type: the parsers of the package lose whole numbers beyond 2^53 and read JSON into objects. */
const types = {
  getTypeParser: (oid: number) => (oid === int8 ? BigInt : oid === int4 ? Number : (text: string) => text),
} as unknown as pg.CustomTypesConfig // its overloads tell text from binary, which is never asked for

/**
 * All statements look rows up by their keys. A plan that was made while a table was small would read all of it later on, and is kept for
 * as long as the connection lives. Keepalive: the lock of a writer whose machine died is free after some 20 s.
 */
const settings = `SET enable_seqscan = off; SET enable_hashjoin = off; SET enable_mergejoin = off; SET jit = off; SET client_encoding = 'UTF8';
  SET tcp_keepalives_idle = 10; SET tcp_keepalives_interval = 3; SET tcp_keepalives_count = 3;
  SET search_path = livehouse_ledger, pg_catalog`

export async function connectPostgres(options: PostgresOptions & { name: string }): Promise<PostgresConnection> {
  const connection = new PostgresConnection(options)
  await connection.open()
  return connection
}

export class PostgresConnection {
  readonly #client: pg.Client
  #lost: string | undefined

  constructor({ url, name, answerMsMax = answerMsDefault }: PostgresOptions & { name: string }) {
    this.#client = clientOf(url, {
      application_name: name,
      connectionTimeoutMillis: connectMsMax,
      query_timeout: answerMsMax,
      keepAlive: true,
      keepAliveInitialDelayMillis: 10_000,
      // Several questions under way at once, answered in order.
      pipeline: true,
      types,
    })
    // Also comes while nothing is asked: unheard, it would end the process.
    this.#client.on('error', (error) => this.#lose(error))
    this.#client.on('end', () => this.#lose(new Error('the server ended the connection')))
  }

  /** Why it is of no use; undefined while it is. */
  get lost(): string | undefined {
    return this.#lost
  }

  async open(): Promise<void> {
    try {
      await this.#client.connect()
      await this.#client.query(settings)
    } catch (error) {
      this.abandon()
      throw plain(error)
    }
  }

  async query<Row>(
    { name, text }: Statement,
    values: readonly (bigint | number | string | null | readonly unknown[])[] = [],
  ): Promise<Row[]> {
    if (this.#lost !== undefined) throw new Error(this.#lost)
    try {
      const { rows } = await this.#client.query({ name, text, values: values as unknown[] })
      return rows as Row[]
    } catch (error) {
      this.#lose(plain(error))
      throw plain(error)
    }
  }

  /** Statements without values, in one transaction unless they say otherwise. */
  async run(text: string): Promise<void> {
    if (this.#lost !== undefined) throw new Error(this.#lost)
    try {
      await this.#client.query(text)
    } catch (error) {
      this.#lose(plain(error))
      throw plain(error)
    }
  }

  async close(): Promise<void> {
    this.#lose(new Error('it was closed'))
    const timer = new SystemClock().after(farewellMs, () => this.abandon())
    await this.#client.end().catch(() => {})
    timer.cancel()
  }

  /** Without a goodbye. */
  abandon(): void {
    this.#lose(new Error('it was given up'))
    socketOf(this.#client).destroy()
  }

  #lose(error: Error): void {
    this.#lost ??= error.message
  }
}

function clientOf(url: string, config: pg.ClientConfig): pg.Client {
  try {
    return new pg.Client({ connectionString: url, ...config })
  } catch (error) {
    throw plain(error)
  }
}

/** Not in the types of the package, which has no other way to give up on a server that is silent. */
const socketOf = (client: pg.Client): { destroy(): void } =>
  (client as unknown as { connection: { stream: { destroy(): void } } }).connection.stream

/** An error with what is needed of it: `code` and `constraint` of the server's, one line for several addresses that all failed. */
function plain(error: unknown): Error {
  const { message, code, constraint } = error as { message?: string; code?: string; constraint?: string }
  const all = error instanceof AggregateError ? error.errors.map((one) => one.message).join('; ') : message
  return Object.assign(new Error(all || code || 'the connection failed'), { code, constraint })
}

/** Of an error of the server: `23505` and the like. */
export const sqlStateOf = (error: unknown): string | undefined => (error as { code?: string }).code
