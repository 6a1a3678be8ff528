import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { isProof, pluginKey, pluginToken, proofOf, readPluginToken, Sealer, sessionKey } from './sealed.ts'

const key = pluginKey('secret', 'words')
const pair = (from = key) => {
  const session = sessionKey(from, ['a', 'b'])
  return { engine: new Sealer(session, 'engine'), plugin: new Sealer(session, 'plugin') }
}

describe('a token', () => {
  test('carries name and key, and both follow from the secret', () => {
    const token = pluginToken('secret', 'words')
    expect(token).toMatch(/^lhp\.words\.[\w-]{43}$/)
    const read = readPluginToken(` ${token}\n`)
    expect(read?.name).toBe('words')
    expect(read?.key.equals(key)).toBe(true)
    expect(pluginKey('secret', 'other').equals(key)).toBe(false)
    expect(pluginKey('other', 'words').equals(key)).toBe(false)
  })

  test.each([
    '',
    'lhp.words',
    `lhp.Words.${'a'.repeat(43)}`,
    `lhp.words.${'a'.repeat(42)}`,
    `xx.words.${'a'.repeat(43)}`,
    'a.b.c',
  ])('is not %j', (text) => expect(readPluginToken(text)).toBeUndefined())

  test.each(['', 'a', 'A1', '1a', 'a.b', 'a_b', 'a'.repeat(33)])('is not made for the name %j', (name) => {
    expect(() => pluginToken('secret', name)).toThrow('not a plugin')
  })
})

describe('a proof', () => {
  test('is of one key, one purpose and exactly these words', () => {
    const proof = proofOf(key, 'engine', ['a', 'b'])
    expect(isProof(proof, key, 'engine', ['a', 'b'])).toBe(true)
    expect(isProof(proof, key, 'plugin', ['a', 'b'])).toBe(false)
    expect(isProof(proof, key, 'engine', ['ab', ''])).toBe(false)
    expect(isProof(proof, pluginKey('secret', 'other'), 'engine', ['a', 'b'])).toBe(false)
    for (const bad of [undefined, null, 1, '', proof.slice(1), `${proof}a`, {}])
      expect(isProof(bad, key, 'engine', ['a', 'b'])).toBe(false)
  })
})

describe('sealed messages', () => {
  test('arrive as they were, in both directions', () => {
    const { engine, plugin } = pair()
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme' }), fc.integer({ min: 0, max: 255 }), (text, kind) => {
        expect(plugin.open(engine.seal(text, kind))).toEqual({ kind, text, lost: 0 })
        expect(engine.open(plugin.seal(text, kind))).toEqual({ kind, text, lost: 0 })
        expect(engine.seal(text).length).toBe(Sealer.size(text))
        plugin.open(engine.seal('')) // keeps the counters even: the one above was not delivered
      }),
    )
  })

  test('open once, in order, and tell of gaps', () => {
    const { engine, plugin } = pair()
    const [first, second, third, fourth] = ['1', '2', '3', '4'].map((text) => engine.seal(text)) as [
      Uint8Array,
      Uint8Array,
      Uint8Array,
      Uint8Array,
    ]
    expect(plugin.open(first)).toMatchObject({ text: '1', lost: 0 })
    expect(plugin.open(first)).toBe('replayed')
    expect(plugin.open(third)).toMatchObject({ text: '3', lost: 1 })
    expect(plugin.open(second)).toBe('replayed')
    expect(plugin.open(fourth)).toMatchObject({ text: '4', lost: 0 })
    expect(engine.open(fourth)).toBe('replayed')
  })

  test('open with no other session, and no bit of them can be changed', () => {
    const { engine, plugin } = pair()
    expect(pair(pluginKey('secret', 'other')).plugin.open(engine.seal('x'))).toBe('forged')
    const sealed = engine.seal('弹幕')
    for (let bit = 0; bit < sealed.length * 8; bit++) {
      const changed = Uint8Array.from(sealed)
      changed[bit >> 3] = (changed[bit >> 3] as number) ^ (1 << (bit & 7))
      expect(plugin.open(changed)).toBe('forged')
    }
    for (let length = 0; length < sealed.length; length++) expect(plugin.open(sealed.subarray(0, length))).toBe('forged')
    expect(plugin.open(sealed)).toMatchObject({ text: '弹幕' })
  })
})
