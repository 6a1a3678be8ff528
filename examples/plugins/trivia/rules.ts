/** What counts as the right answer. Pure: the same for everybody, whenever. */

/** Capitals, accents, spaces and marks do not matter: `Café!` is `cafe`. Marks of other scripts than Latin stay. */
export function plainAnswer(text: string): string {
  return text
    .normalize('NFKD')
    .replace(/[\u0300-\u036f]/g, '')
    .toLowerCase()
    .replace(/[\s\p{P}\p{S}]/gu, '')
    .normalize('NFKC')
}

/** An answer of marks alone is its text as it is. */
export function isRight(given: string, wanted: string): boolean {
  const plain = plainAnswer(wanted)
  return plain === '' ? given.trim() === wanted.trim() : plainAnswer(given) === plain
}
