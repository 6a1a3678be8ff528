import { expect, it } from 'vitest'
import { cleanText, codePoints, sameness } from './text.ts'

it.each([
  ['  hello  ', 'hello'],
  ['a\nb\r\nc\td', 'a b c d'],
  ['a\u2028b\u2029c\u0085d', 'a b c d'],
  ['a\u0000\u0007\u001b[31mb', 'a[31mb'],
  ['user\u202egnp.exe', 'usergnp.exe'],
  ['\u2066x\u2069\u200e\u200f\u061c', 'x'],
  ['z\u200be\u200br\u2060o\ufeff', 'zero'],
  ['a      b', 'a b'],
  ['e\u0301', '\u00e9'],
  ['🏴\u{e0067}\u{e0062}\u{e0065}\u{e006e}\u{e0067}\u{e007f}', '🏴\u{e0067}\u{e0062}\u{e0065}\u{e006e}\u{e0067}\u{e007f}'],
  ['\u200d\u200d', ''],
  ['\u3164 \u{e0041}\ufe0f\u2800\u00ad', ''],
  ['a\ud800b', 'a\ufffdb'],
  ['👨‍👩‍👧 🏳️‍🌈', '👨‍👩‍👧 🏳️‍🌈'],
  ['你好，世界', '你好，世界'],
  ['مرحبا', 'مرحبا'],
  ['', ''],
])('%j is shown as %j', (text, shown) => {
  expect(cleanText(text)).toBe(shown)
  expect(cleanText(shown)).toBe(shown)
})

it('a tower of marks is cut to what a letter can carry', () => {
  const tower = cleanText(`z${'\u0336\u035b'.repeat(50)}`)
  expect([...tower].length).toBeLessThanOrEqual(5)
})

it('counts code points, not units', () => {
  expect(codePoints('a你😀')).toBe(3)
})

it('the same to a reader is the same', () => {
  expect(
    new Set(['Hello World', 'hello world', 'ＨＥＬＬＯ　ＷＯＲＬＤ', 'HELLOWORLD', ' h e l l o world'].map(sameness)).size,
  ).toBe(1)
  expect(sameness('h\u00ade\u200dl\u{e0041}lo\u3164')).toBe('hello')
  expect(sameness('hello')).not.toBe(sameness('hallo'))
})
