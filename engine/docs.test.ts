/** The docs say what is: the reference is that of the tables, and the way of a danmaku names files and functions that exist. */
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'
import { reference } from './reference.ts'

const root = fileURLToPath(new URL('..', import.meta.url))
const read = (path: string) => readFileSync(`${root}/${path}`, 'utf8')

test('REFERENCE.md is what `npm run docs` writes', () => {
  expect(read('engine/REFERENCE.md')).toBe(reference())
})

test('every code that a plugin or an operator can be refused with is in it', () => {
  const sources = ['engine/plugin', 'engine/admin'].flatMap((folder) =>
    readdirSync(`${root}/${folder}`, { recursive: true, encoding: 'utf8' })
      .filter((name) => name.endsWith('.ts') && !name.endsWith('.test.ts'))
      .map((name) => read(`${folder}/${name}`)),
  )
  const thrown = /Error\(\s*'((?:call|db|plugin|relay)\.[a-z_]+)'/g
  const codes = new Set(sources.flatMap((text) => [...text.matchAll(thrown)].map(([, code]) => code as string)))
  expect(codes.size).toBeGreaterThan(20)
  // Between the two ends of a link alone: whoever asked is told `plugin.unavailable` or `plugin.failed`.
  const inner = ['plugin.late', 'plugin.lost', 'plugin.unknown_hook']
  const text = reference()
  for (const code of codes) if (!inner.includes(code)) expect(text, code).toContain(`| \`${code}\` |`)
})

test('every step of the life of a danmaku names a file and a function in it', () => {
  const steps = [...read('engine/README.md').matchAll(/^\d+\. \*\*`(?<file>[\w/.-]+)` `(?<name>#?\w+)`\*\*/gm)]
  expect(steps.length).toBeGreaterThanOrEqual(8)
  for (const { groups } of steps) {
    const { file, name } = groups as { file: string; name: string }
    expect(existsSync(`${root}/${file}`), file).toBe(true)
    expect(read(file), `${name} in ${file}`).toMatch(
      new RegExp(`(^|\\s)(export |async |static |function |const )*${name}\\b\\s*(\\(|=)`, 'm'),
    )
  }
})

test.each(['README.md', 'engine/README.md', 'bench/README.md'])('links of %s lead somewhere', (page) => {
  const folder = page.includes('/') ? page.slice(0, page.lastIndexOf('/') + 1) : ''
  const links = [...read(page).matchAll(/\]\((?!https?:)(?<to>[^)#]+)/g)].map(({ groups }) => groups?.['to'] as string)
  for (const to of links) expect(existsSync(`${root}/${folder}${to}`), to).toBe(true)
})

test('the npm scripts that the pages name exist', () => {
  const { scripts } = JSON.parse(read('package.json')) as { scripts: Record<string, string> }
  for (const page of ['README.md', 'engine/README.md', 'bench/README.md'])
    for (const { groups } of read(page).matchAll(/npm run (?<name>[\w:]+)/g))
      expect(scripts, page).toHaveProperty([groups?.['name'] as string])
})
