import { execFile } from 'node:child_process'
import { describe, expect, it } from 'vitest'
import { packageRoot, packageVersion } from './base/package.ts'
import { programEntry } from './base/worker-entry.ts'
import { describeOptions } from './config.ts'

const { file, execArgv } = programEntry(new URL('./main.ts', import.meta.url))

type Ended = { code: number; out: string; err: string }
function livehouse(args: readonly string[], env: Record<string, string> = {}): Promise<Ended> {
  const options = { cwd: packageRoot, env: { PATH: process.env.PATH, HOME: process.env.HOME, ...env } }
  return new Promise((done) => {
    execFile(process.execPath, [...execArgv, file, ...args], options, (error, out, err) => {
      done({ code: error ? Number(error.code) : 0, out, err })
    })
  })
}

describe('livehouse', () => {
  it('teaches', async () => {
    const [bare, help, version] = await Promise.all([livehouse([]), livehouse(['--help']), livehouse(['--version'])])
    expect(bare).toEqual(help)
    expect(help).toMatchObject({ code: 0, err: '' })
    for (const name of ['serve', 'plugin', 'media', 'token', 'crowd', 'doctor']) {
      expect(help.out.match(new RegExp(`^  livehouse ${name}`, 'gm'))?.length, `examples of ${name}`).toBeGreaterThanOrEqual(2)
    }
    expect(version).toEqual({ code: 0, out: `${packageVersion()}\n`, err: '' })
  })

  it('lists every option of serve', async () => {
    const [flag, word] = await Promise.all([livehouse(['serve', '--port', '1', '--help']), livehouse(['help', 'serve'])])
    expect(flag).toEqual(word)
    for (const { env, alias, flag: name, default: value } of describeOptions()) {
      expect(flag.out).toContain(`\n  ${name}`)
      expect(flag.out).toContain(`\n      ${env}${alias && ` or ${alias}`}, default ${JSON.stringify(value)}, `)
    }
  })

  it('names the nearest command', async () => {
    const [wrong, ofObject] = await Promise.all([livehouse(['sevre']), livehouse(['constructor'])])
    expect(wrong).toMatchObject({ code: 1, out: '', err: expect.stringContaining('The nearest is serve.') })
    expect(ofObject).toMatchObject({ code: 1, out: '', err: expect.stringContaining('is not a command') })
  })

  it('does not start on a bad configuration, and says all that is wrong', async () => {
    const { code, out, err } = await livehouse(['serve', '--prot', '1'], { LIVEHOUSE_TICK_MS_MAX: '0' })
    expect([code, out]).toEqual([1, ''])
    expect(err).toContain('--prot is not an option. The nearest is --port.')
    expect(err).toContain('LIVEHOUSE_TICK_MS_MAX: 0 is not a whole number from 1 to 1000.')
    expect(err).not.toContain('    at ')
  })

  it('hands over to the verbs of plugin', async () => {
    const [help, verb, wrong, config] = await Promise.all([
      livehouse(['help', 'plugin']),
      livehouse(['plugin', 'run', '--help']),
      livehouse(['plugin', 'chekc', 'a.ts']),
      livehouse(['nats-config', '--plugins', 'hello']),
    ])
    expect(help).toMatchObject({ code: 0, out: expect.stringContaining('livehouse plugin VERB') })
    expect(verb).toMatchObject({ code: 0, out: expect.stringContaining('LIVEHOUSE_PLUGIN_TOKEN') })
    expect(wrong).toMatchObject({ code: 1, out: '', err: expect.stringMatching(/^"chekc" .* nearest is check\./) })
    expect(config).toMatchObject({ code: 0, out: expect.stringContaining('user: "plugin-hello"') })
  })

  it('refuses bad input for a token with the allowed form', async () => {
    const [none, bad, anonymous, bot] = await Promise.all([
      livehouse(['token']),
      livehouse(['token', '--user', 'a b', '--ttl', 'soon']),
      livehouse(['token', '--user', 'anon_1', '--usr', 'x']),
      livehouse(['token', '--user', 'bot_1']),
    ])
    for (const { code, out } of [none, bad, anonymous, bot]) expect([code, out]).toEqual([1, ''])
    expect(none.err).toContain('livehouse token --user viewer1')
    expect(bad.err).toMatch(/"a b" is not 1 to 64.*\n.*"soon" is not a time like 30s, 15m, 1h or 7d/)
    expect(anonymous.err).toContain('The nearest is --user.')
    expect(bot.err).toContain('"bot_1" begins with bot_, which is for ids that only the engine gives.')
  })
})
