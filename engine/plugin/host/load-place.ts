/** From a plugin object or a file to a place in this process that can be started. */
import type { AnyPlugin } from '../define.ts'
import { ManifestError } from '../manifest.ts'
import { InlinePlace } from '../places/inline.ts'
import { loadPlugin } from '../places/load.ts'
import type { Place, PlaceParts } from '../places/place.ts'
import { WorkerPlace } from '../places/worker.ts'
import { PluginError } from './plugin-error.ts'

export interface AttachFile {
  file: string
  place: 'inline' | 'worker'
}
/** A program's own object, or a file. */
export type AttachFrom = { plugin: AnyPlugin } | AttachFile

/** `sdk`: the version of this package. Rejects with a `ManifestError`, or a `PluginError` when there is nothing to load. */
export async function loadPlace(from: AttachFrom, sdk: string, parts: PlaceParts): Promise<Place> {
  try {
    if ('plugin' in from) return new InlinePlace(from.plugin, sdk, parts)
    if (from.place === 'worker') return await WorkerPlace.load(from.file, sdk, parts)
    return new InlinePlace(await loadPlugin(from.file), sdk, parts)
  } catch (error) {
    if (error instanceof ManifestError) throw error
    throw new PluginError('plugin.not_loaded', (error as Error).message)
  }
}
