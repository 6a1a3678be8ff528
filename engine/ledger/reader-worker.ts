/** Entry of the reader thread: own connection to ledger.db that cannot write, the book and the index of rooms. `open.ts` starts it. */
import { LedgerReader } from './reader.ts'
import { type ReadAnswer, type ReadAsk, Reading } from './reading.ts'
import { roomsFileOf } from './rooms.ts'
import { serve } from './thread.ts'

serve<{ file: string; bookFile: string }, ReadAsk, ReadAnswer>(
  ({ file, bookFile }) => new Reading(LedgerReader.open(file, roomsFileOf(file)), bookFile),
)
