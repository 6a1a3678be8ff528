/** A page of a list by id: as many as an answer may hold. `after` in the query is the `next` of the page before. */
const pageBytesMax = 262_144

export function paged<T extends { id: string }>(
  all: readonly T[],
  query: Readonly<Record<string, unknown>>,
): { items: T[]; next?: string } {
  const after = typeof query.after === 'string' ? query.after : ''
  const left = all.filter(({ id }) => id > after).sort((a, b) => (a.id < b.id ? -1 : 1))
  let bytes = 0
  const end = left.findIndex((item) => (bytes += Buffer.byteLength(JSON.stringify(item)) + 1) > pageBytesMax)
  if (end < 0) return { items: left }
  const items = left.slice(0, Math.max(1, end))
  return { items, next: items.at(-1)?.id ?? '' }
}
