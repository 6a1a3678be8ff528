/**
 * Trivia: whoever runs the room asks, everybody answers, the first right answer wins.
 *
 *     -> {"id":"1","t":"x.trivia.start","room":"demo","d":{"question":"Capital of France?","answer":"Paris"}}
 *     <- {"t":"x.trivia.asked","room":"demo","d":{"id":1,"question":"Capital of France?","endsAt":1760000030000}}
 *     -> {"id":"2","t":"x.trivia.answer","room":"demo","d":{"text":"paris"}}
 *     <- {"t":"x.trivia.won","room":"demo","d":{"id":1,"userId":"ann","name":"Ann","answer":"Paris"}}
 *
 * It shows commands and events of its own, a table, a schedule, what somebody who comes late is told (`ext` of the snapshot), and a page
 * for operators: GET /admin/v1/trivia/scores/:room. All state is in the table, so any number of instances may run.
 */
import { type CommandAsk, type Context, definePlugin, refuse, type Static, Type } from 'livehouse/plugin'
import { and, count, desc, eq, isNotNull, lte } from 'livehouse/tables'
import { isRight } from './rules.ts'
import { migrations, questions } from './tables.ts'

const settings = Type.Object({
  seconds: Type.Integer({ default: 30, minimum: 5, maximum: 600, description: 'Time to answer.' }),
})
const emits = {
  'x.trivia.asked': { lane: 'normal', d: Type.Object({ id: Type.Integer(), question: Type.String(), endsAt: Type.Integer() }) },
  'x.trivia.won': {
    lane: 'normal',
    d: Type.Object({ id: Type.Integer(), userId: Type.String(), name: Type.String(), answer: Type.String() }),
  },
  'x.trivia.ended': { lane: 'normal', d: Type.Object({ id: Type.Integer(), answer: Type.String() }) },
} as const
type Ctx = Context<typeof settings, typeof emits>

const Question = Type.Object({
  question: Type.String({ minLength: 1, maxLength: 200 }),
  answer: Type.String({ minLength: 1, maxLength: 100 }),
})
const Answer = Type.Object({ text: Type.String({ maxLength: 100 }) })

const mayAsk = new Set(['owner', 'admin', 'operator'])

async function start({ room, at, from, d }: CommandAsk<Static<typeof Question>>, ctx: Ctx): Promise<object> {
  if (!from.ranks.some((rank) => mayAsk.has(rank))) throw refuse('perm.denied', 'Only who runs the room asks questions.')
  const endsAt = at + ctx.settings.seconds * 1_000
  // The index lets one through when two ask at once.
  const [asked] = await ctx.db
    .insert(questions)
    .values({ ...d, room, endsAt })
    .onConflictDoNothing()
    .returning()
  if (!asked) throw refuse('x.trivia.busy', 'The last question is still open.')
  await ctx.room.broadcast(room, 'x.trivia.asked', { id: asked.id, question: asked.question, endsAt })
  return { id: asked.id, endsAt }
}

async function answer({ room, at, from, d }: CommandAsk<Static<typeof Answer>>, ctx: Ctx): Promise<object> {
  const open = await openQuestion(room, ctx)
  if (!open || open.endsAt <= at) throw refuse('x.trivia.none', 'No question is open.')
  if (!isRight(d.text, open.answer)) return { right: false }
  // Of two right answers one finds it open.
  const won = await ctx.db
    .update(questions)
    .set({ isOpen: 0, winner: from.userId })
    .where(and(eq(questions.id, open.id), eq(questions.isOpen, 1)))
    .returning()
  if (won.length === 0) return { right: true, won: false }
  ctx.metrics.add('won')
  await ctx.room.broadcast(room, 'x.trivia.won', { id: open.id, userId: from.userId, name: from.name, answer: open.answer })
  return { right: true, won: true }
}

async function openQuestion(room: string, { db }: Ctx) {
  const [open] = await db
    .select()
    .from(questions)
    .where(and(eq(questions.room, room), eq(questions.isOpen, 1)))
  return open
}

/** Questions that nobody answered in time. */
async function endOverdue(at: number, ctx: Ctx): Promise<void> {
  const ended = await ctx.db
    .update(questions)
    .set({ isOpen: 0 })
    .where(and(eq(questions.isOpen, 1), lte(questions.endsAt, at)))
    .returning()
  for (const { id, room, answer } of ended) await ctx.room.broadcast(room, 'x.trivia.ended', { id, answer })
}

export default definePlugin({
  name: 'trivia',
  version: '1.0.0',
  description: 'Questions for the room; the first right answer wins.',
  settings,
  emits,
  migrations,

  commands: {
    'x.trivia.start': { d: Question, budgetMs: 1_000, run: start },
    'x.trivia.answer': { d: Answer, budgetMs: 1_000, run: answer },
  },

  transforms: {
    'room.join': {
      order: 100,
      budgetMs: 200,
      async run({ room }, ctx) {
        const open = await openQuestion(room, ctx)
        return open && { ext: { id: open.id, question: open.question, endsAt: open.endsAt } }
      },
    },
  },

  schedules: { end: { everyMs: 1_000, run: endOverdue } },

  routes: {
    'GET /scores/:room': {
      summary: 'Users by the questions that they have won in a room.',
      async run({ params: { room = '' } }, { db }) {
        const points = count()
        const scores = await db
          .select({ userId: questions.winner, points })
          .from(questions)
          .where(and(eq(questions.room, room), isNotNull(questions.winner)))
          .groupBy(questions.winner)
          .orderBy(desc(points))
          .limit(100)
        return { body: { scores } }
      },
    },
  },
})
