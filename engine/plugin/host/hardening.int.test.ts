/** What a plugin says never ends the engine, and a closed guard does not open because its plugin is gone. */
import { appendFile, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { startTestEngine, type TestEngine } from '../../testing.ts'

let folder: string
let engine: TestEngine | undefined
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'livehouse-hard-'))
})
afterEach(async () => {
  await engine?.stop()
  engine = undefined
  await rm(folder, { recursive: true, force: true })
})

const define = new URL('../index.ts', import.meta.url).href
const written = async (name: string, body: string) => {
  const file = join(folder, name)
  await writeFile(file, `import { allow, definePlugin, deny, Type } from ${JSON.stringify(define)}\n${body}`)
  return file
}
const enter = async (user: string) => {
  const client = await (engine as TestEngine).connect({ token: await (engine as TestEngine).token(user) })
  await client.ok('room.join', {}, 'demo')
  return client
}

it("an answer nested by the thousand is the plugin's failure; a thread that posts what it likes goes on", async () => {
  const file = await written(
    'deep.ts',
    `import { parentPort } from 'node:worker_threads'
    export default definePlugin({ name: 'deep', version: '1.0.0', commands: {
      'x.deep.answer': { d: Type.Object({}), budgetMs: 1_000, run: () => JSON.parse('{"a":'.repeat(6_000) + '1' + '}'.repeat(6_000)) },
      'x.deep.post': { d: Type.Object({}), budgetMs: 1_000, run: () => {
        for (const rubbish of [5, null, true, [], '[]', 'x', '[{"k":"unfit","msg":{"toString":1}}]', '[{"k":"count","name":{"toString":1}}]'])
          parentPort?.postMessage(rubbish)
        parentPort?.postMessage('['.repeat(20_000))
        return { posted: true }
      } },
    } })`,
  )
  for (const place of ['worker', 'inline'] as const) {
    engine = await startTestEngine({}, { plugins: [{ file, place }] })
    await engine.plugin('deep')
    const ann = await enter('ann')
    expect((await ann.refused('x.deep.answer', {}, 'demo')).code).toBe('plugin.failed')
    if (place === 'worker') expect(await ann.ok('x.deep.post', {}, 'demo')).toEqual({ posted: true })
    expect((await ann.refused('x.deep.answer', {}, 'demo')).code).toBe('plugin.failed')
    await ann.ok('danmaku.send', { text: 'still here' }, 'demo')
    await engine.stop()
    engine = undefined
  }
})

it('a closed guard whose file does not load any more is closed from the first moment of the next start', async () => {
  const file = await written(
    'wall.ts',
    `export default definePlugin({ name: 'wall', version: '1.0.0', guards: {
      'danmaku.send': { order: 1, budgetMs: 200, onFailure: 'closed', run: ({ d }) => (d.text === 'yes' ? allow : deny('content.rejected')) },
    } })`,
  )
  const dataDir = join(folder, 'data')
  engine = await startTestEngine({ dataDir })
  await engine.plugins.attach({ file, place: 'worker' }, { by: 'ops' })
  await (await enter('ann')).ok('danmaku.send', { text: 'yes' }, 'demo')
  await engine.stop()

  await appendFile(file, '\n{{{')
  engine = await startTestEngine({ dataDir })
  expect((await (await enter('bob')).refused('danmaku.send', { text: 'yes' }, 'demo')).code).toBe('danmaku.unavailable')
  expect(engine.plugins.describe('wall')).toMatchObject({ state: 'detached', lastError: expect.stringContaining('wall.ts') })

  await writeFile(
    file,
    `import { allow, definePlugin } from ${JSON.stringify(define)}
    export default definePlugin({ name: 'wall', version: '1.0.1', guards: {
      'danmaku.send': { order: 1, budgetMs: 200, onFailure: 'closed', run: () => allow } } })`,
  )
  await engine.plugins.update('wall', 'ops')
  await (await enter('eve')).ok('danmaku.send', { text: 'mended' }, 'demo')
})
