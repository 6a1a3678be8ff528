/**
 * Plugins over HTTP: what is attached and how it fares, and what an operator decides about it. Every write is done in the name of the
 * token's user and is a `plugin.changed` in the log of the engine (`GET /events`).
 *
 *     POST  /plugins {"file": "word-filter.ts"}         from pluginsDir, in a worker thread; inline only for trusted code
 *     POST  /plugins/word-filter/approve                 grants what it asks for now
 *     PATCH /plugins/word-filter/settings {"words": []}  with If-Match: nobody's change is lost
 */
import { type Static, Type } from '@sinclair/typebox'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import type { PluginInfo } from '../plugin/host/plugin-info.ts'
import { pluginNamePattern } from '../plugin/manifest.ts'
import type { AdminParts } from './admin.ts'
import { etag, type Once, OperatorError, refusalFor, refusals, security, wantedVersion } from './answers.ts'
import { fileNamePattern, pluginFile } from './plugin-files.ts'

export const PluginParams = Type.Object({ name: Type.String({ pattern: pluginNamePattern }) })
const Count = Type.Integer()
const Hook = Type.Object({
  kind: Type.String(),
  on: Type.String(),
  calls: Count,
  timeouts: Count,
  failures: Count,
  unavailable: Count,
  policy: Type.Integer({ description: 'Times that the declared failure policy took the place of an answer.' }),
  p50Ms: Type.Number(),
  p99Ms: Type.Number(),
  verdicts: Type.Optional(Type.Record(Type.String(), Count)),
})
const Summary = Type.Object({
  name: Type.String(),
  version: Type.String(),
  description: Type.String(),
  place: Type.String(),
  file: Type.String(),
  state: Type.String({ description: 'pending, disabled, detached, degraded or attached' }),
  manifest: Type.String({ description: 'Hash of the manifest that `asks` is about; send it with the approval.' }),
  asks: Type.Array(Type.String(), { description: 'What it asks for beyond what was granted.' }),
  domains: Type.Array(Type.String(), { description: 'Domains of commands and events that it owns.' }),
  instances: Type.Array(Type.Object({ instance: Type.String(), state: Type.String(), since: Type.Integer(), underWay: Count })),
  hooks: Type.Array(Hook),
  events: Type.Optional(
    Type.Object(
      { lag: Count, delivered: Count, retried: Count, dead: Count, skipped: Count },
      { description: 'Of the room log.' },
    ),
  ),
  live: Type.Optional(
    Type.Object({ queued: Count, delivered: Count, failed: Count, dropped: Count }, { description: 'Events in no log.' }),
  ),
  deadLetters: Type.Integer({ description: 'Events that wait for a replay.' }),
  calls: Count,
  callsRefused: Count,
  settingsVersion: Type.Integer(),
  unfitSettings: Type.String({ description: 'Why its instances do not take the settings.' }),
  lastError: Type.String(),
  changedAt: Type.Integer(),
  changedBy: Type.String(),
})
const Whole = Type.Composite([
  Summary,
  Type.Object({
    settings: Type.Unknown(),
    settingsSchema: Type.Unknown(),
    routes: Type.Array(Type.Object({ method: Type.String(), path: Type.String(), summary: Type.String() })),
  }),
])
type SummaryShape = Static<typeof Summary>
type WholeShape = Static<typeof Whole>

const AttachBody = Type.Object(
  {
    file: Type.String({ pattern: fileNamePattern, maxLength: 400, description: 'Its path below pluginsDir.' }),
    place: Type.Optional(Type.Union([Type.Literal('worker'), Type.Literal('inline')], { default: 'worker' })),
  },
  { additionalProperties: false },
)
const SettingsBody = Type.Record(Type.String({ maxLength: 64 }), Type.Unknown(), { description: 'What is to change.' })
const SettingsReply = Type.Object({ settings: Type.Unknown(), settingsVersion: Type.Integer() })

/** Each is a thread, or code that starts. */
const attachesMax = 4

export function registerPlugins(app: FastifyInstance, parts: AdminParts, once: Once): void {
  registerReads(app, parts)
  registerAttach(app, parts, once)
  registerDecisions(app, parts, once)
  registerSettings(app, parts, once)
}

const paramsOf = (request: FastifyRequest) => request.params as Static<typeof PluginParams>

function registerReads(app: FastifyInstance, parts: AdminParts): void {
  app.get(
    '/plugins',
    {
      schema: {
        summary: 'Plugins with their state, instances and numbers.',
        security,
        response: { 200: Type.Object({ items: Type.Array(Summary) }), ...refusals },
      },
    },
    async () => {
      const dead = await deadLetters(parts)
      return { items: parts.host.list().map((info) => summary(info, dead)) }
    },
  )
  app.get(
    '/plugins/:name',
    {
      schema: {
        summary: 'One plugin with its settings, their schema and its routes.',
        security,
        params: PluginParams,
        response: { 200: Whole, ...refusals },
      },
    },
    (request, reply) => sendPlugin(parts, reply, paramsOf(request).name),
  )
}

async function deadLetters({ store }: AdminParts): Promise<ReadonlyMap<string, number>> {
  return new Map((await store.countDead()).map(({ plugin, count }) => [plugin, count]))
}

function summary({ events, live, domains, ...info }: PluginInfo, dead: ReadonlyMap<string, number>): SummaryShape {
  return {
    ...info,
    domains: [...domains],
    ...(events ? { events } : {}),
    ...(live ? { live } : {}),
    deadLetters: dead.get(info.name) ?? 0,
  }
}

