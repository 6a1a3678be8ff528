/**
 * Writes REFERENCE.md from the tables that the engine runs on: `npm run docs`. A test compares, so that every option, command, event,
 * hook, call, error, close code and metric is documented and nothing else is.
 */
import { writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import type { TObject, TSchema } from '@sinclair/typebox'
import { closeCodes, errors } from '../schemas/errors.ts'
import { commands, events, sessionEvents } from '../schemas/messages.ts'
import { operatorErrors } from './admin/answers.ts'
import { createMetrics } from './base/metrics.ts'
import { describeOptions, options } from './config.ts'
import { newMicMeters, newStreamMeters } from './live/media.ts'
import { exportMedia, exportMic } from './media/numbers.ts'
import { exportMetrics, type Measured } from './metrics.ts'
import { exportCallbacks } from './pay/payments.ts'
import { dbErrors } from './plugin/db/plugin-db-wire.ts'
import {
  busEvents,
  chargedCommands,
  type GuardedCommand,
  grantableDomains,
  guardedCommands,
  isDurable,
  ledgerEvents,
  systemEvents,
  transformedCommands,
} from './plugin/hooks.ts'
import { attachErrors, callErrors, engineCallDocs } from './plugin/host/call-docs.ts'
import { pluginMetrics } from './plugin/host/plugin-numbers.ts'
import { exportRemote } from './plugin/remote/attach-remote.ts'

type Row = readonly (string | number)[]
const cell = (value: string | number) => String(value).replaceAll('|', '\\|').replaceAll('\n', ' ')
const table = (head: Row, rows: readonly Row[]): string =>
  [head, head.map(() => '---'), ...rows].map((row) => `| ${row.map(cell).join(' | ')} |`).join('\n')

/** `{text?: string, n: integer 1..30}` */
function shape(schema: TSchema): string {
  if (schema.type === 'array') return `${shape(schema.items as TSchema)}[]`
  if (schema.type !== 'object') return scalar(schema)
  const { properties = {}, required = [] } = schema as TObject
  const fields = Object.entries(properties).map(
    ([name, field]) => `${name}${required.includes(name) ? '' : '?'}: ${shape(field as TSchema)}`,
  )
  return fields.length === 0 ? '{}' : `{${fields.join(', ')}}`
}

function scalar(schema: TSchema): string {
  const choices =
    (schema.enum as string[] | undefined) ?? (schema.anyOf as TSchema[] | undefined)?.map((one) => String(one.const))
  if (choices) return choices.join(' / ')
  const { type = 'any', minimum, maximum, maxLength } = schema
  const isBounded = minimum !== undefined && maximum !== undefined && maximum < Number.MAX_SAFE_INTEGER
  if (isBounded) return `${type} ${minimum}..${maximum}`
  return maxLength === undefined ? String(type) : `${type} up to ${maxLength}`
}

function optionRows(): Row[] {
  return describeOptions().map(({ name, env, alias }) => {
    const schema = options[name]
    const { minimum, maximum, type } = schema
    const range = minimum === undefined ? type : `${minimum}..${maximum}`
    return [`\`${name}\``, `\`${env}\`${alias && ` or \`${alias}\``}`, JSON.stringify(schema.default), range, schema.description]
  })
}

function metricRows(): Row[] {
  const metrics = createMetrics()
  // Only names and help texts are read here; values are asked for at a scrape.
  exportMetrics(metrics, {} as Measured)
  exportRemote(metrics, { plugins: undefined, relay: undefined })
  exportCallbacks(metrics)
  exportMedia(metrics, undefined, newStreamMeters())
  exportMic(metrics, newMicMeters())
  for (const { name, help } of Object.values(pluginMetrics))
    if (name.endsWith('_total')) metrics.total(name, help, () => 0)
    else metrics.gauge(name, help, () => 0)
  return metrics.describe().map(({ name, type, help }) => [`\`${name}\``, type, help])
}

const verdicts = (on: string) =>
  guardedCommands[on as GuardedCommand].holdable ? 'allow, deny, shadow, hold, challenge' : 'allow, deny, challenge'

function eventHookRows(): Row[] {
  const delivery = (t: string) => {
    if (isDurable(t, false)) return 'at least once, in order'
    return isDurable(t, true) ? 'at most once; with `logDanmaku` at least once' : 'at most once'
  }
  return [...Object.keys(events), ...Object.keys(busEvents), ...Object.keys(systemEvents), ...Object.keys(ledgerEvents)].map(
    (t) => [`\`${t}\``, delivery(t)],
  )
}

const docRows = (docs: Readonly<Record<string, string>>): Row[] => Object.entries(docs).map(([code, doc]) => [`\`${code}\``, doc])
const names = (list: readonly string[]) => list.map((name) => `\`${name}\``).join(', ')

/** What plugins can hook into, ask for and be refused with. */
function pluginSections(): string {
  return `## Hooks

Of a plugin (\`definePlugin\`). Besides these: guards of the commands that other plugins own, own commands \`x.<plugin>.<verb>\`, schedules
and routes.

### Guards

${table(
  ['command', 'verdicts'],
  Object.keys(guardedCommands).map((on) => [`\`${on}\``, verdicts(on)]),
)}

