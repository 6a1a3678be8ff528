/**
 * What a stranger's text becomes before anybody sees it: well-formed, one line, without control and direction-changing characters,
 * without invisible ones, and with at most a few combining marks on a letter (a tower of them covers other people's messages).
 */

// Controls, bidi overrides and isolates, zero-width characters (the joiner U+200D stays: emoji are built with it), BOM, tags.
const unseen = /[\p{Cc}\u061c\u200b\u200c\u200e\u200f\u202a-\u202e\u2060-\u2069\ufeff\ufff9-\ufffb\u{e0000}-\u{e001f}]/gu
const lines = /[\t\n\v\f\r\u0085\u2028\u2029]+/gu
const towers = /(\p{M}{4})\p{M}+/gu

/** What leaves no mark on a screen by itself: joiners, variation selectors, tags, fillers, spaces. Flags and families need some. */
const blank = /[\p{Default_Ignorable_Code_Point}\u2800\s]+/gu

/** Empty when nothing of it can be seen. */
export function cleanText(text: string): string {
  const wellFormed = text.toWellFormed().normalize('NFC')
  const clean = wellFormed.replace(lines, ' ').replace(unseen, '').replace(towers, '$1').replace(/ {2,}/g, ' ').trim()
  return clean.replace(blank, '') === '' ? '' : clean
}

/** For telling whether two texts are the same to a reader: width, case, spaces and what cannot be seen do not count. */
export const sameness = (text: string): string => text.normalize('NFKC').toLowerCase().replace(blank, '')

/** Length as people count it on the sender's side: code points. */
export function codePoints(text: string): number {
  let count = 0
  for (const _ of text) count++
  return count
}
