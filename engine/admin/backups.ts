/**
 * Backups of a running engine, for `livehouse backup`: the copy is made in a thread, beside the data, and fetched file by file.
 *
 *     POST   /backups                    begins one; the answer has its id                 scope backup
 *     GET    /backups/<id>               running, ready or failed, and how far it is
 *     GET    /backups/<id>/files/<name>  a file of it, as the manifest names it
 *     DELETE /backups/<id>               when all is fetched; after an hour it goes by itself
 *
 * One at a time, because each takes the space of the data once more; one that nobody has asked about for 15 s makes room. Nothing can be named here that is not in the manifest, and the
 * secret of the engine is not in it: whoever makes a backup on the engine's machine adds it.
 */
import { createReadStream } from 'node:fs'
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { type Static, Type } from '@sinclair/typebox'
import type { FastifyInstance } from 'fastify'
import type { Timer } from '../base/clock.ts'
import { type CopyFolder, Manifest, type ManifestShape, manifestName } from '../cli/backup-copy.ts'
import { Progress } from '../cli/backup-progress.ts'
import { Thread } from '../ledger/thread.ts'
import type { AdminParts } from './admin.ts'
import { type Once, OperatorError, refusals, security } from './answers.ts'

/** From the moment at which it is ready. */
const keepMs = 3_600_000
/** Not asked about for so long: the next one takes its place. */
const goneMs = 15_000
const config = { scope: 'backup' } as const
const description = 'Scope backup.'

interface Backup {
  id: string
  state: 'running' | 'ready' | 'failed'
  folder: string
  progress: Progress
  error: string
  manifest: ManifestShape | undefined
  /** Somebody looks at it, or did a moment ago: whoever has gone away must not keep others from theirs. */
  askedAt: number
  fetches: number
  thread: Thread<Omit<CopyFolder, 'onStep'>, ManifestShape>
}

export class Backups {
  readonly #parts: Pick<AdminParts, 'config' | 'clock' | 'newId' | 'log'>
  readonly #root: string
  #backup: Backup | undefined
  #timer: Timer | undefined

  constructor(parts: Pick<AdminParts, 'config' | 'clock' | 'newId' | 'log'>) {
    this.#parts = parts
    this.#root = join(parts.config.dataDir, 'backup.part')
  }

  /** Throws while one is there that somebody waits for. */
  async begin(): Promise<Backup> {
    const { clock, newId, config } = this.#parts
    const madeAt = clock.now()
    const last = this.#backup
    const isWanted = last && last.state !== 'failed' && (last.fetches > 0 || madeAt - last.askedAt < goneMs)
    if (isWanted) throw new OperatorError('backup.busy', `The backup ${last.id} is ${last.state}: DELETE it, or wait.`)
    if (last) await this.drop(last.id)
    const id = newId(madeAt)
    const progress = new Progress()
    const entry = new URL('../cli/backup-worker.ts', import.meta.url)
    const folder = join(this.#root, id)
    const thread: Backup['thread'] = new Thread(entry, { shared: progress.shared })
    const backup: Backup = {
      id,
      state: 'running',
      folder,
      progress,
      error: '',
      manifest: undefined,
      askedAt: madeAt,
      fetches: 0,
      thread,
    }
    this.#backup = backup
    await rm(this.#root, { recursive: true, force: true }) // what a crash has left
    void this.#run(backup, { dir: config.dataDir, to: folder, madeAt, hasLedger: config.databaseUrl === '' })
    return backup
  }

  async #run(backup: Backup, task: Omit<CopyFolder, 'onStep'>): Promise<void> {
    const { log, clock } = this.#parts
    try {
      await backup.thread.start()
      backup.manifest = await backup.thread.ask(task)
      backup.state = 'ready'
      log.info({ id: backup.id, files: backup.manifest.files.length, ledger: backup.manifest.ledger }, 'backup is ready')
      this.#timer = clock.after(keepMs, () => void this.drop(backup.id).catch(() => {}))
    } catch (error) {
      backup.state = 'failed'
      backup.error = error instanceof Error ? error.message : String(error)
      if (this.#backup === backup) log.error({ err: error, id: backup.id }, 'backup failed')
      await rm(this.#root, { recursive: true, force: true })
    } finally {
      await backup.thread.close()
    }
  }

  get(id: string): Backup {
    if (this.#backup?.id !== id) throw new OperatorError('backup.not_found', `There is no backup ${id}.`)
    this.#backup.askedAt = this.#parts.clock.now()
    return this.#backup
  }

  /** One under way is given up. */
  async drop(id: string): Promise<void> {
    const { thread } = this.get(id)
    this.#timer?.cancel()
    this.#backup = undefined
    await thread.kill()
    await rm(this.#root, { recursive: true, force: true })
  }

  async close(): Promise<void> {
    if (this.#backup) await this.drop(this.#backup.id)
  }
}

const Params = Type.Object({ id: Type.String({ pattern: '^[0-9A-Z]{26}$' }) })
const BackupReply = Type.Object({
  id: Type.String(),
  state: Type.String({ description: 'running, ready, failed' }),
  step: Type.String({ description: 'What is being done.' }),
  done: Type.Number({ description: 'Of `total`, in whatever the step counts; 0 of 0 when it is not known.' }),
  total: Type.Number(),
  error: Type.Optional(Type.String()),
  manifest: Type.Optional(Manifest),
})
const shown = ({ id, state, progress, error, manifest }: Backup) => {
  return { id, state, ...progress.get(), ...(error === '' ? {} : { error }), ...(manifest ? { manifest } : {}) }
}

export function registerBackups(app: FastifyInstance, parts: AdminParts, once: Once): void {
  const backups = new Backups(parts)
  app.addHook('onClose', () => backups.close())
  const response = { 200: BackupReply, ...refusals }
  app.post(
    '/backups',
    { config, schema: { summary: 'Begin a backup of the whole data folder.', description, security, response } },
    async (request) => once.run(request, async () => shown(await backups.begin())),
  )
  app.get(
    '/backups/:id',
    { config, schema: { summary: 'How far a backup is.', description, security, params: Params, response } },
    async (request) => shown(backups.get((request.params as Static<typeof Params>).id)),
  )
  app.delete(
    '/backups/:id',
    {
      config,
      schema: {
        summary: 'Delete a backup.',
        description,
        security,
        params: Params,
        response: { 200: Type.Object({}), ...refusals },
      },
    },
    async (request) => {
      await backups.drop((request.params as Static<typeof Params>).id)
      return {}
    },
  )
  const FileParams = Type.Object({ id: Params.properties.id, '*': Type.String({ maxLength: 100 }) })
  app.get(
    '/backups/:id/files/*',
    {
      config,
      schema: { summary: 'A file of a backup that is ready.', description, security, params: FileParams, response: refusals },
    },
    async (request, reply) => {
      const { id, '*': name } = request.params as Static<typeof FileParams>
      const backup = backups.get(id)
      const { folder, manifest } = backup
      const known = manifest?.files.find((file) => file.name === name)
      if (!known)
        throw new OperatorError(
          'backup.not_found',
          `There is no file ${name.slice(0, 80)} in it${manifest ? '' : ' yet'}; ${manifestName} is in the answer of GET /backups/${id}.`,
        )
      reply.header('content-type', 'application/octet-stream').header('content-length', known.bytes)
      backup.fetches++
      const bytes = createReadStream(join(folder, known.name)).once('close', () => {
        backup.fetches--
      })
      return reply.header('cache-control', 'no-store').send(bytes)
    },
  )
}
