/** Loads a plugin from its file, JavaScript or TypeScript: the default export of the module. Every load reads the file anew. */
import { existsSync, statSync } from 'node:fs'
import { resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import type { AnyPlugin } from '../define.ts'

export class LoadError extends Error {
  readonly code = 'plugin.not_loaded'
}

let loads = 0

/** Rejects with a `LoadError` that says what is wrong with the file. */
export async function loadPlugin(file: string): Promise<AnyPlugin> {
  const path = resolve(file)
  if (!existsSync(path) || !statSync(path).isFile()) throw new LoadError(`${path}: no such file`)
  const module = await importAnew(path)
  const plugin = (module.default as { default?: unknown } | undefined)?.default ?? module.default
  if (typeof plugin !== 'object' || plugin === null)
    throw new LoadError(`${path}: has no default export made by definePlugin({...})`)
  return plugin as AnyPlugin
}

async function importAnew(path: string): Promise<{ default?: unknown }> {
  const url = `${pathToFileURL(path).href}?load=${++loads}`
  try {
    if (!/\.[cm]?tsx?$/.test(path)) return await import(url)
    const { tsImport } = await import('tsx/esm/api')
    return await tsImport(url, import.meta.url)
  } catch (error) {
    throw new LoadError(`${path}: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`)
  }
}
