/**
 * Finding words in a danmaku the way people hide them: capitals, full-width letters, spaces and dots in between, letters drawn out.
 * Pure functions: no room, no clock, no settings. `plugin.ts` decides what becomes of a find.
 *
 *     const find = wordFinder(['spam'])
 *     find('S.P.A.M!!')            // { word: 'spam', from: 0, to: 7 }
 *     mask('buy s p a m', find)    // 'buy *******'
 */
export interface Found {
  word: string
  /** Positions in the text as it was written. */
  from: number
  to: number
}
export type WordFinder = (text: string) => Found | undefined

const skipped = /[\s._\-*~'"|]/u

/** One lower-case character for each that counts, with its place in the text. */
function lettersOf(text: string): { letters: string; at: number[] } {
  let letters = ''
  const at: number[] = []
  let place = 0
  for (const character of text) {
    const plain = character.normalize('NFKC').toLowerCase()
    if (!skipped.test(plain))
      for (const unit of plain.split('')) {
        letters += unit
        at.push(place)
      }
    place += character.length
  }
  return { letters, at }
}

/** `aaa` counts as `a`: only on both sides of a comparison. */
function squeezed(letters: string, at: readonly number[]): { letters: string; at: number[] } {
  const kept = [...at.keys()].filter((i) => letters[i] !== letters[i - 1])
  return { letters: kept.map((i) => letters[i]).join(''), at: kept.map((i) => at[i] as number) }
}

/** At the start of a plugin, or when its settings change: the words are prepared once. */
export function wordFinder(words: readonly string[]): WordFinder {
  const wanted = words.flatMap((word) => {
    const { letters, at } = lettersOf(word)
    return letters === '' ? [] : [{ word, letters: squeezed(letters, at).letters }]
  })
  return (text) => {
    if (wanted.length === 0) return undefined
    const plain = lettersOf(text)
    const { letters, at } = squeezed(plain.letters, plain.at)
    for (const { word, letters: own } of wanted) {
      const start = letters.indexOf(own)
      if (start < 0) continue
      return { word, from: at[start] as number, to: endBefore(text, at[start + own.length] ?? text.length) }
    }
    return undefined
  }
}

/** Spaces and dots behind a word are not the word's. */
function endBefore(text: string, next: number): number {
  let to = next
  while (skipped.test(text[to - 1] ?? '')) to--
  return to
}

/** Every find behind stars. */
export function mask(text: string, find: WordFinder): string {
  let masked = text
  for (let found = find(masked); found; found = find(masked))
    masked = masked.slice(0, found.from) + '*'.repeat(found.to - found.from) + masked.slice(found.to)
  return masked
}
