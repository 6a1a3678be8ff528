import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import {
  ConfigError,
  type ConfigSources,
  configFrom,
  describeOptions,
  editDistance,
  envName,
  flagName,
  isLoopback,
  loadConfig,
  nearest,
  type OptionName,
  options,
  pluginTokenEnv,
  readIceServers,
} from './config.ts'

const longSecret = 'a-secret-for-tests-that-is-long-enough'
const names = Object.keys(options) as OptionName[]

let folder = ''
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'livehouse-config-'))
})
afterEach(() => rmSync(folder, { recursive: true, force: true }))

const load = (sources: ConfigSources = {}) => loadConfig({ cwd: folder, ...sources })
const writeConfig = (content: unknown, name = 'livehouse.json') => {
  const path = join(folder, name)
  writeFileSync(path, typeof content === 'string' ? content : JSON.stringify(content))
  return path
}
function problemsOf(sources: ConfigSources): readonly string[] {
  try {
    load(sources)
  } catch (error) {
    if (error instanceof ConfigError) return error.problems
    throw error
  }
  return []
}
const problemOf = (sources: ConfigSources) => {
  const problems = problemsOf(sources)
  expect(problems).toHaveLength(1)
  return problems[0] ?? ''
}

describe('sources', () => {
  it('gives the defaults, frozen', () => {
    const config = load()
    expect(config.port).toBe(8080)
    expect(config.danmakuPerClientMax).toBe(40)
    expect(Object.isFrozen(config)).toBe(true)
    expect(Object.keys(config)).toEqual(names)
  })

  it('lets the file win over defaults, the environment over the file, flags over the environment', () => {
    writeConfig({ port: 1001, adminPort: 1002, roomsMax: 1003 })
    const config = load({ env: { LIVEHOUSE_ADMIN_PORT: '2002', LIVEHOUSE_ROOMS_MAX: '2003' }, argv: ['--rooms-max', '3003'] })
    expect([config.port, config.adminPort, config.roomsMax]).toEqual([1001, 2002, 3003])
  })

  it('takes another file by flag before one by environment, and livehouse.json from neither', () => {
    writeConfig({ port: 1 })
    writeConfig({ port: 2 }, 'env.json')
    writeConfig({ port: 3 }, 'flag.json')
    expect(load({ env: { LIVEHOUSE_CONFIG: 'env.json', [pluginTokenEnv]: 'lhp.x.y' } }).port).toBe(2)
    expect(load({ env: { LIVEHOUSE_CONFIG: 'env.json' }, argv: ['--config', 'flag.json'] }).port).toBe(3)
    expect(load({ argv: [`--config=${join(folder, 'flag.json')}`] }).port).toBe(3)
  })

  it('reads every option by its environment name and its flag', () => {
    for (const { name, env, flag, type, default: value } of describeOptions()) {
      if (flag === '') continue
      const text = String(value)
      expect(load({ env: { [env]: text } })[name], env).toBe(value)
      expect(load({ argv: [`${flag}=${text}`] })[name], flag).toBe(value)
      if (type !== 'boolean') expect(load({ argv: [flag, text] })[name], flag).toBe(value)
    }
  })

  it('names an option three ways', () => {
    expect(envName('danmakuPerClientMax')).toBe('LIVEHOUSE_DANMAKU_PER_CLIENT_MAX')
    expect(flagName('danmakuPerClientMax')).toBe('--danmaku-per-client-max')
    expect(envName('connectsPerAddressPerSMax')).toBe('LIVEHOUSE_CONNECTS_PER_ADDRESS_PER_S_MAX')
    expect(new Set(names.map(envName)).size).toBe(names.length)
  })

  it('takes 0 where 0 means no cap', () => {
    expect(load({ env: { LIVEHOUSE_DANMAKU_PER_CLIENT_MAX: '0' } }).danmakuPerClientMax).toBe(0)
    expect(load({ argv: ['--danmaku-per-client-max', '0'] }).danmakuPerClientMax).toBe(0)
  })

  it('switches booleans', () => {
    const logDanmaku = (...argv: string[]) => load({ argv }).logDanmaku
    expect(logDanmaku('--log-danmaku')).toBe(true)
    expect(logDanmaku('--log-danmaku', 'false')).toBe(false)
    expect(logDanmaku('--log-danmaku=1')).toBe(true)
    expect(logDanmaku('--log-danmaku', '--no-log-danmaku')).toBe(false)
    expect(load({ argv: ['--log-danmaku', '--port', '9000'] })).toMatchObject({ logDanmaku: true, port: 9000 })
    expect(load({ env: { LIVEHOUSE_LOG_DANMAKU: 'true' } }).logDanmaku).toBe(true)
  })

  it('lets a text be empty where that has a meaning', () => {
    expect(load({ env: { LIVEHOUSE_DEMO_ROOM: '' } }).demoRoom).toBe('')
    expect(load({ argv: ['--demo-room='] }).demoRoom).toBe('')
  })

  it('leaves alone what is not ours', () => {
    expect(load({ env: { PATH: '/bin', LIVEHOUSEKEEPING: '1' } }).port).toBe(8080)
  })
})

