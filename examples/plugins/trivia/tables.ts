/** Every question that was asked, and who won it. The points of a user are counted from here, so they cannot disagree with it. */
import { integer, sqliteTable, text } from 'livehouse/tables'

export const questions = sqliteTable('questions', {
  id: integer('id').primaryKey({ autoIncrement: true }),
  room: text('room').notNull(),
  question: text('question').notNull(),
  answer: text('answer').notNull(),
  endsAt: integer('ends_at').notNull(),
  isOpen: integer('is_open').notNull().default(1),
  winner: text('winner'),
})

/** Entry n is applied once and never edited after it shipped; a change is a new entry. */
export const migrations = [
  `CREATE TABLE questions (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    room TEXT NOT NULL,
    question TEXT NOT NULL,
    answer TEXT NOT NULL,
    ends_at INTEGER NOT NULL,
    is_open INTEGER NOT NULL DEFAULT 1,
    winner TEXT
  ) STRICT`,
  // At most one open question in a room, whoever asks at the same moment.
  'CREATE UNIQUE INDEX open_question ON questions (room) WHERE is_open = 1',
]
