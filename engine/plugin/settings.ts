/**
 * Settings and events of a plugin, checked at the engine against the JSON schemas of its manifest. Types, bounds, enums and
 * required fields; patterns and formats are left to the plugin's own place, because a pattern written by somebody else must not run on
 * the socket loop. An instance that will not take the settings says so and goes on with the old ones.
 */
type Schema = Readonly<Record<string, unknown>>
const depthMax = 8

/** Without those that an older version had: nobody could take them out by hand. */
export function knownSettings({ properties, patternProperties, additionalProperties }: Schema, settings: unknown): object {
  if (patternProperties !== undefined || additionalProperties) return Object(settings) as object
  return Object.fromEntries(Object.entries(Object(settings)).filter(([name]) => Object.hasOwn(Object(properties), name)))
}

/** What is wrong first, with its path; undefined when it fits. */
export function shapeProblem(schema: Schema, value: unknown, path = 'settings', depth = 0): string | undefined {
  if (depth > depthMax) return `${path}: nested deeper than ${depthMax}`
  if (Array.isArray(schema.anyOf)) {
    const fits = (schema.anyOf as Schema[]).some((one) => shapeProblem(one, value, path, depth + 1) === undefined)
    return fits ? undefined : `${path}: fits none of its forms`
  }
  if ('const' in schema && schema.const !== value) return `${path}: must be ${JSON.stringify(schema.const)}`
  if (Array.isArray(schema.enum) && !schema.enum.includes(value)) return `${path}: must be one of ${schema.enum.join(', ')}`
  switch (schema.type) {
    case 'object':
      return objectProblem(schema, value, path, depth)
    case 'array':
      return arrayProblem(schema, value, path, depth)
    case 'string':
      if (typeof value !== 'string') return `${path}: must be a text`
      return outside(value.length, schema.minLength, schema.maxLength) ? `${path}: has ${value.length} characters` : undefined
    case 'integer':
    case 'number':
      if (typeof value !== 'number' || !Number.isFinite(value)) return `${path}: must be a number`
      if (schema.type === 'integer' && !Number.isSafeInteger(value)) return `${path}: must be a whole number`
      return outside(value, schema.minimum, schema.maximum) ? `${path}: ${value} is out of range` : undefined
    case 'boolean':
      return typeof value === 'boolean' ? undefined : `${path}: must be true or false`
    default:
      return undefined
  }
}

function objectProblem(schema: Schema, value: unknown, path: string, depth: number): string | undefined {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return `${path}: must be an object`
  const properties = (schema.properties ?? {}) as Record<string, Schema>
  for (const name of (schema.required ?? []) as string[]) {
    // The plugin's place fills in defaults.
    const hasDefault = Object.hasOwn(properties, name) && 'default' in (properties[name] as Schema)
    if (!Object.hasOwn(value, name) && !hasDefault) return `${path}.${name}: is missing`
  }
  for (const [name, item] of Object.entries(value)) {
    const known = Object.hasOwn(properties, name) ? properties[name] : undefined
    if (known === undefined) {
      if (schema.patternProperties !== undefined || schema.additionalProperties) continue
      return `${path}.${name}: there is no such field${Object.keys(properties).length > 0 ? ` (there is ${Object.keys(properties).join(', ')})` : ''}`
    }
    const problem = shapeProblem(known, item, `${path}.${name}`, depth + 1)
    if (problem !== undefined) return problem
  }
  return undefined
}

function arrayProblem(schema: Schema, value: unknown, path: string, depth: number): string | undefined {
  if (!Array.isArray(value)) return `${path}: must be a list`
  if (outside(value.length, schema.minItems, schema.maxItems)) return `${path}: has ${value.length} items`
  for (const [at, item] of value.entries()) {
    const problem = shapeProblem(Object(schema.items) as Schema, item, `${path}.${at}`, depth + 1)
    if (problem !== undefined) return problem
  }
  return undefined
}

const outside = (value: number, min: unknown, max: unknown): boolean =>
  (typeof min === 'number' && value < min) || (typeof max === 'number' && value > max)
