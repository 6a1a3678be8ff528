/**
 * `livehouse plugin new NAME`: a plugin that works, with a test that passes, to be changed into one's own.
 *
 *     writePlugin({ name: 'hello', parent: '.', isTypeScript: true })     // hello/plugin.ts, plugin.test.ts, package.json, ...
 *
 * The templates stand here as text, because they are written with the author's name for the plugin in them.
 */
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join, relative, resolve } from 'node:path'
import { packageRoot, packageVersion } from '../base/package.ts'
import { pluginNamePattern } from '../plugin/manifest.ts'
import { CommandError } from './terminal.ts'

export interface NewPlugin {
  name: string
  /** The folder in which the plugin's own folder is made. */
  parent: string
  isTypeScript: boolean
}

const isFit = (name: string) => new RegExp(pluginNamePattern).test(name)

/** Answers the folder. Throws a `CommandError` on a bad name and on a folder that is there. */
export function writePlugin({ name, parent, isTypeScript }: NewPlugin): string {
  if (!isFit(name)) {
    const fitting = name
      .toLowerCase()
      .replace(/[^a-z0-9]+/g, '-')
      .replace(/^[^a-z]+|-+$/g, '')
    const hint = isFit(fitting) ? ` How about ${fitting}?` : ''
    throw new CommandError(`${JSON.stringify(name)} is no name for a plugin: 2 to 32 of a-z, 0-9 and -, a letter first.${hint}`)
  }
  const folder = resolve(parent, name)
  if (existsSync(folder)) throw new CommandError(`${folder} is there already. Choose another name, or another folder with --dir.`)
  mkdirSync(folder, { recursive: true })
  for (const [file, text] of Object.entries(filesOf(name, folder, isTypeScript))) writeFileSync(join(folder, file), text)
  return folder
}

function filesOf(name: string, folder: string, isTypeScript: boolean): Record<string, string> {
  const ending = isTypeScript ? 'ts' : 'js'
  const files = {
    [`plugin.${ending}`]: plugin(name, ending),
    [`plugin.test.${ending}`]: test(name, ending),
    'package.json': packageJson(name, folder, ending),
    'README.md': readme(name, ending),
  }
  return isTypeScript ? { ...files, 'tsconfig.json': tsconfig } : files
}

const plugin = (name: string, ending: string) => `/**
 * ${name}: what it does, in one sentence.
 *
 * Four hooks to begin with. Keep what you need, delete the rest. livehouse plugin check says what an operator will read.
 */
import { allow, definePlugin, deny, refuse, Type } from 'livehouse/plugin'

// State in memory is gone with the process, and each instance has its own. What must last belongs in tables (livehouse/tables).
${ending === 'ts' ? 'const rolls = new Map<string, number>()' : 'const rolls = new Map()'}

export default definePlugin({
  name: '${name}',
  version: '0.1.0',
  description: 'Rolls dice, and refuses one word.',

  // Operators change these while the plugin runs; ctx.settings is always the newest, with defaults filled in.
  settings: Type.Object({
    refused: Type.String({ default: 'spoiler', description: 'A danmaku with this word is refused.' }),
    sides: Type.Integer({ default: 6, minimum: 2, maximum: 1_000 }),
  }),

  // Events of our own that we send to clients. Their names begin with x.${name}.
  emits: {
    'x.${name}.rolled': { lane: 'normal', d: Type.Object({ name: Type.String(), value: Type.Integer() }) },
  },

  // May this happen? Answer from memory: a danmaku waits for it, at most budgetMs. 'open': it passes when we give no answer.
  guards: {
    'danmaku.send': {
      order: 100,
      budgetMs: 50,
      onFailure: 'open',
      run: ({ d }, { settings }) =>
        d.text.includes(settings.refused) ? deny('x.${name}.word', 'Not that word, please.') : allow,
    },
  },

  // A command of our own: {"t":"x.${name}.roll","room":"demo","d":{"dice":2}}. d has been checked when run begins.
  commands: {
    'x.${name}.roll': {
      d: Type.Object({ dice: Type.Integer({ minimum: 1, maximum: 10 }) }),
      budgetMs: 1_000,
      async run({ room, from, d }, ctx) {
        const taken = rolls.get(room) ?? 0
        if (taken >= 100) throw refuse('x.${name}.enough', 'This room has rolled enough.')
        rolls.set(room, taken + 1)
        let value = 0
        for (let i = 0; i < d.dice; i++) value += 1 + Math.floor(Math.random() * ctx.settings.sides)
        await ctx.room.broadcast(room, 'x.${name}.rolled', { name: from.name, value })
        return { value }
      },
    },
  },

  // It happened. This one comes from the room log: at least once, in order. A throw means: deliver it again.
  events: {
    'room.opened': {
      run({ room }, { log }) {
        rolls.delete(room)
        log.info({ room }, 'a new show, new dice')
      },
    },
  },
})
`

