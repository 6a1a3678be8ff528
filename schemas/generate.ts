/**
 * Writes `gen/messages.ts` from `livehouse.proto`: `npm run generate`. A test runs it and compares with what is committed.
 */
import { readFileSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import protobuf from 'protobufjs'

const here = (name: string) => fileURLToPath(new URL(name, import.meta.url))

type Kind = { ts: string; method: string; wire: 0 | 2 }
const scalars: Record<string, Kind> = {
  string: { ts: 'string', method: 'string', wire: 2 },
  bytes: { ts: 'Uint8Array', method: 'raw', wire: 2 },
  bool: { ts: 'boolean', method: 'bool', wire: 0 },
  int32: { ts: 'number', method: 'int32', wire: 0 },
  int64: { ts: 'number', method: 'int', wire: 0 },
}

function messageSource(type: protobuf.Type): string {
  const fields = type.fieldsArray.map((field) => {
    const scalar = scalars[field.type]
    if (!scalar && !type.parent?.get(field.type)) throw new Error(`${type.name}.${field.name}: ${field.type}`)
    if (field.repeated && scalar?.wire === 0) throw new Error(`${type.name}.${field.name}: packed numbers are not written yet`)
    if (field.id >= 1 << 28) throw new Error(`${type.name}.${field.name}: the tag of ${field.id} does not fit 31 bits`)
    return { name: field.name, id: field.id, repeated: field.repeated, message: field.type, scalar }
  })
  const shape = fields.map((f) => `  ${f.name}?: ${f.scalar?.ts ?? f.message}${f.repeated ? '[]' : ''} | undefined`)
  const write = (f: (typeof fields)[number], value: string) =>
    f.scalar ? `w.${f.scalar.method}(${value})` : `w.nested(${f.message}.encode, ${value})`
  const encode = fields.map((f) => {
    const tag = (f.id << 3) | (f.scalar?.wire ?? 2)
    return f.repeated
      ? `    if (m.${f.name} !== undefined) for (const item of m.${f.name}) {\n      w.uint(${tag})\n      ${write(f, 'item')}\n    }`
      : `    if (m.${f.name} !== undefined) {\n      w.uint(${tag})\n      ${write(f, `m.${f.name}`)}\n    }`
  })
  const decode = fields.map((f) => {
    const tag = (f.id << 3) | (f.scalar?.wire ?? 2)
    const value = f.scalar ? `r.${f.scalar.method}(end)` : `${f.message}.decode(r, r.enter(end))`
    return f.repeated
      ? `        case ${tag}:\n          ;(m.${f.name} ??= []).push(${value})\n          break`
      : `        case ${tag}:\n          m.${f.name} = ${value}\n          break`
  })
  const empty = fields.length === 0
  const lists = fields.filter((f) => f.repeated).map((f) => `${f.name}: []`)
  return `export interface ${type.name} {
${shape.join('\n')}
}
export const ${type.name}: Codec<${type.name}> = {
  encode(${empty ? '_m, _w' : 'm, w'}) {
${encode.join('\n')}
  },
  decode(r, end) {
    const m: ${type.name} = ${lists.length > 0 ? `{ ${lists.join(', ')} }` : '{}'}
    while (r.pos < end) {
      const tag = r.uint(end)
      switch (tag) {
${decode.join('\n')}
        default:
          r.skip(tag, end)
      }
    }
    return m
  },
}
`
}

export function generate(): string {
  const { root } = protobuf.parse(readFileSync(here('livehouse.proto'), 'utf8'))
  const space = root.lookup('livehouse.v1') as protobuf.Namespace
  const types = space.nestedArray.filter((n): n is protobuf.Type => n instanceof protobuf.Type)
  const names = types.map((t) => t.name)
  return `// Made by schemas/generate.ts from livehouse.proto: do not edit.
import type { Codec } from '../protobuf.ts'

${types.map(messageSource).join('\n')}
export const codecs = {
${names.map((n) => `  ${n},`).join('\n')}
} as const
`
}

if (process.argv[1] === fileURLToPath(import.meta.url)) writeFileSync(here('gen/messages.ts'), generate())
