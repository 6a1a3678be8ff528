/**
 * What plugins are told over HTTP: events that a plugin failed to take (dead letters), the place in the room log from which it is told,
 * the copy of the log in JetStream, and the log of the engine itself.
 */
import { type Static, Type } from '@sinclair/typebox'
import type { FastifyInstance, FastifyRequest } from 'fastify'
import type { Consumer, Replayed } from '../plugin/events/consumers.ts'
import type { RelayStats } from '../plugin/events/relay.ts'
import { PluginError } from '../plugin/host/plugin-error.ts'
import type { DeadLetter } from '../room/store.ts'
import type { AdminParts } from './admin.ts'
import { type Once, OperatorError, refusalFor, refusals, security } from './answers.ts'
import { PluginParams } from './plugins.ts'
import { LogReply } from './rooms.ts'

/** Dead letters of one request. */
const lettersMax = 500
/** A letter that fails is tried for half a minute; nobody waits for an answer that long. */
const replayWaitMs = 5_000

const Pos = Type.Integer({ minimum: 0, maximum: Number.MAX_SAFE_INTEGER })
const RewindBody = Type.Object({ pos: Pos }, { additionalProperties: false })
const Ids = Type.Array(Pos, { minItems: 1, maxItems: lettersMax })
const IdsBody = Type.Object({ ids: Ids }, { additionalProperties: false })
const ReplayBody = Type.Object(
  { ids: Type.Optional(Ids), all: Type.Optional(Type.Literal(true, { description: `The ${lettersMax} oldest.` })) },
  { additionalProperties: false, minProperties: 1, maxProperties: 1 },
)
const LettersQuery = Type.Object({
  afterId: Type.Optional(Pos),
  limit: Type.Optional(Type.Integer({ minimum: 1, maximum: lettersMax, default: 100 })),
})
const Letter = Type.Object({
  id: Type.Integer(),
  t: Type.String(),
  room: Type.String(),
  pos: Type.Integer(),
  eid: Type.String(),
  at: Type.Integer(),
  actor: Type.String(),
  d: Type.Unknown(),
  attempts: Type.Integer(),
  error: Type.String(),
  deadAt: Type.Integer(),
})
const ReplayReply = Type.Object({ delivered: Type.Integer(), failed: Type.Integer(), left: Type.Integer() })
const RelayReply = Type.Object({
  state: Type.String({ description: 'off, stopped, waiting, starting, running or pausing' }),
  trouble: Type.String(),
  pos: Type.Integer(),
  lag: Type.Integer(),
  inFlight: Type.Integer(),
  published: Type.Integer(),
  duplicates: Type.Integer(),
  failures: Type.Integer(),
  skipped: Type.Integer(),
})

export function registerPluginEvents(app: FastifyInstance, parts: AdminParts, once: Once): void {
  registerLetters(app, parts, once)
  registerRewind(app, parts, once)
  registerRelay(app, parts, once)
  registerEngineLog(app, parts)
}

const nameOf = (request: FastifyRequest) => (request.params as Static<typeof PluginParams>).name

/** Throws a `PluginError`. */
function consumerOf({ host }: AdminParts, name: string): Consumer {
  const consumer = host.consumerOf(name)
  if (consumer) return consumer
  throw new PluginError('plugin.bad_state', `${name} takes no events of the room log now`)
}

function registerLetters(app: FastifyInstance, parts: AdminParts, once: Once): void {
  const { host, store } = parts
  app.get(
    '/plugins/:name/dead-letters',
    {
      schema: {
        summary: 'Events that a plugin failed to take, oldest first.',
        security,
        params: PluginParams,
        querystring: LettersQuery,
        response: { 200: Type.Object({ items: Type.Array(Letter) }), ...refusals },
      },
    },
    async (request) => {
      const plugin = nameOf(request)
      host.describe(plugin) // or it is not found
      const { afterId = 0, limit = 100 } = request.query as Static<typeof LettersQuery>
      return { items: (await store.listDead({ plugin, afterId, limit })).map(shownLetter) }
    },
  )
  app.post(
    '/plugins/:name/dead-letters/replay',
    {
      schema: {
        summary: 'Deliver dead letters once more. 202: some are still being tried.',
        security,
        params: PluginParams,
        body: ReplayBody,
        response: { 200: ReplayReply, 202: Type.Object({ underWay: Type.Integer() }), ...refusals },
      },
    },
    async (request, reply) => {
      const { ids } = request.body as Static<typeof ReplayBody>
      const answer = await once.run(request, () => replay(parts, nameOf(request), ids))
      return reply.status('underWay' in answer ? 202 : 200).send(answer)
    },
  )
  app.post(
    '/plugins/:name/dead-letters/discard',
    {
      schema: {
        summary: 'Delete dead letters.',
        security,
        params: PluginParams,
        body: IdsBody,
        response: { 200: Type.Object({ discarded: Type.Integer() }), ...refusals },
      },
    },
    (request) => once.run(request, () => discard(parts, nameOf(request), (request.body as Static<typeof IdsBody>).ids)),
  )
}

