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

/** The command that a misspelt one probably meant. */
export const nearestCommand = (name: string): string => nearest(name, Object.keys(commands))