async function sendPlugin(parts: AdminParts, reply: FastifyReply, name: string): Promise<FastifyReply> {
  const dead = await deadLetters(parts)
  const info = parts.host.describe(name)
  const routes = parts.host.routesOf(name).map(({ spec }) => {
    const [method = '', path = ''] = spec.on.split(' ')
    return { method, path: `/admin/v1/${name}${path}`, summary: spec.summary }
  })
  const { settings, settingsSchema } = info
  const whole: WholeShape = { ...summary(info, dead), settings, settingsSchema, routes }
  return reply.header('etag', etag(info.settingsVersion)).send(whole)
}

// ------------------------------------------------------------------ attach, update, detach

function registerAttach(app: FastifyInstance, parts: AdminParts, once: Once): void {
  const { host, config } = parts
  let attaches = 0
  const limited = async <T>(act: () => Promise<T>): Promise<T> => {
    if (attaches >= attachesMax) throw new OperatorError('plugin.too_many', `${attachesMax} plugins are being attached now`)
    attaches++
    try {
      return await started(act)
    } finally {
      attaches--
    }
  }
  app.post(
    '/plugins',
    {
      schema: {
        summary: 'Attach a plugin from pluginsDir, or the new version of one that is attached.',
        security,
        body: AttachBody,
        response: { 200: Whole, ...refusals },
      },
    },
    async (request, reply) => {
      const { file, place = 'worker' } = request.body as Static<typeof AttachBody>
      const by = request.actor.userId
      const name = await once.run(request, () =>
        limited(async () => host.attach({ file: await pluginFile(config.pluginsDir, file), place }, { by })),
      )
      return sendPlugin(parts, reply, name)
    },
  )
  const detach = Type.Object({ purge: Type.Optional(Type.Boolean({ description: 'Delete its tables as well.' })) })
  app.post(
    '/plugins/:name/update',
    {
      schema: {
        summary: 'Read the file of a plugin anew; the new version takes over when it has started.',
        security,
        params: PluginParams,
        response: { 200: Whole, ...refusals },
      },
    },
    async (request, reply) => {
      const { name } = paramsOf(request)
      await once.run(request, () => limited(() => host.update(name, request.actor.userId)))
      return sendPlugin(parts, reply, name)
    },
  )
  app.delete(
    '/plugins/:name',
    {
      schema: {
        summary: 'Take a plugin out of force, stop it and forget it.',
        security,
        params: PluginParams,
        querystring: detach,
        response: { 200: Type.Object({}), ...refusals },
      },
    },
    async (request) => {
      const { purge = false } = request.query as Static<typeof detach>
      await host.detach(paramsOf(request).name, request.actor.userId, { purge })
      return {}
    },
  )
}

/** What the plugin's own code threw on the way, its migrations too, is nothing that failed here. */
async function started<T>(act: () => Promise<T>): Promise<T> {
  try {
    return await act()
  } catch (error) {
    if (refusalFor(error)) throw error
    throw new OperatorError('plugin.not_loaded', `it did not start: ${error instanceof Error ? error.message : String(error)}`)
  }
}

// ------------------------------------------------------------------ decisions

function registerDecisions(app: FastifyInstance, parts: AdminParts, once: Once): void {
  const { host } = parts
  app.post(
    '/plugins/:name/approve',
    {
      schema: {
        summary: 'Grant a plugin what it asks for. With `manifest`, only if it still asks for what was shown.',
        security,
        params: PluginParams,
        body: Type.Union([Type.Object({ manifest: Type.Optional(Type.String()) }, { additionalProperties: false }), Type.Null()]),
        response: { 200: Whole, ...refusals },
      },
    },
    async (request, reply) => {
      const { name } = paramsOf(request)
      const { manifest } = (request.body ?? {}) as { manifest?: string }
      await once.run(request, () => host.approve(name, request.actor.userId, manifest))
      return sendPlugin(parts, reply, name)
    },
  )
  const decisions: [string, string, (name: string, by: string) => Promise<void>][] = [
    [
      'disable',
      'Take a plugin out of force; nobody attaches under its name until it is enabled.',
      (name, by) => host.disable(name, by),
    ],
    ['enable', 'Let a disabled plugin work again.', (name, by) => started(() => host.enable(name, by))],
  ]
  for (const [verb, text, decide] of decisions)
    app.post(
      `/plugins/:name/${verb}`,
      { schema: { summary: text, security, params: PluginParams, response: { 200: Whole, ...refusals } } },
      async (request, reply) => {
        const { name } = paramsOf(request)
        await once.run(request, () => decide(name, request.actor.userId))
        return sendPlugin(parts, reply, name)
      },
    )
}

function registerSettings(app: FastifyInstance, { host }: AdminParts, once: Once): void {
  app.patch(
    '/plugins/:name/settings',
    {
      schema: {
        summary: 'Change settings of a plugin; it takes them at once.',
        security,
        params: PluginParams,
        body: SettingsBody,
        response: { 200: SettingsReply, ...refusals },
      },
    },
    async (request, reply) => {
      const { name } = paramsOf(request)
      const patch = request.body as Record<string, unknown>
      await once.run(request, () => host.configure(name, patch, request.actor.userId, wantedVersion(request)))
      const { settings, settingsVersion } = host.describe(name)
      return reply.header('etag', etag(settingsVersion)).send({ settings, settingsVersion })
    },
  )
}
