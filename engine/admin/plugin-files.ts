/**
 * Which files operators may attach over HTTP: those in `pluginsDir`, named by their path below it (`word-filter.ts`,
 * `word-filter/plugin.ts`). Attaching a file runs it, so a name never leads out of the folder, not by `..`, not by a link in it.
 */
import { realpath, stat } from 'node:fs/promises'
import { join, resolve, sep } from 'node:path'
import { OperatorError } from './answers.ts'

/** Steps that begin with a letter, a digit or `_`: neither `..` nor hidden folders; at last what a plugin can be written in. */
export const fileNamePattern = '^([A-Za-z0-9_][A-Za-z0-9._-]{0,63}/){0,4}[A-Za-z0-9_][A-Za-z0-9._-]{0,63}\\.[cm]?[jt]s$'
const fileName = new RegExp(fileNamePattern)

/** The path of the file itself, links followed. Throws an `OperatorError`. */
export async function pluginFile(pluginsDir: string, name: string): Promise<string> {
  if (pluginsDir === '') throw new OperatorError('plugin.no_folder', 'pluginsDir is not set: no plugin can be attached over HTTP')
  if (!fileName.test(name)) throw bad(name, 'is not the name of a script below pluginsDir')
  const folder = await realpath(resolve(pluginsDir)).catch(() => {
    throw new OperatorError('plugin.no_folder', 'pluginsDir does not exist')
  })
  const path = await realpath(join(folder, name)).catch(() => {
    throw bad(name, 'does not exist in pluginsDir')
  })
  // The same words for what lies outside as for what is not there: whoever asks learns nothing about other folders.
  if (!path.startsWith(folder + sep) || !(await stat(path)).isFile()) throw bad(name, 'does not exist in pluginsDir')
  return path
}

const bad = (name: string, what: string) => new OperatorError('plugin.bad_file', `${name.slice(0, 200)} ${what}`)
