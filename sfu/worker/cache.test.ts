import { appendFileSync, mkdtempSync, readdirSync, rmSync, unlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { cacheFolder, entryName, install, platform, readCached } from './cache.ts'

let folder = ''
let entry = ''
let binary = ''
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'livehouse-cache-'))
  entry = join(folder, 'entry')
  binary = join(folder, 'binary')
  writeFileSync(binary, 'a program')
})
afterAll(() => rmSync(folder, { recursive: true, force: true }))

const put = () => install(binary, entry, { version: '3.19.3', origin: { how: 'built', crypto: 'openssl' } })

describe('the cache', () => {
  it('lies where the user wants it', () => {
    expect(cacheFolder({ LIVEHOUSE_CACHE_DIR: '/a', XDG_CACHE_HOME: '/b' })).toBe('/a')
    expect(cacheFolder({ XDG_CACHE_HOME: '/b' })).toBe('/b/livehouse')
    expect(cacheFolder({})).toMatch(/\/\.cache\/livehouse$/)
  })

  it('names an entry by version, machine and checksum', () => {
    expect(entryName({ version: '3.19.3', checksum: '0123456789abcdef' })).toBe(
      `mediasoup-worker-3.19.3-${platform()}-0123456789ab`,
    )
  })

  it('gives back what was put there, and nothing where nothing is', () => {
    expect(readCached(entry)).toBeUndefined()
    const { path, manifest } = put()
    expect(readCached(entry)).toEqual({ path, manifest })
    expect(manifest).toMatchObject({ version: '3.19.3', bytes: 9, origin: { how: 'built', crypto: 'openssl' } })
  })

  it('trusts no binary that has changed, is gone, or has no readable manifest', () => {
    appendFileSync(put().path, '.')
    expect(readCached(entry)).toBe('damaged')
    unlinkSync(put().path)
    expect(readCached(entry)).toBe('damaged')
    put()
    writeFileSync(join(entry, 'manifest.json'), '{ "version": ')
    expect(readCached(entry)).toBe('damaged')
    put()
    unlinkSync(join(entry, 'manifest.json'))
    expect(readCached(entry)).toBe('damaged')
  })

  it('replaces what is there, and leaves nothing beside it', () => {
    put()
    writeFileSync(join(entry, 'manifest.json'), '')
    put()
    expect(readCached(entry)).not.toBe('damaged')
    expect(() => install(join(folder, 'none'), entry, { version: '1', origin: { how: 'official' } })).toThrow('ENOENT')
    expect(readdirSync(folder).sort()).toEqual(['binary', 'entry'])
  })
})
