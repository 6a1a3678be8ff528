/**
 * `livehouse backup PATH`: everything that must not be lost, in a folder or in one .tar file.
 *
 *     livehouse backup /backups/monday
 *     livehouse backup /backups/monday.tar --data-dir /var/lib/livehouse
 *
 * From a running engine through its admin port, while it works; from the files when none runs. The copy is looked through before it gets
 * its name: whatever has the name is a good one. `restore.ts` is the way back.
 */
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { open, readFile } from 'node:fs/promises'
import { dirname, join, resolve } from 'node:path'
import { readCommandLine } from '../arguments.ts'
import { SystemClock } from '../base/clock.ts'
import { type Config, ConfigError, loadConfig } from '../config.ts'
import { takeLock } from '../room/core-db.ts'
import {
  copyDataFolder,
  entryOf,
  finish,
  freshPart,
  type ManifestShape,
  manifestName,
  type OnStep,
  secretName,
} from './backup-copy.ts'
import { adminUrlOf, BackupApi, findEngine } from './backup-engine.ts'
import { packFolder } from './backup-tar.ts'
import { CommandError, print, progressLine } from './terminal.ts'

const lookEveryMs = 200

export async function backup(argv: readonly string[]): Promise<number> {
  const allowed = { 'data-dir': 'DIR', admin: 'http://127.0.0.1:8081', config: 'FILE' }
  const { positional, values } = readCommandLine(argv, { allowed, positional: 'PATH' })
  if (positional === undefined) throw new ConfigError(['PATH is missing: livehouse backup /backups/monday'])
  const to = resolve(positional)
  if (existsSync(to)) throw new CommandError(`${to} exists, and a backup never replaces anything: give another name.`)
  const config = configOf(values)
  mkdirSync(dirname(to), { recursive: true })
  const isTar = to.endsWith('.tar')
  // Beside the target: the last step is a rename there.
  const folder = isTar ? join(mkdtempSync(`${to}.part-`), 'backup') : to
  const line = progressLine()
  try {
    const manifest = await make({ config, admin: values.admin, to: folder, onStep: line.step })
    if (isTar) {
      line.step('pack')
      await packFolder({ folder, names: [manifestName, ...manifest.files.map(({ name }) => name)], to })
    }
    line.end()
    print(inWords(to, manifest, config))
    return 0
  } catch (error) {
    line.end()
    throw error instanceof CommandError ? error : new CommandError(`No backup was made. ${(error as Error).message}`)
  } finally {
    if (isTar) rmSync(dirname(folder), { recursive: true, force: true })
    rmSync(`${folder}.part`, { recursive: true, force: true })
  }
}

export function configOf({ 'data-dir': dataDir, config }: Partial<Record<string, string>>): Config {
  const flags = [
    ...(dataDir === undefined ? [] : [`--data-dir=${dataDir}`]),
    ...(config === undefined ? [] : [`--config=${config}`]),
  ]
  return loadConfig({ argv: flags, env: process.env })
}

interface Make {
  config: Config
  admin: string | undefined
  to: string
  onStep: OnStep
}

async function make({ config, admin, to, onStep }: Make): Promise<ManifestShape> {
  const url = adminUrlOf(config, admin)
  const found = await findEngine(url, config.dataDir)
  if (admin !== undefined && found === 'none') throw new CommandError(`No engine answers at ${url}.`)
  if (admin !== undefined || found === 'this folder') {
    print(`The engine at ${url} runs: it makes the copy while it works.`)
    return fetchBackup(new BackupApi(url, config), { config, to, onStep })
  }
  if (!existsSync(join(config.dataDir, 'core.db')))
    throw new CommandError(
      `There is no core.db in ${resolve(config.dataDir)}: give the data folder of the engine, --data-dir DIR, or where it runs, --admin ADDRESS.`,
    )
  const lock = lockOf(config)
  try {
    print(`No engine runs on ${resolve(config.dataDir)}: the files are copied, and none can start meanwhile.`)
    const part = `${to}.files`
    const madeAt = new SystemClock().now()
    await copyDataFolder({ dir: config.dataDir, to: part, madeAt, hasLedger: config.databaseUrl === '', onStep })
    return await withSecret(config, part, to)
  } finally {
    lock.close()
    for (const left of [`${to}.files`, `${to}.files.part`]) rmSync(left, { recursive: true, force: true })
  }
}

