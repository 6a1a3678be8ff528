/** What stands for a folder where its path is nobody's business: the same for every way that leads there. */
import { createHash } from 'node:crypto'
import { realpathSync } from 'node:fs'
import { basename, dirname, join, resolve } from 'node:path'

export function folderMark(folder: string): string {
  return createHash('sha256').update(pathOf(folder)).digest('hex').slice(0, 16)
}

function pathOf(folder: string): string {
  try {
    return realpathSync(folder)
  } catch {
    const path = resolve(folder) // it is not there yet
    return dirname(path) === path ? path : join(pathOf(dirname(path)), basename(path))
  }
}
