/**
 * A copy of a whole data folder, while an engine runs on it or not, and what makes it trustworthy.
 *
 *     await copyDataFolder({ dir: '.livehouse', to: '/backups/monday', madeAt, hasLedger: true })     // the manifest
 *     await checkBackup('/backups/monday')                                                        // throws with what is wrong
 *
 * In it: core.db, the databases of plugins, ledger.db. Not in it: what is derived (`ledger-*.db`), locks, and what is no database; the
 * manifest names those. The secret is for whoever has the folder to add.
 *
 * Order: the ledger is copied last. Rooms and facts keep their place in its journal; a ledger that is ahead of them is read on from
 * there, one that is behind would be missing what they have shown. Plugins come after core.db for the same reason: an event comes to them
 * twice rather than never.
 */
import { createHash } from 'node:crypto'
import {
  chmodSync,
  closeSync,
  createReadStream,
  existsSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { dirname, join } from 'node:path'
import { type Static, Type } from '@sinclair/typebox'
import { TypeCompiler } from '@sinclair/typebox/compiler'
import { packageVersion } from '../base/package.ts'
import { Audit } from '../ledger/audit.ts'
import { backupLedger, verifyLedgerFile } from '../ledger/backup.ts'
import { Book } from '../ledger/book.ts'
import { LedgerReader } from '../ledger/reader.ts'
import { roomsFileOf } from '../ledger/rooms.ts'
import { checkDatabase, copyDatabase } from '../room/core-backup.ts'

export const manifestName = 'manifest.json'
export const secretName = 'secret'
const ledgerName = 'ledger.db'
const filesMax = 2_000
const manifestBytesMax = 4_000_000
/** One folder deep, and nothing that leads out of it. */
const namePattern = '^(plugins/)?[A-Za-z0-9][A-Za-z0-9_-]{0,63}(\\.db)?$'

const FileEntry = Type.Object({
  name: Type.String({ pattern: namePattern }),
  bytes: Type.Integer({ minimum: 0 }),
  sha256: Type.String({ pattern: '^[0-9a-f]{64}$' }),
})
export const Manifest = Type.Object({
  format: Type.Literal('livehouse backup'),
  version: Type.Literal(1),
  engine: Type.String(),
  madeAt: Type.Integer({ description: 'Epoch ms.' }),
  ledger: Type.Optional(Type.Object({ rows: Type.Integer(), pos: Type.Integer() })),
  files: Type.Array(FileEntry, { maxItems: filesMax }),
  leftOut: Type.Array(Type.String()),
})
export type ManifestShape = Static<typeof Manifest>
type FileShape = Static<typeof FileEntry>
const manifestCheck = TypeCompiler.Compile(Manifest)

/** What is being done, and how far it is; without a total when nobody knows. */
export type OnStep = (step: string, done?: number, total?: number) => void
export interface CopyFolder {
  dir: string
  /** A folder that does not exist. */
  to: string
  madeAt: number
  /** False when the ledger is in Postgres: a file of that name is an old one then. */
  hasLedger: boolean
  onStep?: OnStep
}

/** The folder gets its name when all of it is sound and on disk: a backup with a name is a good one. */
export async function copyDataFolder({ dir, to, madeAt, hasLedger, onStep = () => {} }: CopyFolder): Promise<ManifestShape> {
  const part = freshPart(to)
  const { databases, leftOut } = contentsOf(dir, hasLedger)
  for (const name of databases.filter((one) => one !== ledgerName)) {
    mkdirSync(dirname(join(part, name)), { recursive: true, mode: 0o700 })
    const onProgress = (done: number, total: number) => onStep(`copy ${name}`, done, total)
    await copyDatabase({ from: join(dir, name), to: join(part, name), onProgress })
  }
  let ledger: ManifestShape['ledger']
  if (databases.includes(ledgerName)) {
    onStep(`copy ${ledgerName}`)
    const { rows, pos } = await backupLedger({ dir, to: join(part, ledgerName) })
    ledger = { rows, pos }
    await auditLedgerFile(join(part, ledgerName), onStep)
  }
  const files: FileShape[] = []
  for (const name of databases) {
    onStep(`checksum of ${name}`)
    files.push(await entryOf(part, name))
  }
  const head = { format: 'livehouse backup', version: 1, engine: packageVersion(), madeAt } as const
  const manifest: ManifestShape = { ...head, ...(ledger ? { ledger } : {}), files, leftOut }
  finish(part, to, manifest)
  return manifest
}

/** An empty folder beside `to`, for what is not finished. */
export function freshPart(to: string): string {
  if (existsSync(to)) throw new Error(`${to} exists: a backup never replaces anything`)
  const part = `${to}.part`
  rmSync(part, { recursive: true, force: true })
  mkdirSync(part, { recursive: true, mode: 0o700 })
  return part
}

/** Manifest, rights, disk, name. */
export function finish(part: string, to: string, manifest: ManifestShape): void {
  writeFileSync(join(part, manifestName), `${JSON.stringify(manifest, null, 2)}\n`)
  const names = [...manifest.files.map(({ name }) => name), manifestName]
  for (const name of names) {
    chmodSync(join(part, name), 0o600)
    sync(join(part, name))
  }
  for (const folder of new Set(names.map((name) => dirname(join(part, name))))) sync(folder)
  renameSync(part, to)
  sync(dirname(to))
}

function contentsOf(dir: string, hasLedger: boolean): { databases: string[]; leftOut: string[] } {
  if (!existsSync(join(dir, 'core.db'))) throw new Error(`${dir} is no data folder of an engine: there is no core.db in it`)
  const below = existsSync(join(dir, 'plugins')) ? readdirSync(join(dir, 'plugins')).map((name) => `plugins/${name}`) : []
  const names = [...readdirSync(dir).filter((name) => name !== 'plugins'), ...below]
  // Derived, locked, or half of something: what the ledger writes beside itself it makes again.
  const isOwn = (name: string) => /(\.lock|-wal|-shm|-journal|\.part)$|^ledger-/.test(name)
  const isDatabase = (name: string) =>
    name.endsWith('.db') && new RegExp(namePattern).test(name) && (hasLedger || name !== ledgerName)
  const databases = names.filter((name) => isDatabase(name) && !isOwn(name))
  if (databases.length > filesMax)
    throw new Error(`${dir} has ${databases.length} databases: at most ${filesMax} fit into a backup`)
  const rank = (name: string) => (name === 'core.db' ? 0 : name === ledgerName ? 2 : 1)
  const leftOut = names.filter((name) => !isDatabase(name) && !isOwn(name) && name !== secretName)
  return { databases: databases.sort((a, b) => rank(a) - rank(b) || (a < b ? -1 : 1)), leftOut: leftOut.sort() }
}

export async function entryOf(folder: string, name: string): Promise<FileShape> {
  const file = join(folder, name)
  return { name, bytes: statSync(file).size, sha256: await sha256(file) }
}

async function sha256(file: string): Promise<string> {
  const hash = createHash('sha256')
  for await (const chunk of createReadStream(file)) hash.update(chunk as Buffer)
  return hash.digest('hex')
}

/** The audit over a whole ledger.db that nobody writes to, with a book of its own. Throws with what is broken. */
async function auditLedgerFile(file: string, onStep: OnStep): Promise<void> {
  const bookFile = file.replace(/\.db$/, '-check.part')
  const reader = LedgerReader.open(file)
  try {
    const total = reader.lastPos()
    const book = await Book.open(bookFile, reader)
    try {
      const audit = new Audit(reader, book)
      for (let rounds = 0; rounds === 0; ) {
        const step = await audit.step()
        const [broken] = step.broken
        if (broken) throw new Error(`${file} is no sound ledger: ${broken.invariant}: ${broken.at}: ${broken.msg}`)
        onStep('audit of the copied ledger', step.pos, total)
        rounds = step.rounds
      }
    } finally {
      book.close()
    }
  } finally {
    reader.close()
    for (const made of [bookFile, roomsFileOf(file)])
      for (const suffix of ['', '-wal', '-shm', '-journal']) rmSync(made + suffix, { force: true })
  }
}

// ------------------------------------------------------------------ is a backup sound

export function readManifest(folder: string): ManifestShape {
  const file = join(folder, manifestName)
  if (!existsSync(file)) throw new Error(`${folder} is no backup: there is no ${manifestName} in it`)
  let value: unknown
  try {
    if (statSync(file).size > manifestBytesMax) throw new Error('too long')
    value = JSON.parse(readFileSync(file, 'utf8'))
  } catch {
    throw new Error(`${file} cannot be read: the backup is damaged`)
  }
  if (!manifestCheck.Check(value)) {
    const { path = '', message = '' } = manifestCheck.Errors(value).First() ?? {}
    throw new Error(`${file} is not of a backup that this engine knows: ${path} ${message}`)
  }
  return value
}

/** Each file is there, is what was written, and is sound; the ledger by the invariants of the audit. */
export async function checkBackup(folder: string, onStep: OnStep = () => {}): Promise<ManifestShape> {
  const manifest = readManifest(folder)
  for (const { name, bytes, sha256 } of manifest.files) {
    onStep(`checksum of ${name}`)
    if (!existsSync(join(folder, name))) throw new Error(`${name} is missing: the backup is damaged`)
    const found = await entryOf(folder, name)
    if (found.bytes !== bytes || found.sha256 !== sha256)
      throw new Error(`${name} is not what was written: the backup is damaged`)
  }
  const names = manifest.files.map(({ name }) => name)
  for (const name of names.filter((one) => one.endsWith('.db') && one !== ledgerName)) {
    onStep(`look through ${name}`)
    checkDatabase(join(folder, name))
  }
  if (names.includes(ledgerName)) {
    onStep(`look through ${ledgerName}`)
    verifyLedgerFile(join(folder, ledgerName))
    await auditLedgerFile(join(folder, ledgerName), onStep)
  }
  return manifest
}

export function sync(path: string): void {
  const descriptor = openSync(path, 'r')
  try {
    fsyncSync(descriptor)
  } finally {
    closeSync(descriptor)
  }
}
