/** Checks the body of a command against its schema in `schemas/messages.ts`, compiled on first use, and names what is wrong. */
import type { TObject, TSchema } from '@sinclair/typebox'
import { type TypeCheck, TypeCompiler } from '@sinclair/typebox/compiler'
import { type CommandName, commands } from '../../schemas/messages.ts'
import { nearest } from '../config.ts'
import type { RefusalDetail } from '../room/call.ts'

const checks = new Map<string, TypeCheck<TSchema>>()

export const isCommand = (name: string): name is CommandName => Object.hasOwn(commands, name)

/**
 * The body with the fields that we know, or what is wrong with it. Other fields are left out, in JSON as in protobuf: what a stranger
 * adds must not travel into a room's state. Where a schema forbids others (settings), they are named instead.
 */
export function check(name: CommandName, d: unknown): { ok: true; d: unknown } | { ok: false; detail: RefusalDetail } {
  const schema = commands[name].d as TObject
  let check = checks.get(name)
  if (!check) checks.set(name, (check = TypeCompiler.Compile(schema)))
  const known = schema.additionalProperties === false ? d : knownFields(schema, d)
  if (check.Check(known)) return { ok: true, d: known }
  const error = check.Errors(known).First()
  const field = error?.path.slice(1).replaceAll('/', '.').slice(0, 64) ?? ''
  const msg = `${field || 'd'}: ${error?.message ?? 'invalid'}`
  return { ok: false, detail: { msg, d: { field: field || 'd' } } }
}

function knownFields(schema: TObject, d: unknown): unknown {
  if (typeof d !== 'object' || d === null || Array.isArray(d)) return d
  const known: Record<string, unknown> = {}
  for (const key of Object.keys(schema.properties)) if (Object.hasOwn(d, key)) known[key] = (d as Record<string, unknown>)[key]
  return known
}

/**
 * The body of a command that a plugin owns: an object; the plugin's own schema sees to its fields. A key `__proto__`, at any depth, is
 * nobody's field: in the hands of a careless plugin it would become the prototype of something. Depth is bounded where frames are read.
 */
export function checkOwned(d: unknown): { ok: true } | { ok: false; detail: RefusalDetail } {
  if (typeof d !== 'object' || d === null || Array.isArray(d))
    return { ok: false, detail: { msg: 'd: an object', d: { field: 'd' } } }
  return holdsProto(d) ? { ok: false, detail: { msg: 'd: no key __proto__', d: { field: '__proto__' } } } : { ok: true }
}

function holdsProto(value: unknown): boolean {
  if (typeof value !== 'object' || value === null) return false
  return Object.hasOwn(value, '__proto__') || Object.values(value).some(holdsProto)
}

/** The command that a misspelt one probably meant; `more`: those of plugins. */
export const nearestCommand = (name: string, more: Iterable<string> = []): string =>
  nearest(name, [...Object.keys(commands), ...more])
