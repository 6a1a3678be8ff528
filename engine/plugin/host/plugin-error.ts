/** What an operator, or an instance that wants to attach, is told when something cannot be done. The reference lists the codes. */
export type PluginErrorName =
  | 'plugin.not_found'
  | 'plugin.exists'
  | 'plugin.disabled'
  | 'plugin.bad_state'
  | 'plugin.stale'
  | 'plugin.bad_settings'
  | 'plugin.too_many'
  | 'plugin.not_loaded'

export class PluginError extends Error {
  readonly code: PluginErrorName

  constructor(code: PluginErrorName, msg: string) {
    super(msg)
    this.name = 'PluginError'
    this.code = code
  }
}
