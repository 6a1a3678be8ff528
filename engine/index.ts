/**
 * `livehouse`: the engine as a library, for those who embed it.
 *
 *     import { loadConfig, startEngine } from 'livehouse'
 *     const engine = await startEngine(loadConfig({ argv: [], env: process.env }))
 */
export { type Config, ConfigError, loadConfig } from './config.ts'
export { type Engine, type EngineParts, startEngine } from './engine.ts'
export type { PluginHost } from './plugin/host/host.ts'
export type { PluginInfo } from './plugin/host/plugin-info.ts'
