/** The page for plugin authors shows code that exists: each block names its file, which other tests compile and run. */
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, expect, it } from 'vitest'
import { pluginHelp } from '../engine/cli/plugin.ts'
import { writePlugin } from '../engine/cli/plugin-new.ts'
import { manifestInWords } from '../engine/cli/plugin-words.ts'
import { describeOptions } from '../engine/config.ts'
import { engineCalls } from '../engine/plugin/define.ts'
import { manifestOf } from '../engine/plugin/manifest.ts'
import { loadPlugin } from '../engine/plugin/places/load.ts'

const root = fileURLToPath(new URL('..', import.meta.url))
const page = readFileSync(join(root, 'plugins/README.md'), 'utf8')
const parent = mkdtempSync(join(tmpdir(), 'livehouse-readme-'))
afterAll(() => rmSync(parent, { recursive: true, force: true }))
const hello = writePlugin({ name: 'hello', parent, isTypeScript: true })

const blocks = [...page.matchAll(/(?:<!-- (\S+) -->\n)?```ts\n([\s\S]*?)```/g)].map(([, file, code = '']) => ({ file, code }))

it.each(blocks)('the block from $file stands there', ({ file, code }) => {
  expect(file, code).toBeDefined()
  const path = file?.startsWith('hello/') ? join(hello, file.slice('hello/'.length)) : join(root, file ?? '')
  expect(readFileSync(path, 'utf8')).toContain(code)
})

it('shows what `plugin check` says', async () => {
  // The names that a plugin imports are the sources here.
  process.env.TSX_TSCONFIG_PATH = join(root, 'tsconfig.json')
  const words = manifestInWords(manifestOf(await loadPlugin(join(hello, 'plugin.ts')), '0.0.0'))
  expect(page).toContain(`\`\`\`text\n${words}\n\`\`\``)
})

it('names verbs, options and calls that exist', () => {
  const verbs = [...page.matchAll(/livehouse plugin ([a-z]+)/g)].map(([, verb = '']) => verb)
  expect(verbs.length).toBeGreaterThan(5)
  for (const verb of verbs) expect(pluginHelp()).toContain(`\n  ${verb} `)
  const flags = describeOptions().map(({ flag }) => flag.split(/[ ,=]/)[0])
  for (const [, flag] of page.matchAll(/livehouse serve (--[a-z-]+)/g)) expect(flags).toContain(flag)
  for (const [call] of page.matchAll(/`engine\.[a-z_]+\.[a-z_]+`/g)) expect(engineCalls).toContain(call.slice(1, -1))
})

it('links to what is there', () => {
  for (const [, to = ''] of page.matchAll(/\]\((?!https?:|#)([^)#]+)/g))
    expect(existsSync(join(root, 'plugins', to)), to).toBe(true)
  const anchors = [...page.matchAll(/^## (.+)$/gm)].map(([, title = '']) => `#${title.toLowerCase().replaceAll(' ', '-')}`)
  for (const [, to = ''] of page.matchAll(/\]\((#[^)]+)\)/g)) expect(anchors).toContain(to)
})
