/**
 * A plugin's manifest in words, for `livehouse plugin check` and `dev`.
 *
 *     word-filter 1.0.0: Refuses some words and hides others behind stars.
 *       guard      danmaku.send       50 ms, order 100, lets pass when it fails (open)
 *     An operator grants: guard danmaku.send open, transform danmaku.send
 */
import { grantOf, type HookSpecShape, type ManifestShape } from '../plugin/manifest.ts'

export function manifestInWords(manifest: ManifestShape): string {
  const { name, version, description, hooks, calls, emits, settings, migrations } = manifest
  const wide = Math.max(18, ...hooks.map(({ on }) => on.length), ...emits.map(({ t }) => t.length))
  const row = (kind: string, what: string, more: string) => `  ${kind.padEnd(10)} ${what.padEnd(wide)} ${more}`.trimEnd()
  const fields = Object.entries((settings as { properties?: Record<string, Field> }).properties ?? {})
  const lines = [
    `${name} ${version}${description && `: ${description}`}`,
    ...hooks.map((hook) => row(hook.kind, hook.on, aboutHook(hook))),
    ...emits.map(({ t, lane }) => row('emits', t, `${lane} lane`)),
    ...calls.map((call) => row('calls', call, '')),
    ...fields.map(([field, about]) => row('setting', field, aboutField(about))),
  ]
  if (migrations.length > 0) lines.push(row('tables', `${migrations.length} migration${migrations.length > 1 ? 's' : ''}`, ''))
  const { hooks: asked, calls: called, high } = grantOf(manifest)
  const wants = [...asked, ...called, ...high.map((t) => `${t} in the high lane`)]
  lines.push(`An operator grants: ${wants.join(', ') || 'nothing; it only runs by its own schedules'}`)
  return lines.join('\n')
}

interface Field {
  type?: string
  default?: unknown
  description?: string
}
const aboutField = ({ type = '', default: value, description }: Field) =>
  [type, value === undefined ? 'no default' : `default ${JSON.stringify(value)}`, description].filter(Boolean).join(', ')

function aboutHook(hook: HookSpecShape): string {
  const ms = `${hook.budgetMs} ms`
  switch (hook.kind) {
    case 'guard':
      return `${ms}, order ${hook.order}, ${hook.onFailure === 'open' ? 'lets pass when it fails (open)' : 'refuses when it fails (closed)'}`
    case 'transform':
      return `${ms}, order ${hook.order}, left out when it fails`
    case 'charge':
      return `${ms}, refuses when it fails; in force when chargeOwner names this plugin`
    case 'command':
      return `${ms}, ${hook.room ? 'in a room' : 'in no room'}, for ${hook.who === 'anyone' ? 'anyone' : 'signed-in users'}`
    case 'event':
      return `${ms}, delivered again when it fails, if the event is in the room log`
    case 'schedule':
      return `every ${hook.everyMs} ms, ${ms} each`
    case 'route':
      return `${ms}, ${hook.summary}`
  }
}
