/** Which route of a plugin is meant, and what of its answer may go out. */
import { describe, expect, test } from 'vitest'
import { matchRoute, replyBytesMax, segmentsOf, soundReply } from './plugin-routes.ts'

const routes = [
  'GET /',
  'GET /questions',
  'POST /questions',
  'GET /questions/:id',
  'GET /questions/all',
  'PATCH /:kind/:id',
  'GET /:a/all/:c',
  'GET /:a/:b/c',
].map((on, index) => ({ index, spec: { on } }))
const found = (method: string, path: string) => {
  const match = matchRoute(routes, method, segmentsOf(path) ?? ['?', '?', '?', '?'])
  return match && 'index' in match ? [routes[match.index]?.spec.on, match.params] : match
}

describe('routes', () => {
  test.each([
    ['GET', '', ['GET /', {}]],
    ['GET', 'questions', ['GET /questions', {}]],
    ['POST', 'questions', ['POST /questions', {}]],
    ['GET', 'questions/7', ['GET /questions/:id', { id: '7' }]],
    ['GET', 'questions/all', ['GET /questions/all', {}]],
    ['PATCH', 'questions/7', ['PATCH /:kind/:id', { kind: 'questions', id: '7' }]],
    ['GET', 'x/all/c', ['GET /:a/all/:c', { a: 'x', c: 'c' }]],
    ['GET', 'x/y/c', ['GET /:a/:b/c', { a: 'x', b: 'y' }]],
    ['GET', 'questions/a%2Fb%20%E2%82%AC', ['GET /questions/:id', { id: 'a/b €' }]],
    ['GET', 'questions/..', ['GET /questions/:id', { id: '..' }]],
    ['DELETE', 'questions/7', { allow: ['GET', 'PATCH'] }],
    ['GET', 'nothing', undefined],
    ['GET', 'questions/', undefined],
    ['GET', 'questions//', undefined],
    ['GET', 'QUESTIONS', undefined],
    ['GET', 'x/y/z', undefined],
    ['GET', 'questions/%zz', undefined],
  ])('%s /%s', (method, path, wanted) => expect(found(method, path)).toEqual(wanted))

  test('a parameter may have any name', () => {
    const match = matchRoute([{ index: 0, spec: { on: 'GET /:__proto__' } }], 'GET', ['x'])
    expect(Object.entries((match as { params: object }).params)).toEqual([['__proto__', 'x']])
  })
})

describe('answers', () => {
  test('a status and a body', () => {
    expect(soundReply({ body: { a: 1 } })).toEqual({ status: 200, text: '{"a":1}' })
    expect(soundReply({ status: 599, body: null })).toEqual({ status: 599, text: 'null' })
    expect(soundReply({ status: 204 })).toEqual({ status: 204, text: '' })
    expect(soundReply({ body: 'x'.repeat(replyBytesMax - 2) })?.text).toHaveLength(replyBytesMax)
  })

  let deep: unknown = 1
  for (let i = 0; i < 100_000; i++) deep = [deep]
  const none: unknown[] = [
    ...[undefined, null, 'text', 7, []],
    ...[99, 199, 600, 200.5, '200', null, Number.NaN, -1].map((status) => ({ status, body: {} })),
    ...['x'.repeat(replyBytesMax - 1), '€'.repeat(replyBytesMax / 2), deep].map((body) => ({ body })),
  ]
  test.each(none.map((answer, at) => ({ answer, at })))('no answer $at', ({ answer }) =>
    expect(soundReply(answer)).toBeUndefined(),
  )
})
