/**
 * `livehouse plugin VERB`: everything for who writes a plugin and for who runs one. A verb is a row of the table below; what it does is in
 * a file of its own, loaded when it runs.
 *
 *     livehouse plugin new hello && cd hello && npm install && npm test && npm run dev
 */
import { spawn } from 'node:child_process'
import { readdirSync } from 'node:fs'
import { relative } from 'node:path'
import { type CommandLine, readCommandLine } from '../arguments.ts'
import { ConfigError, loadConfig, nearest } from '../config.ts'
import type { Decision } from './plugin-admin.ts'
import { CommandError, print } from './terminal.ts'

interface Verb {
  /** `NAME` or `FILE`, when it takes one. */
  positional?: string
  allowed?: Readonly<Record<string, string>>
  switches?: readonly string[]
  summary: string
  about: string
  examples: readonly string[]
  run(line: CommandLine<string>, subject: string): Promise<number>
}

const adminFlags = {
  admin: 'http://127.0.0.1:8081',
  'data-dir': 'DIR',
}
const adminAbout = `  --admin ADDRESS   the engine's admin port (default: the one in the configuration, http://127.0.0.1:8081)
  --data-dir DIR    the engine's data folder, where its secret is (.livehouse)`

const operator = (verb: Decision | 'approve', summary: string): Verb => ({
  positional: 'NAME',
  allowed: adminFlags,
  summary,
  about: adminAbout,
  examples: [`livehouse plugin ${verb} word-filter`],
  async run({ values }, name) {
    const { approve, decide } = await import('./plugin-admin.ts')
    const flags = { admin: values.admin, dataDir: values['data-dir'] }
    return verb === 'approve' ? approve(name, flags) : decide(verb, name, flags)
  },
})

const verbs: Readonly<Record<string, Verb>> = {
  new: {
    positional: 'NAME',
    allowed: { dir: 'DIR' },
    switches: ['js'],
    summary: 'Write a plugin that works, with a test that passes.',
    about: `  NAME              2 to 32 of a-z, 0-9 and -, a letter first
  --dir DIR         where its folder is made (here)
  --js              JavaScript instead of TypeScript`,
    examples: ['livehouse plugin new hello', 'livehouse plugin new hello --dir ~/plugins --js'],
    async run({ values, switches }, name) {
      const { writePlugin } = await import('./plugin-new.ts')
      const folder = writePlugin({ name, parent: values.dir ?? '.', isTypeScript: !switches.has('js') })
      const near = relative('.', folder)
      print(
        `Written: ${folder}\n\nNext:\n  cd ${near.startsWith('..') ? folder : near}\n  npm install\n  npm test\n  npm run dev`,
      )
      return 0
    },
  },
  dev: {
    positional: 'FILE',
    allowed: { port: '8080', 'data-dir': 'DIR' },
    summary: 'An engine with the plugin and a room to try it in; changes are taken at once.',
    about: `  --port N          the public port; the admin port is the next one (8080; 0: free ones)
  --data-dir DIR    what it keeps (.livehouse beside the plugin)`,
    examples: ['livehouse plugin dev ./plugin.ts', 'livehouse plugin dev ./plugin.ts --port 9000'],
    async run({ values }, file) {
      const port = Number(values.port ?? 8080)
      if (!Number.isInteger(port) || port < 0 || port > 65_534)
        throw new CommandError(`--port: ${values.port} is not a whole number from 0 to 65534.`)
      const { develop } = await import('./plugin-dev.ts')
      return develop({ file, port, dataDir: values['data-dir'] })
    },
  },
  test: {
    summary: 'Run the tests of the plugin in this folder (node --test, TypeScript understood).',
    about: '  Every *.test.ts, *.test.js, *.test.mjs here.',
    examples: ['livehouse plugin test'],
    run: () => runTests(),
  },
  check: {
    positional: 'FILE',
    summary: 'Load a plugin and say in words what it is and what an operator must grant.',
    about: '  Ends with 1 and the reason when it cannot be attached.',
    examples: ['livehouse plugin check ./plugin.ts'],
    async run(_, file) {
      const [{ pluginFrom }, { manifestInWords }] = await Promise.all([import('./plugin-file.ts'), import('./plugin-words.ts')])
      print(manifestInWords((await pluginFrom(file)).manifest))
      return 0
    },
  },
  run: {
    positional: 'FILE',
    allowed: { nats: 'nats://127.0.0.1:4222', token: 'TOKEN', 'data-dir': 'DIR', 'log-level': 'info' },
    summary: 'Run a plugin in a process of its own, attached over NATS.',
    about: `  --nats ADDRESS    the NATS server of the engine (LIVEHOUSE_NATS_URL, nats://127.0.0.1:4222)
  --token TOKEN     from livehouse plugin token; better in LIVEHOUSE_PLUGIN_TOKEN, where others do not see it
  --data-dir DIR    without a token, on the engine's machine: make one from the secret there (.livehouse)
  --log-level L     trace, debug, info, warn (default), error, silent`,
    examples: [
      'LIVEHOUSE_PLUGIN_TOKEN=lhp.hello... livehouse plugin run ./plugin.ts --nats nats://10.0.0.5:4222',
      'livehouse plugin run ./plugin.ts --data-dir /var/lib/livehouse',
    ],
    async run({ values }, file) {
      const { runHere } = await import('./plugin-run.ts')
      const { nats, token } = values
      return runHere({ file, nats, token, dataDir: values['data-dir'], logLevel: values['log-level'] })
    },
  },
  token: {
    positional: 'NAME',
    allowed: { 'data-dir': 'DIR' },
    summary: 'Print the token with which a plugin of this name proves itself.',
    about: `  It is made from LIVEHOUSE_SECRET, or from the secret that serve keeps in the data folder, and stays the same as long as
  that does. Whoever has it can attach under this name.
  --data-dir DIR    the data folder of serve (.livehouse)`,
    examples: ['livehouse plugin token word-filter'],
    async run({ values }, name) {
      const [{ engineSecret }, { remoteSecret }, { isPluginName, pluginToken }] = await Promise.all([
        import('./plugin-file.ts'),
        import('../plugin/remote/attach-remote.ts'),
        import('../plugin/remote/sealed.ts'),
      ])
      if (!isPluginName(name)) throw new CommandError(`${JSON.stringify(name)} is no plugin's name: 2 to 32 of a-z, 0-9 and -.`)
      const dataDir = values['data-dir']
      const config = loadConfig({ argv: dataDir === undefined ? [] : [`--data-dir=${dataDir}`], env: process.env })
      print(pluginToken(remoteSecret(await engineSecret(config)), name))
      return 0
    },
  },
  list: {
    allowed: adminFlags,
    summary: 'Plugins of a running engine: state, instances, numbers, and what they ask for.',
    about: adminAbout,
    examples: ['livehouse plugin list', 'livehouse plugin list --admin http://127.0.0.1:9001'],
    async run({ values }) {
      const { listPlugins } = await import('./plugin-admin.ts')
      return listPlugins({ admin: values.admin, dataDir: values['data-dir'] })
    },
  },
  approve: operator('approve', 'Grant a plugin what it asks for now.'),
  disable: operator('disable', 'Take a plugin out of force; nobody attaches under its name until it is enabled.'),
  enable: operator('enable', 'Let a disabled plugin work again.'),
  detach: operator('detach', 'Take a plugin out of force and forget it; its tables stay.'),
}