### Transforms

${table(
  ['command', 'fields that may be changed'],
  Object.entries(transformedCommands).map(([on, fields]) => [`\`${on}\``, names(fields)]),
)}

### Charges

One plugin decides the price, the one in \`chargeOwner\`: ${names(chargedCommands)}.

### Events

${table(['event', 'delivery'], eventHookRows())}

Events of plugins (\`x.<plugin>.<event>\`) arrive at least once, in order per room.

### Domains

Names that one plugin may own as a whole, if the operator grants it: ${names(grantableDomains)}.

## Engine calls

What a plugin names in \`calls\` and the operator grants. Broadcasting what \`emits\` names and the plugin's own tables need none.

${table(['call', 'what it does'], docRows(engineCallDocs))}

### Refused calls

Besides the errors of commands.

${table(['code', 'meaning'], docRows(callErrors))}

### Errors of a plugin's database

${table(['code', 'meaning'], docRows(dbErrors))}

### Refused attachments

What a plugin in a process of its own is told.

${table(['code', 'meaning'], docRows(attachErrors))}

## Errors of the admin API

Besides those of commands.

${table(
  ['code', 'status', 'meaning'],
  Object.entries(operatorErrors).map(([code, { status, doc }]) => [`\`${code}\``, status, doc]),
)}`
}

export function reference(): string {
  return `# Reference

Made by \`npm run docs\` from the tables that the engine runs on: do not edit.

## Options

By file (\`livehouse.json\`), environment and flag (\`tickMsMax\` is \`--tick-ms-max\`), the later wins.

${table(['option', 'environment', 'default', 'range', 'meaning'], optionRows())}

## Commands

\`user\`: needs a token. Shapes are the \`d\` of the envelope; the protobuf form of each is in \`schemas/livehouse.proto\`.

${table(
  ['command', 'who', 'd', 'reply d'],
  Object.entries(commands).map(([name, { d, reply, who }]) => [`\`${name}\``, who, `\`${shape(d)}\``, `\`${shape(reply)}\``]),
)}

## Events of a room

${table(
  ['event', 'lane', 'd'],
  Object.entries(events).map(([name, { lane, d }]) => [`\`${name}\``, lane, `\`${shape(d)}\``]),
)}

## Events of a connection

${table(
  ['event', 'd'],
  Object.entries(sessionEvents).map(([name, d]) => [`\`${name}\``, `\`${shape(d)}\``]),
)}

## Errors

${table(
  ['code', 'may succeed later', 'meaning'],
  Object.entries(errors).map(([code, { retry, doc }]) => [`\`${code}\``, retry ? 'yes' : 'no', doc]),
)}

## Close codes

4000 to 4499: come back, with back-off. 4500 to 4999: do not.

${table(
  ['code', 'reason', 'meaning'],
  Object.entries(closeCodes).map(([reason, { code, doc }]) => [code, `\`${reason}\``, doc]),
)}

${pluginSections()}

## Metrics

${table(['metric', 'type', 'meaning'], metricRows())}
`
}

const here = fileURLToPath(import.meta.url)
if (process.argv[1] === here) writeFileSync(fileURLToPath(new URL('./REFERENCE.md', import.meta.url)), reference())