describe('refusals', () => {
  it('names an unknown variable, flag and key with the nearest right one, spelled the same way', () => {
    expect(problemOf({ env: { LIVEHOUSE_PROT: '1' } })).toMatch(/LIVEHOUSE_PROT .*LIVEHOUSE_PORT\./)
    expect(problemOf({ argv: ['--tick-max-ms', '5'] })).toMatch(/--tick-max-ms .*--tick-ms-max\./)
    expect(problemOf({ argv: ['--tick_ms_max=5'] })).toMatch(/--tick_ms_max .*--tick-ms-max\./)
    writeConfig({ danmaku_per_client_max: 3 })
    expect(problemOf({})).toMatch(/livehouse\.json: danmaku_per_client_max .*danmakuPerClientMax\./)
  })

  it('shows a bad value and what is allowed', () => {
    const range = 'a whole number from 0 to 65535'
    for (const bad of ['', 'x', '1.5', '-1', '65536', '8080 ', '1e3', '99999999999999999999']) {
      const problem = problemOf({ env: { LIVEHOUSE_PORT: bad } })
      expect(problem).toContain('LIVEHOUSE_PORT')
      expect(problem).toContain(bad)
      expect(problem).toContain(range)
    }
    expect(problemOf({ argv: ['--log-level', 'loud'] })).toContain('trace, debug, info, warn, error or silent')
    expect(problemOf({ argv: ['--log-danmaku=maybe'] })).toContain('true or false')
    expect(problemOf({ argv: ['--port', '-1'] })).toContain('-1')
  })

  it('is strict about types in the file', () => {
    writeConfig({ port: '8080', logDanmaku: 1, dataDir: null })
    expect(problemsOf({})).toHaveLength(3)
  })

  it('refuses a file that is missing, is no JSON or no object', () => {
    expect(problemOf({ argv: ['--config', 'none.json'] })).toContain('none.json: no such file')
    writeConfig('{"port": }')
    expect(problemOf({})).toContain('cannot be read as JSON')
    writeConfig([1])
    expect(problemOf({})).toContain('one JSON object')
  })

  it('refuses a flag without its value and a stray word', () => {
    expect(problemOf({ argv: ['--port'] })).toContain('needs a value')
    expect(problemOf({ argv: ['--port', '--log-danmaku'] })).toContain('--port needs a value')
    expect(problemOf({ argv: ['9000'] })).toContain('"9000"')
    expect(problemOf({ argv: ['--config'] })).toContain('path of a JSON file')
  })

  it('reports all problems at once', () => {
    writeConfig({ ports: 1 })
    const sources = { env: { LIVEHOUSE_PORT: 'x', LIVEHOUSE_TICK_MS_MIN: '500' }, argv: ['--nonsense', '--rooms-max', '0'] }
    expect(problemsOf(sources)).toHaveLength(5)
    expect(() => load(sources)).toThrow(ConfigError)
    expect(() => load(sources)).toThrow(expect.objectContaining({ code: 'config.invalid' }))
  })

  it('does not know names of Object.prototype', () => {
    writeConfig('{"__proto__": 1, "constructor": 2, "toString": 3}')
    expect(problemsOf({})).toHaveLength(3)
  })

  it('never shows a secret', () => {
    writeConfig({ secret: 123456 })
    const messages = [
      problemOf({}),
      ...problemsOf({ argv: ['--secret', 'hunter2-hunter2'] }),
      ...problemsOf({ argv: ['--secret=hunter2-hunter2'] }),
      ...problemsOf({ env: { LIVEHOUSE_SECRET: 'hunter2-hunter2' } }),
      ...problemsOf({ env: { LIVEHOUSE_DATABASE_URL: 'mysql://me:hunter2@host/db' } }),
      ...problemsOf({ argv: ['--database-url', 'postgres://me:hunter2@host/db'] }),
    ]
    for (const message of messages) expect(message).not.toMatch(/hunter2|123456/)
  })

  it('throws nothing but a ConfigError, whatever the arguments', () => {
    const word = fc.oneof(fc.string(), fc.constantFrom('--port', '--no-log-danmaku', '--config', '--secret', '=', '--', '--='))
    fc.assert(
      fc.property(fc.array(word, { maxLength: 6 }), (argv) => {
        try {
          return Object.isFrozen(load({ argv }))
        } catch (error) {
          return error instanceof ConfigError && error.problems.every((problem) => problem.length > 0)
        }
      }),
    )
  })
})

