import { expect, it } from 'vitest'
import { limitRefusal, spendAt } from './spending.ts'

const day = 86_400_000
it('days begin at midnight of the platform, minutes with the minute, half-open', () => {
  const noon = 20 * day + day / 2
  expect(spendAt(noon + 61_000, { minuteCoinMax: 5, dayCoinMax: 9 }, 0)).toEqual({
    minute: { from: noon + 60_000, until: noon + 120_000, max: 5 },
    day: { from: 20 * day, until: 21 * day, max: 9 },
  })
  // Midnight in Beijing is 16:00 UTC.
  const dayOf = (at: number, offset: number) => spendAt(at, {}, offset).day
  const four = 20 * day + 16 * 3_600_000
  expect(dayOf(four - 1, 480)).toMatchObject({ from: four - day, until: four })
  expect(dayOf(four, 480)).toMatchObject({ from: four, until: four + day })
  expect(dayOf(20 * day, -300)).toMatchObject({ until: 20 * day + 5 * 3_600_000 })
})

it('without bounds nothing is refused for them', () => {
  const { minute, day: whole } = spendAt(1e12, {}, 0)
  expect([minute.max, whole.max]).toEqual([Number.MAX_SAFE_INTEGER, Number.MAX_SAFE_INTEGER])
})

it('a refusal says how much and until when', () => {
  const exceeded = { window: 'day', max: 100, resetAt: 21 * day } as const
  const refusal = limitRefusal({ ok: false, code: 'limit.exceeded', msg: '', exceeded }, 20 * day)
  expect(refusal).toMatchObject({ retryAfterMs: day, d: { max: 100, resetAt: 21 * day } })
  expect(refusal.msg).toContain('100 coins a day')
  expect(limitRefusal({ ok: false, code: 'limit.exceeded', msg: '' }, 0)).toEqual({})
})
