import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { loadSecret, signToken, verifyToken } from './tokens.ts'

const secret = new TextEncoder().encode('s'.repeat(32))
const now = 1_760_000_000_000

it('what was signed is read back, until it expires', async () => {
  const token = await signToken(secret, { sub: 'ann', name: 'Ann', scope: 'streamer  patrol', ttlMs: 60_000 }, now)
  expect(await verifyToken(secret, token, now)).toEqual({
    userId: 'ann',
    name: 'Ann',
    scope: ['streamer', 'patrol'],
    expiresAt: now + 60_000,
  })
  expect(await verifyToken(secret, token, now + 59_999)).toBeDefined()
  expect(await verifyToken(secret, token, now + 60_000)).toBeUndefined()
})

it('a token of another secret, or for an id that is none, is nobody', async () => {
  const token = await signToken(secret, { sub: 'ann', ttlMs: 60_000 }, now)
  expect(await verifyToken(new TextEncoder().encode('t'.repeat(32)), token, now)).toBeUndefined()
  for (const sub of ['a.b', 'a b', '', '*', 'anon_x', 'bot_x', 'plugin_x', 'ä', 'a'.repeat(65)])
    expect(await verifyToken(secret, await signToken(secret, { sub, ttlMs: 60_000 }, now), now), sub).toBeUndefined()
})

let dataDir = ''
beforeEach(() => {
  dataDir = mkdtempSync(join(tmpdir(), 'livehouse-secret-'))
})
afterEach(() => rmSync(dataDir, { recursive: true, force: true }))

it('the secret of a data folder is made once, kept, and readable by its owner alone', async () => {
  const first = await loadSecret({ secret: '', dataDir: join(dataDir, 'deep', 'er') })
  expect(first.length).toBeGreaterThanOrEqual(32)
  expect(await loadSecret({ secret: '', dataDir: join(dataDir, 'deep', 'er') })).toEqual(first)
  expect(statSync(join(dataDir, 'deep', 'er', 'secret')).mode & 0o777).toBe(0o600)
  expect(await loadSecret({ secret: '', dataDir })).not.toEqual(first)
})

it('a secret file that others could read is closed to them; a given secret touches no file', async () => {
  const file = join(dataDir, 'secret')
  writeFileSync(file, `${'k'.repeat(40)}\n`, { mode: 0o644 })
  expect(Buffer.from(await loadSecret({ secret: '', dataDir })).toString()).toBe('k'.repeat(40))
  expect(statSync(file).mode & 0o777).toBe(0o600)
  expect(Buffer.from(await loadSecret({ secret: 'given', dataDir })).toString()).toBe('given')
  expect(readFileSync(file, 'utf8')).toContain('kkk')
})

it('an expiry in another unit than seconds is refused', async () => {
  for (const ttlMs of [1e16, 1e19])
    expect(await verifyToken(secret, await signToken(secret, { sub: 'ann', ttlMs }, now), now)).toBeUndefined()
})