describe('cross checks', () => {
  it('wants a secret where other machines can connect', () => {
    expect(problemOf({ env: { LIVEHOUSE_HOST: '0.0.0.0' } })).toMatch(/LIVEHOUSE_HOST.*"0\.0\.0\.0".*LIVEHOUSE_SECRET/)
    expect(load({ env: { LIVEHOUSE_HOST: '0.0.0.0', LIVEHOUSE_SECRET: longSecret } }).host).toBe('0.0.0.0')
  })

  it('wants a secret of 32 bytes, counted as bytes', () => {
    expect(problemOf({ env: { LIVEHOUSE_SECRET: 'x'.repeat(31) } })).toMatch(/31 bytes.*at least 32/)
    expect(load({ env: { LIVEHOUSE_SECRET: 'x'.repeat(32) } }).secret).toHaveLength(32)
    expect(load({ env: { LIVEHOUSE_SECRET: '弹'.repeat(11) } }).secret).toHaveLength(11)
  })

  it('refuses open tokens on an open port', () => {
    const env = { LIVEHOUSE_HOST: '0.0.0.0', LIVEHOUSE_SECRET: longSecret, LIVEHOUSE_DEV_LOGIN: 'on' }
    expect(problemOf({ env })).toContain('LIVEHOUSE_DEV_LOGIN')
    expect(load({ env: { ...env, LIVEHOUSE_HOST: '127.0.0.1' } }).devLogin).toBe('on')
  })

  it('keeps soft below hard and min below max', () => {
    expect(problemOf({ argv: ['--buffered-bytes-soft-max', '2000000'] })).toMatch(
      /--buffered-bytes-soft-max: 2000000.*bufferedBytesHardMax/,
    )
    expect(problemOf({ argv: ['--tick-ms-min', '101'] })).toContain('tickMsMax')
    expect(load({ argv: ['--tick-ms-min', '100'] }).tickMsMin).toBe(100)
  })

  it('refuses one port for both, an empty host and an empty folder', () => {
    expect(problemOf({ argv: ['--admin-port', '8080'] })).toContain('different ports')
    expect(load({ argv: ['--port', '0', '--admin-port', '0'] }).port).toBe(0)
    expect(problemOf({ env: { LIVEHOUSE_HOST: '' } })).toContain('"" is empty')
    expect(problemOf({ env: { LIVEHOUSE_DATA_DIR: '' } })).toContain('"" is empty')
  })

  it('knows loopback', () => {
    for (const host of ['127.0.0.1', '127.9.9.9', '::1', '[::1]', 'localhost']) expect(isLoopback(host), host).toBe(true)
    for (const host of ['0.0.0.0', '::', '', '128.0.0.1', '127.evil.example', '192.168.1.2'])
      expect(isLoopback(host), host).toBe(false)
  })
})

describe('configFrom', () => {
  it('checks as strictly as the other ways in', () => {
    expect(configFrom({ port: 0 }).port).toBe(0)
    expect(() => configFrom({ port: -1 })).toThrow(/port: -1 is not a whole number/)
    expect(() => configFrom({ prot: 1 } as object)).toThrow(/prot is not an option. The nearest is port\./)
    expect(() => configFrom({ host: '0.0.0.0' })).toThrow(/LIVEHOUSE_SECRET/)
  })
})