const quoted = (text: string) => `'${text}'`

const test = (name: string, ending: string) => `import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { startTestEngine, TestClock } from 'livehouse/testing'
import plugin from ${quoted(`./plugin.${ending}`)}

// A real engine on free ports, with a clock that moves when we say so.
const clock = new TestClock()
let engine${ending === 'ts' ? ': Awaited<ReturnType<typeof startTestEngine>>' : ''}
before(async () => {
  engine = await startTestEngine({}, { clock, plugins: [plugin] })
})
after(() => engine.stop())

async function enter(user${ending === 'ts' ? ': string' : ''}, claims = {}) {
  const client = await engine.connect({ token: await engine.token(user, { name: user, ...claims }) })
  await client.ok('room.join', {}, 'demo')
  return client
}

test('refuses the word, and follows its settings', async () => {
  const ann = await enter('ann')
  assert.equal((await ann.refused('danmaku.send', { text: 'a spoiler!' }, 'demo')).code, 'x.${name}.word')
  await ann.ok('danmaku.send', { text: 'hello' }, 'demo')
  await engine.plugins.configure('${name}', { refused: 'bye' }, 'ops')
  clock.advance(60_000) // slow mode and the like are over
  await ann.ok('danmaku.send', { text: 'no spoiler' }, 'demo')
})

test('rolls dice for everybody to see', async () => {
  const [bob, eve] = [await enter('bob'), await enter('eve')]
  const { value } = await bob.ok('x.${name}.roll', { dice: 2 }, 'demo')
  assert.ok(value >= 2 && value <= 12)
  assert.deepEqual((await eve.next('x.${name}.rolled')).d, { name: 'bob', value })
  assert.equal((await bob.refused('x.${name}.roll', { dice: 99 }, 'demo')).code, 'request.invalid')
})

test('hears that the room opens', async () => {
  const ops = await enter('ops', { scope: 'operator' })
  await ops.ok('room.close', {}, 'demo')
  await ops.ok('room.open', {}, 'demo')
  await engine.settled()
  const { events } = await engine.plugin('${name}')
  assert.equal(events?.lag, 0)
  assert.equal(events?.retried, 0)
})
`

function packageJson(name: string, folder: string, ending: string): string {
  const content = {
    name,
    version: '0.1.0',
    type: 'module',
    private: true,
    scripts: {
      test: 'livehouse plugin test',
      check: `livehouse plugin check plugin.${ending}`,
      dev: `livehouse plugin dev plugin.${ending}`,
    },
    dependencies: { livehouse: livehouseFrom(folder) },
  }
  return `${JSON.stringify(content, null, 2)}\n`
}

/** The package that this very program belongs to, while there is none to be had from a registry. */
function livehouseFrom(folder: string): string {
  const { private: isPrivate = false } = JSON.parse(readFileSync(join(packageRoot, 'package.json'), 'utf8')) as {
    private?: boolean
  }
  return isPrivate ? `file:${relative(folder, packageRoot)}` : `^${packageVersion()}`
}

const tsconfig = `${JSON.stringify(
  {
    compilerOptions: {
      target: 'es2023',
      module: 'nodenext',
      lib: ['es2023'],
      strict: true,
      noUncheckedIndexedAccess: true,
      skipLibCheck: true,
      noEmit: true,
      allowImportingTsExtensions: true,
    },
    include: ['*.ts'],
  },
  null,
  2,
)}\n`

const readme = (name: string, ending: string) => `# ${name}

A plugin for Livehouse.

\`\`\`sh
npm install         # links livehouse
npm test            # a real engine, driven by plugin.test.${ending}
npm run dev         # an engine with this plugin and a room to try it in; changes are taken at once
npm run check       # what an operator will read
\`\`\`

Settings, commands and events: see the top of \`plugin.${ending}\`. How plugins work: \`plugins/README.md\` of Livehouse.
`
