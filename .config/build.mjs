/**
 * Builds what runs: TypeScript to dist/, the pages to dist/pages. `npm run build`, and before start and test.
 * Nothing is done when no source changed since the last build (a hash over their contents, kept in dist/.built).
 */
import { createHash } from 'node:crypto'
import { chmodSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { bin, ensurePackages, main, needNode, root, runOrThrow, step } from './steps.mjs'

const stampFile = join(root, 'dist', '.built')
const sources = [
  'engine',
  'schemas',
  'bench',
  'examples',
  'plugins',
  'sfu',
  '.config',
  'tsconfig.json',
  'package.json',
  'package-lock.json',
]
/** Neither tests nor pictures, pages of text and bench results make a build stale. */
const isNoSource = (name) => /\.test\.[cm]?tsx?$|\.(md|png|jpg)$/.test(name)

function* filesBelow(path) {
  const entries = readdirSync(path, { withFileTypes: true }).sort((a, b) => (a.name < b.name ? -1 : 1))
  for (const entry of entries) {
    const inner = join(path, entry.name)
    if (entry.isDirectory() && entry.name !== 'results') yield* filesBelow(inner)
    else if (entry.isFile() && !isNoSource(entry.name)) yield inner
  }
}

function sourceHash() {
  const hash = createHash('sha256')
  for (const source of sources) {
    const path = join(root, source)
    if (!existsSync(path)) continue
    const files = /\.json$/.test(source) ? [path] : filesBelow(path)
    for (const file of files) hash.update(file.slice(root.length)).update('\0').update(readFileSync(file)).update('\0')
  }
  return hash.digest('hex')
}

async function compile() {
  for (const folder of ['engine', 'schemas', 'bench', 'examples', 'plugins', 'sfu'])
    rmSync(join(root, 'dist', folder), { recursive: true, force: true })
  await runOrThrow(bin('tsc'), ['-p', '.config/tsconfig.build.json'])
  chmodSync(join(root, 'dist/engine/main.js'), 0o755)
}

async function bundlePages(config) {
  await runOrThrow(bin('vite'), ['build', '--config', config, '--logLevel', 'warn'])
}

export async function build() {
  const hash = sourceHash()
  if (existsSync(stampFile) && readFileSync(stampFile, 'utf8') === hash) return
  rmSync(stampFile, { force: true })
  mkdirSync(join(root, 'dist'), { recursive: true })
  await step('build: engine', compile)
  const pages = ['.config/vite.pages.config.mjs', '.config/vite.pages.config.ts'].find((file) => existsSync(join(root, file)))
  if (pages) await step('build: pages', () => bundlePages(pages))
  writeFileSync(stampFile, hash)
}

if (process.argv[1] === import.meta.filename) {
  await main(async () => {
    needNode(20)
    await ensurePackages()
    await build()
  })
}
