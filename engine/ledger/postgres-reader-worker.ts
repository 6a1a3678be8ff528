/** Entry of the reader thread on Postgres: own connection that cannot write, and the book. `open.ts` starts it. */
import type { PostgresOptions } from './postgres-connection.ts'
import { PostgresReader } from './postgres-reader.ts'
import { type ReadAnswer, type ReadAsk, Reading } from './reading.ts'
import { serve } from './thread.ts'

serve<PostgresOptions & { bookFile: string }, ReadAsk, ReadAnswer>(
  ({ bookFile, ...options }) => new Reading(new PostgresReader(options), bookFile),
)
