/**
 * `npm start`: packages, build, engine, each only if needed. Arguments go to `livehouse serve`: `npm start -- --port 9000`.
 * The engine runs in this very process: signals and the exit code need nobody to pass them on.
 */
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { build } from './build.mjs'
import { ensurePackages, main, needNode, root } from './steps.mjs'

await main(async () => {
  needNode(20)
  process.chdir(root)
  await ensurePackages()
  await build()
  // Whoever opens a page after this finds a room with people in it (`POST /dev/crowd`).
  process.env.LIVEHOUSE_DEMO_CROWD ??= '40'
  // And one where gifts have a price.
  process.env.LIVEHOUSE_PLUGINS ??= 'monetization@inline'
  process.env.LIVEHOUSE_CHARGE_OWNER ??= 'monetization'
  const program = join(root, 'dist/engine/main.js')
  process.argv = [process.execPath, program, 'serve', ...process.argv.slice(2)]
  await import(pathToFileURL(program).href)
})