const shownLetter = ({ id, entry: { pos, roomId, row }, attempts, error, deadAt }: DeadLetter): Static<typeof Letter> => {
  const { t, eid, at, actor, d } = row
  return { id, t, room: roomId, pos, eid, at, actor, d, attempts, error, deadAt }
}

async function replay(
  parts: AdminParts,
  plugin: string,
  ids: readonly number[] | undefined,
): Promise<Replayed | { underWay: number }> {
  const { store, clock, log } = parts
  const consumer = consumerOf(parts, plugin)
  const wanted = ids ?? (await store.listDead({ plugin, afterId: 0, limit: lettersMax })).map(({ id }) => id)
  const replayed = consumer.replay(wanted)
  replayed.catch((err) => log.error({ err, plugin }, 'replay of dead letters failed'))
  return new Promise((resolve, reject) => {
    const timer = clock.after(replayWaitMs, () => resolve({ underWay: wanted.length }))
    replayed.finally(() => timer.cancel()).then(resolve, reject)
  })
}

async function discard({ host, store }: AdminParts, plugin: string, ids: readonly number[]): Promise<{ discarded: number }> {
  host.describe(plugin)
  const own = (await store.getDead(ids)).filter((letter) => letter.plugin === plugin).map(({ id }) => id)
  return { discarded: (await store.takeDead(own)).length }
}

function registerRewind(app: FastifyInstance, parts: AdminParts, once: Once): void {
  app.post(
    '/plugins/:name/events/rewind',
    {
      schema: {
        summary: 'Deliver again what is in the room log after a position.',
        security,
        params: PluginParams,
        body: RewindBody,
        response: { 200: Type.Object({ pos: Type.Integer(), lag: Type.Integer() }), ...refusals },
      },
    },
    (request) =>
      once.run(request, async () => {
        const consumer = consumerOf(parts, nameOf(request))
        await consumer.rewind((request.body as Static<typeof RewindBody>).pos).catch((error) => {
          throw refusalFor(error) ? error : new PluginError('plugin.bad_state', (error as Error).message)
        })
        return { pos: consumer.stats.pos, lag: consumer.lag() }
      }),
  )
}

const relayOff: Omit<RelayStats, 'state'> & { state: 'off' } = {
  state: 'off',
  trouble: '',
  pos: 0,
  lag: 0,
  inFlight: 0,
  published: 0,
  duplicates: 0,
  failures: 0,
  skipped: 0,
}

function registerRelay(app: FastifyInstance, { remote, store }: AdminParts, once: Once): void {
  app.get(
    '/relay',
    {
      schema: {
        summary: 'How the copy of the room log in JetStream fares.',
        security,
        response: { 200: RelayReply, ...refusals },
      },
    },
    async () => remote.relay?.stats() ?? relayOff,
  )
  app.post(
    '/relay/rewind',
    {
      schema: {
        summary: 'Copy again what is in the room log after a position.',
        security,
        body: RewindBody,
        response: { 200: RelayReply, ...refusals },
      },
    },
    (request) =>
      once.run(request, async () => {
        const { relay } = remote
        if (!relay) throw new OperatorError('relay.off', 'the room log is not copied: set natsUrl and jetStream')
        const { pos } = request.body as Static<typeof RewindBody>
        await relay.rewind(Math.min(pos, await store.logEnd()))
        return relay.stats()
      }),
  )
}

function registerEngineLog(app: FastifyInstance, { store }: AdminParts): void {
  const LogQuery = Type.Object({
    afterPos: Type.Optional(Pos),
    limit: Type.Optional(Type.Integer({ minimum: 1, maximum: 1_000, default: 100 })),
  })
  app.get(
    '/events',
    {
      schema: {
        summary: 'The log of the engine: what happened to plugins and in no room.',
        security,
        querystring: LogQuery,
        response: { 200: LogReply, ...refusals },
      },
    },
    async (request) => {
      const { afterPos = 0, limit = 100 } = request.query as Static<typeof LogQuery>
      const entries = await store.readLog({ roomId: '', afterPos, limit })
      return { items: entries.map(({ pos, epoch, seq, row }) => ({ pos, epoch, seq, ...row })) }
    },
  )
}
