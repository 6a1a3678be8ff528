/** How the configuration names plugins. */
import { fileURLToPath } from 'node:url'
import { pluginNamePattern } from '../manifest.ts'
import type { AttachFile } from './load-place.ts'

/** `a, b`: without blanks and empty ones. */
export const listed = (text: string): string[] =>
  text
    .split(',')
    .map((one) => one.trim())
    .filter((one) => one !== '')

/** `./a.ts, ./b.ts@inline, monetization`: worker unless it says otherwise; a bare name is a plugin that comes with the engine. */
export function configuredPlugins(text: string): AttachFile[] {
  return listed(text).map((one) => {
    const [, file = one, place = 'worker'] = /^(.*)@(inline|worker)$/.exec(one) ?? []
    return { file: bareNamePattern.test(file) ? ownPlugin(file) : file, place: place as AttachFile['place'] }
  })
}

const bareNamePattern = new RegExp(pluginNamePattern)
/** Beside this code, as a source or as it was built. */
const ownPlugin = (name: string): string =>
  fileURLToPath(new URL(`../../../plugins/${name}/plugin${import.meta.url.endsWith('.ts') ? '.ts' : '.js'}`, import.meta.url))