describe('the option table', () => {
  it('describes every option, with a default that it would accept itself', () => {
    const described = describeOptions()
    expect(described.map((one) => one.name)).toEqual(names)
    for (const one of described) {
      expect(one.description, one.name).toMatch(/^\S.{9,}\.$/)
      expect(one.allowed, one.name).toMatch(
        /^(a whole number from -?\d+ to \d+|true or false|a text|an id of .*|a URL like .*|\w+(, \w+)* or \w+)$/,
      )
    }
    expect(() => configFrom(Object.fromEntries(described.map((one) => [one.name, one.default])))).not.toThrow()
  })

  it('offers no flag for what is secret', () => {
    expect(describeOptions().filter((one) => one.flag === '')).toEqual([
      expect.objectContaining({ name: 'secret' }),
      expect.objectContaining({ name: 'databaseUrl' }),
    ])
  })

  it('takes the URL of a Postgres and no other', () => {
    for (const url of ['', 'postgres://me:pw@host:5432/db', 'postgresql://host/db', 'postgres://me:pw@%2Frun%2Fpg/db'])
      expect(load({ env: { LIVEHOUSE_DATABASE_URL: url } }).databaseUrl).toBe(url)
    expect(problemOf({ env: { LIVEHOUSE_DATABASE_URL: 'mysql://host/db' } })).toMatch(/not shown.*postgres:\/\/user/)
  })

  it('is found where platforms put it, and by our own name before', () => {
    const [theirs, ours] = ['postgres://host/theirs', 'postgres://host/ours']
    expect(load({ env: { DATABASE_URL: theirs } }).databaseUrl).toBe(theirs)
    expect(load({ env: { DATABASE_URL: theirs, LIVEHOUSE_DATABASE_URL: ours } }).databaseUrl).toBe(ours)
    // SQLite, whatever the platform offers.
    expect(load({ env: { DATABASE_URL: theirs, LIVEHOUSE_DATABASE_URL: '' } }).databaseUrl).toBe('')
    expect(problemOf({ env: { DATABASE_URL: 'mysql://me:hunter2@host/db' } })).toMatch(/^DATABASE_URL: the value \(not shown\)/)
    expect(load({ env: { NATS_URL: 'nats://theirs' } }).natsUrl).toBe('nats://theirs')
    const aliases = describeOptions().filter(({ alias }) => alias !== '')
    expect(aliases.map(({ name, alias }) => [name, alias])).toEqual([
      ['databaseUrl', 'DATABASE_URL'],
      ['natsUrl', 'NATS_URL'],
    ])
  })

  it('is used by no other name in the docs', () => {
    const known = new Set([...names.map(envName), 'LIVEHOUSE_CONFIG', pluginTokenEnv])
    for (const page of ['README.md', 'engine/README.md', 'engine/DEPENDENCIES.md']) {
      for (const name of readIfThere(page).match(/\bLIVEHOUSE_[A-Z_]+\b/g) ?? [])
        expect(known, `${page}: ${name}`).toContain(name)
    }
  })
})

describe('media', () => {
  it('takes ICE servers as JSON, and nothing that could be more than one header', () => {
    expect(readIceServers('[]')).toEqual([])
    const turn = { urls: ['turn:turn.example.org:3478?transport=tcp'], username: 'u', credential: 'p w' }
    expect(readIceServers(JSON.stringify([{ urls: 'stun:stun.example.org' }, turn]))).toEqual([
      { urls: ['stun:stun.example.org'] },
      turn,
    ])
    const bad: unknown[] = [
      ...[{}, 7, null, 'stun:a', [7], [{}], [{ urls: [] }], [{ urls: 'http://a' }], [{ urls: 'stun:a>, <b' }]],
      ...[[{ urls: 'stun:a', username: 'a"b' }], [{ urls: 'stun:a', credential: 'a\r\nb' }], [{ urls: 'stun:a', more: 1 }]],
      Array.from({ length: 9 }, () => ({ urls: 'stun:a' })),
    ]
    for (const value of bad) expect([value, readIceServers(JSON.stringify(value))]).toEqual([value, undefined])
    expect(problemsOf({ argv: ['--ice-servers', '{'] })).toEqual([expect.stringContaining('--ice-servers')])
  })

  it('wants an address that clients can be told', () => {
    const [problem] = problemsOf({ argv: ['--media-listen-ip', '0.0.0.0'] })
    expect(problem).toContain('LIVEHOUSE_MEDIA_ANNOUNCED_ADDRESS')
    const announced = ['--media-listen-ip', '0.0.0.0', '--media-announced-address', '203.0.113.7']
    expect(load({ argv: announced }).mediaAnnouncedAddress).toBe('203.0.113.7')
    expect(load({ argv: ['--media-listen-ip', '0.0.0.0', '--no-media'] }).media).toBe(false)
  })
})

function readIfThere(page: string): string {
  try {
    return readFileSync(new URL(`../${page}`, import.meta.url), 'utf8')
  } catch {
    return ''
  }
}

describe('nearest', () => {
  it('counts edits', () => {
    expect(editDistance('', 'abc')).toBe(3)
    expect(editDistance('kitten', 'sitting')).toBe(3)
    expect(editDistance('same', 'same')).toBe(0)
  })

  it('finds a name again after one wrong letter', () => {
    for (const name of names) expect(nearest(`${name}x`, names)).toBe(name)
  })
})
