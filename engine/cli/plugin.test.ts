import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Type } from '@sinclair/typebox'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { allow } from '../plugin/hooks.ts'
import { manifestOf } from '../plugin/manifest.ts'
import { natsConfig } from './nats-config.ts'
import { pluginHelp, runPluginVerb } from './plugin.ts'
import { firstLine } from './plugin-admin.ts'
import { faultOf } from './plugin-file.ts'
import { writePlugin } from './plugin-new.ts'
import { manifestInWords } from './plugin-words.ts'

let parent = ''
beforeEach(() => {
  parent = mkdtempSync(join(tmpdir(), 'livehouse-cli-'))
})
afterEach(() => rmSync(parent, { recursive: true, force: true }))

describe('livehouse plugin', () => {
  it('names the nearest verb, flag and what is missing', async () => {
    await expect(runPluginVerb(['aprove', 'x'])).rejects.toThrow('The nearest is approve.')
    await expect(runPluginVerb(['toString'])).rejects.toThrow('is not a verb')
    await expect(runPluginVerb(['approve'])).rejects.toThrow('NAME is missing: livehouse plugin approve word-filter')
    await expect(runPluginVerb(['approve', 'a', 'b'])).rejects.toThrow('b is not known here.')
    await expect(runPluginVerb(['new', 'hello', '--dri', parent])).rejects.toThrow('The nearest is --dir.')
    await expect(runPluginVerb(['dev', 'a.ts', '--port', 'x'])).rejects.toThrow('--port: x is not a whole number')
    await expect(runPluginVerb(['token', 'A b'])).rejects.toThrow("is no plugin's name")
    await expect(runPluginVerb(['list', '--admin', '%'])).rejects.toThrow('--admin: % is no address')
    await expect(runPluginVerb(['list', '--url', 'http://x'])).rejects.toThrow(
      /^--url is not known here\. The nearest is --\S+\.$/,
    )
    writeFileSync(join(parent, 'secret'), 'x'.repeat(32))
    await expect(runPluginVerb(['list', '--admin', 'http://127.0.0.1:1', '--data-dir', parent])).rejects.toThrow(
      'No engine answers',
    )
  })

  it.each([['token', 'hello'], ['list'], ['approve', 'hello']])('%s makes no secret where none is', async (...words) => {
    const dataDir = join(parent, 'none')
    await expect(runPluginVerb([...words, '--data-dir', dataDir])).rejects.toThrow(`There is no secret in ${dataDir}`)
    expect(readdirSync(parent)).toEqual([])
  })

  it('explains every verb', () => {
    const names = [...pluginHelp().matchAll(/^ {2}([a-z]+) /gm)]
      .map(([, name = '']) => name)
      .filter((name) => name !== 'livehouse')
    expect(names).toHaveLength(11)
    for (const name of names) expect(pluginHelp(name)).toContain(`livehouse plugin ${name}`)
  })
})

describe('plugin new', () => {
  it('writes a folder, and never over another', () => {
    const folder = writePlugin({ name: 'hello', parent, isTypeScript: true })
    expect(readdirSync(folder).sort()).toEqual(['README.md', 'package.json', 'plugin.test.ts', 'plugin.ts', 'tsconfig.json'])
    expect(() => writePlugin({ name: 'hello', parent, isTypeScript: true })).toThrow('is there already')
    expect(readdirSync(writePlugin({ name: 'plain', parent, isTypeScript: false })).sort()).toEqual([
      'README.md',
      'package.json',
      'plugin.js',
      'plugin.test.js',
    ])
  })

  it.each(['', 'A', '../up', 'Word Filter!', '9x', 'a'.repeat(40)])('refuses the name %j', (name) => {
    expect(() => writePlugin({ name, parent, isTypeScript: true })).toThrow('is no name for a plugin')
    expect(readdirSync(parent)).toEqual([])
  })

  it('suggests a name', () => {
    expect(() => writePlugin({ name: 'Word Filter!', parent, isTypeScript: true })).toThrow('How about word-filter?')
  })
})

it('says a manifest in words', () => {
  const guard = { order: 1, budgetMs: 20, onFailure: 'closed' as const, run: () => allow }
  const settings = Type.Object({ words: Type.Array(Type.String(), { default: [] }) })
  const words = manifestInWords(
    manifestOf(
      { name: 'filter', version: '1.0.0', settings, calls: ['engine.user.mute'], guards: { 'danmaku.send': guard } },
      '0',
    ),
  )
  expect(words.split('\n')).toEqual([
    'filter 1.0.0',
    '  guard      danmaku.send       20 ms, order 1, refuses when it fails (closed)',
    '  calls      engine.user.mute',
    '  setting    words              array, default []',
    'An operator grants: guard danmaku.send closed, engine.user.mute',
  ])
})

it('names the hook and the field that does not fit', () => {
  const guard = { order: 1, budgetMs: 5_000, onFailure: 'closed' as const, run: () => allow }
  expect(() => manifestOf({ name: 'filter', version: '1.0.0', guards: { 'danmaku.send': guard } }, '0')).toThrow(
    'guard danmaku.send: budgetMs: Expected integer to be less or equal to 1000',
  )
})

it('keeps of a stack what is the author’s, and says what to install', () => {
  const stack = "Cannot find package 'livehouse' imported from /p/plugin.ts\n    at x (/p/plugin.ts:1:2)\n    at node:internal/x"
  expect(faultOf('/p/plugin.ts', new Error(stack))).toBe(
    "Cannot find package 'livehouse' imported from /p/plugin.ts\n    at x (/p/plugin.ts:1:2)\nRun npm install in /p; its package.json must name livehouse.",
  )
})

it('shows the first line of what went wrong', () => {
  expect(firstLine('\nCannot find module \u001b[31mx\n    at load (/p/plugin.ts:1:2)\n    at node:internal')).toBe(
    'Cannot find module [31mx',
  )
  expect(firstLine('x'.repeat(1_000))).toHaveLength(300)
  expect(firstLine('')).toBe('')
})

it('gives each plugin a user of its own', () => {
  const config = natsConfig(['a1', 'b2', 'a1'], () => 'pw')
  expect(config.match(/user: "[^"]+"/g)).toEqual(['user: "engine"', 'user: "plugin-a1"', 'user: "plugin-b2"'])
  expect(() => natsConfig(['a", permissions: {}'])).toThrow("is no plugin's name")
})
