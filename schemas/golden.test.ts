/** What an older version wrote is read with the same meaning and written with the same bytes. */
import { describe, expect, test } from 'vitest'
import { currentEnvelopes, decodeSample, encodeSample, kinds, readSamples } from './golden/samples.ts'

/** An absent list is an empty one: a list that is added later is there, and empty, when an older frame is read. */
const withoutEmptyLists = (envelope: unknown): unknown =>
  JSON.parse(JSON.stringify(envelope, (_, value) => (Array.isArray(value) && value.length === 0 ? undefined : value)))

describe.each(kinds)('golden %s', (kind) => {
  const samples = readSamples(kind)
  const kept = Object.entries(samples).flatMap(([name, byFill]) =>
    Object.entries(byFill).map(([fill, sample]) => ({ name, fill, sample })),
  )

  test.each(kept)('$name, $fill', ({ name, sample }) => {
    expect(withoutEmptyLists(decodeSample(kind, Buffer.from(sample.hex, 'hex')))).toEqual(withoutEmptyLists(sample.envelope))
    expect(Buffer.from(encodeSample(kind, name, sample.envelope)).toString('hex')).toBe(sample.hex)
  })

  test('every message has its samples: npx tsx schemas/golden/samples.ts', () => {
    const missing = Object.entries(currentEnvelopes(kind)).flatMap(([name, byFill]) =>
      Object.keys(byFill).flatMap((fill) => (samples[name]?.[fill] ? [] : [`${name}, ${fill}`])),
    )
    expect(missing).toEqual([])
  })
})

test('a changed byte is noticed', () => {
  const sample = readSamples('events')['danmaku.sent']?.full
  const bytes = Buffer.from(sample?.hex ?? '', 'hex')
  bytes[bytes.indexOf('demo')] = 0x44
  expect(decodeSample('events', bytes)).not.toEqual(sample?.envelope)
})
