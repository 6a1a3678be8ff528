/**
 * `livehouse restore PATH`: a data folder from a backup.
 *
 *     livehouse restore /backups/monday.tar --data-dir /var/lib/livehouse
 *
 * Everything is unpacked and looked through beside the target, and gets its name in one step at the end: what is there was never half of
 * it. A folder that has anything in it is left alone, and so is one on which an engine runs.
 */
import { copyFileSync, existsSync, mkdirSync, mkdtempSync, readdirSync, renameSync, rmSync, statSync } from 'node:fs'
import { basename, dirname, join, resolve } from 'node:path'
import { readCommandLine } from '../arguments.ts'
import { ConfigError } from '../config.ts'
import { configOf } from './backup.ts'
import { checkBackup, type ManifestShape, manifestName, readManifest, sync } from './backup-copy.ts'
import { adminUrlOf, findEngine } from './backup-engine.ts'
import { unpackFolder } from './backup-tar.ts'
import { CommandError, print, progressLine } from './terminal.ts'

export async function restore(argv: readonly string[]): Promise<number> {
  const allowed = { 'data-dir': 'DIR', admin: 'http://127.0.0.1:8081', config: 'FILE' }
  const { positional, values } = readCommandLine(argv, { allowed, positional: 'PATH' })
  if (positional === undefined) throw new ConfigError(['PATH is missing: livehouse restore /backups/monday'])
  const from = resolve(positional)
  if (!existsSync(from)) throw new CommandError(`There is no ${from}.`)
  const config = configOf(values)
  const target = resolve(config.dataDir)
  checkTarget(target)
  const url = adminUrlOf(config, values.admin)
  if ((await findEngine(url, target)) === 'this folder')
    throw new CommandError(
      `The engine at ${url} runs on ${target}: stop it first, or restore to another folder with --data-dir DIR.`,
    )
  mkdirSync(dirname(target), { recursive: true })
  const staging = mkdtempSync(join(dirname(target), `${basename(target)}.restoring-`))
  const line = progressLine()
  try {
    line.step('unpack')
    if (statSync(from).isDirectory()) copyFiles(from, staging)
    else await unpackFolder({ file: from, folder: staging })
    const manifest = await checkBackup(staging, line.step)
    dropStrangers(staging, manifest)
    line.end()
    name(staging, target)
    print(inWords(target, manifest))
    return 0
  } catch (error) {
    line.end()
    throw error instanceof CommandError
      ? error
      : new CommandError(`Nothing was restored. ${(error as Error).message.replaceAll(`${staging}/`, '')}\nTake another backup.`)
  } finally {
    rmSync(staging, { recursive: true, force: true })
  }
}

function checkTarget(target: string): void {
  if (!existsSync(target)) return
  if (!statSync(target).isDirectory()) throw new CommandError(`${target} is no folder: give another with --data-dir DIR.`)
  if (readdirSync(target).length > 0)
    throw new CommandError(
      `${target} is not empty, and a restore never replaces anything.\nStop the engine and move the folder away: mv ${target} ${target}.old\nOr restore to another folder: --data-dir DIR`,
    )
}

/** What the manifest names, and nothing else. */
function copyFiles(from: string, to: string): void {
  for (const { name } of [{ name: manifestName }, ...readManifest(from).files]) {
    if (!existsSync(join(from, name))) throw new Error(`${name} is missing: the backup is damaged`)
    mkdirSync(dirname(join(to, name)), { recursive: true, mode: 0o700 })
    copyFileSync(join(from, name), join(to, name))
  }
}

/** A manifest is of no use to an engine, and what an archive has beyond it was checked by nobody. */
function dropStrangers(folder: string, { files }: ManifestShape): void {
  const known = new Set(files.map(({ name }) => name))
  for (const entry of readdirSync(folder, { withFileTypes: true, recursive: true })) {
    const path = join(entry.parentPath, entry.name)
    if (entry.isFile() && !known.has(path.slice(folder.length + 1))) rmSync(path)
  }
}

/** One step: a rename replaces a folder that is still empty, and no other. */
function name(staging: string, target: string): void {
  const below = readdirSync(staging, { withFileTypes: true }).filter((entry) => entry.isDirectory())
  for (const folder of [...below.map((entry) => join(staging, entry.name)), staging]) {
    for (const file of readdirSync(folder)) sync(join(folder, file))
    sync(folder)
  }
  try {
    renameSync(staging, target)
  } catch (error) {
    throw new CommandError(
      `${target} cannot be made: ${(error as Error).message}\nSomething came into it meanwhile: look, and try again.`,
    )
  }
  sync(dirname(target))
}

function inWords(target: string, { files, ledger, madeAt, engine }: ManifestShape): string {
  const hasSecret = files.some((file) => file.name === 'secret')
  return [
    `Restored to ${target}: ${files.length} files of ${new Date(madeAt).toISOString()}, made by livehouse ${engine}${ledger ? `, ${ledger.rows} rows of the ledger` : ''}.`,
    ...(hasSecret
      ? []
      : ['The secret was not in it: give LIVEHOUSE_SECRET the old one, or tokens and payments under way are refused.']),
    `Start it: livehouse serve --data-dir ${target}`,
  ].join('\n')
}
