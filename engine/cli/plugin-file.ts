/** A plugin's file as the commands need it, with faults in words that name the way out. */
import { existsSync } from 'node:fs'
import { dirname, join, resolve } from 'node:path'
import { packageVersion } from '../base/package.ts'
import { loadSecret } from '../edge/tokens.ts'
import type { AnyPlugin } from '../plugin/define.ts'
import { type ManifestShape, manifestOf } from '../plugin/manifest.ts'
import { loadPlugin } from '../plugin/places/load.ts'
import { CommandError } from './terminal.ts'

/** Throws a `CommandError` that says what is wrong with the file. */
export async function pluginFrom(file: string): Promise<{ plugin: AnyPlugin; manifest: ManifestShape }> {
  try {
    const plugin = await loadPlugin(file)
    return { plugin, manifest: manifestOf(plugin, packageVersion()) }
  } catch (error) {
    throw new CommandError(faultOf(file, error))
  }
}

/** What is wrong with a plugin's file; of the stack only the lines in the author's own folder. */
export function faultOf(file: string, error: unknown): string {
  const folder = dirname(resolve(file))
  const isOurs = (line: string) => /^\s+at/.test(line) && (!line.includes(folder) || line.includes('node_modules'))
  const lines = (error instanceof Error ? error.message : String(error)).split('\n').filter((line) => !isOurs(line))
  const text = lines.slice(0, 20).join('\n')
  const isMissing = /Cannot find (package 'livehouse'|module '[^']*\/livehouse\/)/.test(text)
  return isMissing ? `${text}\nRun npm install in ${folder}; its package.json must name livehouse.` : text
}

interface SecretPlace {
  secret: string
  dataDir: string
}
export const hasSecret = ({ secret, dataDir }: SecretPlace): boolean => secret !== '' || existsSync(join(dataDir, 'secret'))

/** The secret of an engine that has one. A new one, as `serve` makes it, would prove nothing to any engine. */
export async function engineSecret(config: SecretPlace): Promise<Uint8Array> {
  if (!hasSecret(config))
    throw new CommandError(
      `There is no secret in ${resolve(config.dataDir)}. Give the data folder of the engine, which serve makes at its first start (--data-dir DIR), or set LIVEHOUSE_SECRET to the engine's.`,
    )
  return loadSecret(config)
}