/** Node's own test runner, with the loader that came with this package: nothing else needs to be installed. */
function runTests(): Promise<number> {
  const files = readdirSync('.').filter((name) => /\.test\.(ts|mts|js|mjs)$/.test(name))
  if (files.length === 0) throw new CommandError('No tests here: *.test.ts, *.test.js or *.test.mjs.')
  const loader = import.meta.resolve('tsx')
  const child = spawn(process.execPath, ['--import', loader, '--test', '--test-reporter=spec', ...files], { stdio: 'inherit' })
  return new Promise((resolve, reject) => {
    child.once('error', reject)
    child.once('exit', (code) => resolve(code ?? 1))
  })
}

export function pluginHelp(name?: string): string {
  const verb = name === undefined ? undefined : verbNamed(name)
  if (verb && name !== undefined) return verbHelp(name, verb)
  const list = Object.entries(verbs).map(
    ([word, { positional = '', summary }]) => `  ${`${word} ${positional}`.padEnd(13)} ${summary}`,
  )
  return `livehouse plugin VERB

${list.join('\n')}

Each explains itself: livehouse plugin new --help. The first plugin in ten minutes: plugins/README.md

Examples
  livehouse plugin new hello                    then: cd hello, npm install, npm test, npm run dev
  livehouse plugin check ./plugin.ts
  livehouse plugin list`
}

function verbHelp(name: string, { positional, allowed = {}, switches = [], summary, about, examples }: Verb): string {
  const flags = [...Object.entries(allowed).map(([flag, form]) => `[--${flag} ${form}]`), ...switches.map((one) => `[--${one}]`)]
  return `livehouse plugin ${[name, positional, ...flags].filter(Boolean).join(' ')}

${summary}

${about}

Examples
${examples.map((line) => `  ${line}`).join('\n')}`
}

const verbNamed = (name: string) => (Object.hasOwn(verbs, name) ? verbs[name] : undefined)

export async function runPluginVerb([name, ...argv]: readonly string[]): Promise<number> {
  if (name === undefined || name === '--help' || name === '-h' || name === 'help') {
    print(pluginHelp(argv[0]))
    return 0
  }
  const verb = verbNamed(name)
  if (!verb)
    throw new CommandError(
      `${JSON.stringify(name)} is not a verb of livehouse plugin. The nearest is ${nearest(name, Object.keys(verbs))}. All: livehouse plugin --help`,
    )
  if (argv.includes('--help') || argv.includes('-h')) {
    print(verbHelp(name, verb))
    return 0
  }
  const { allowed = {}, switches = [], positional } = verb
  const line = readCommandLine(argv, { allowed, switches, ...(positional === undefined ? {} : { positional }) })
  if (positional !== undefined && line.positional === undefined)
    throw new ConfigError([`${positional} is missing: ${verb.examples[0]}`])
  return verb.run(line, line.positional ?? '')
}