/** Held as long as the copy takes. */
function lockOf({ dataDir }: Config): { close(): void } {
  try {
    return takeLock(join(dataDir, 'core.db'))
  } catch {
    throw new CommandError(
      `An engine runs on ${resolve(dataDir)}, but none answers at its admin port as it is configured here. Say where: --admin http://HOST:PORT`,
    )
  }
}

interface Shown {
  id: string
  state: 'running' | 'ready' | 'failed'
  step: string
  done: number
  total: number
  error?: string
  manifest?: ManifestShape
}

async function fetchBackup(api: BackupApi, { config, to, onStep }: Omit<Make, 'admin'>): Promise<ManifestShape> {
  let shown = await api.json<Shown>('POST', '/backups')
  const { id } = shown
  try {
    while (shown.state === 'running') {
      onStep(shown.step, shown.done, shown.total)
      await new Promise((resolve) => setTimeout(resolve, lookEveryMs))
      shown = await api.json<Shown>('GET', `/backups/${id}`)
    }
    const { manifest, error = 'the engine does not say why' } = shown
    if (!manifest) throw new CommandError(`No backup was made: ${error}`)
    const part = freshPart(to)
    for (const { name, bytes, sha256 } of manifest.files) {
      mkdirSync(dirname(join(part, name)), { recursive: true, mode: 0o700 })
      await save(await api.ask('GET', `/backups/${id}/files/${name}`), join(part, name), (done) =>
        onStep(`fetch ${name}`, done, bytes),
      )
      const found = await entryOf(part, name)
      if (found.sha256 !== sha256) throw new CommandError(`${name} came in damaged: try again.`)
    }
    return await sealed(config, part, to, manifest)
  } finally {
    await api.ask('DELETE', `/backups/${id}`).catch(() => {}) // it goes by itself after an hour
  }
}

async function save(reply: Response, to: string, onBytes: (done: number) => void): Promise<void> {
  const file = await open(to, 'wx', 0o600)
  try {
    let done = 0
    for await (const chunk of reply.body ?? []) {
      await file.appendFile(chunk)
      done += chunk.length
      onBytes(done)
    }
  } finally {
    await file.close()
  }
}

/** A copy that has its name already is opened once more for the secret; it is named again when it has it. */
async function withSecret(config: Config, part: string, to: string): Promise<ManifestShape> {
  const manifest = JSON.parse(await readFile(join(part, manifestName), 'utf8')) as ManifestShape
  return sealed(config, part, to, manifest)
}

async function sealed(config: Config, part: string, to: string, manifest: ManifestShape): Promise<ManifestShape> {
  const secret = join(config.dataDir, secretName)
  let { files } = manifest
  // With LIVEHOUSE_SECRET it is kept elsewhere, and the one in the folder is not in use.
  if (config.secret === '' && existsSync(secret)) {
    writeFileSync(join(part, secretName), await readFile(secret), { mode: 0o600 })
    files = [...files, await entryOf(part, secretName)]
  }
  const whole = { ...manifest, files }
  finish(part, to, whole)
  return whole
}

function inWords(to: string, { files, ledger, leftOut }: ManifestShape, { databaseUrl }: Config): string {
  const bytes = files.reduce((sum, file) => sum + file.bytes, 0)
  const rows = ledger ? `${ledger.rows} rows of the ledger, ` : ''
  const hasSecret = files.some(({ name }) => name === secretName)
  return [
    `Backup made and looked through: ${to}`,
    `  ${files.length} files, ${(bytes / 1_000_000).toFixed(1)} MB, ${rows}${hasSecret ? 'with the secret' : 'without the secret (LIVEHOUSE_SECRET, or of another machine)'}`,
    ...(leftOut.length > 0 ? [`  Not in it: ${leftOut.slice(0, 20).join(', ')}${leftOut.length > 20 ? ' ...' : ''}`] : []),
    ...(databaseUrl === '' ? [] : ['  The ledger is in Postgres: take a backup of that now, after this one.']),
    `Back again: livehouse restore ${to} --data-dir NEW_FOLDER`,
  ].join('\n')
}
