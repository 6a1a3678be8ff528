/** The folder of the installed package, from the sources as well as from dist/, and its version. */
import { existsSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

function folderAbove(start: string): string {
  for (let folder = start; folder !== dirname(folder); folder = dirname(folder)) {
    if (existsSync(join(folder, 'package.json'))) return folder
  }
  throw new Error(`no package.json above ${start}`)
}

export const packageRoot: string = folderAbove(dirname(fileURLToPath(import.meta.url)))

export function packageVersion(): string {
  const content: unknown = JSON.parse(readFileSync(join(packageRoot, 'package.json'), 'utf8'))
  return String((content as { version?: unknown }).version)
}
