/**
 * Compiles the schemas of the admin routes, each once per process: there are about a hundred, and they cost half a second of a core. Tests
 * start hundreds of engines in one process.
 *
 *     Fastify({ schemaController: { compilersFactory: compileOnce() } })
 *
 * As before, a schema that cannot be compiled ends the start. What is kept depends on nothing but the text of the schema and the options;
 * the routes are the program's own, so their number is the bound.
 */
import AjvCompiler from '@fastify/ajv-compiler'
import SerializerSelector from '@fastify/fast-json-stringify-compiler'
import type { FastifyServerOptions } from 'fastify'

type Factory = NonNullable<NonNullable<FastifyServerOptions['schemaController']>['compilersFactory']>
type Compile = (route: { schema: unknown }) => unknown
type Build = (schemas: unknown, options: unknown) => Compile

const kept = new Map<string, unknown>()

const remembering =
  (kind: string, build: Build): Build =>
  (schemas, options) => {
    const compile = build(schemas, options)
    const about = `${kind} ${JSON.stringify([schemas, options])}`
    return (route) => {
      const key = `${about} ${JSON.stringify(route.schema)}`
      if (!kept.has(key)) kept.set(key, compile(route))
      return kept.get(key)
    }
  }

/** The two compilers that Fastify itself would take. */
export const compileOnce = (): Factory =>
  ({
    buildValidator: remembering('validator', AjvCompiler() as unknown as Build),
    buildSerializer: remembering('serializer', SerializerSelector() as unknown as Build),
  }) as unknown as Factory
