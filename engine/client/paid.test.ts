import { describe, expect, it } from 'vitest'
import type { ErrorBody } from '../../schemas/errors.ts'
import { ManualClock } from '../base/clock.ts'
import { ClientClosedError, ConnectionLostError, RefusedError } from './faults.ts'
import { askUntilAnswered } from './paid.ts'

const lost = new ConnectionLostError('the connection broke', true)
const never = new ConnectionLostError('no connection', false)
const refused = (code: ErrorBody['code'], retryAfterMs?: number) =>
  new RefusedError({ code, msg: 'no', ...(retryAfterMs === undefined ? {} : { retryAfterMs }) })

/** Answers in this order, one a try; the last one again and again. Each try takes 10 ms. */
async function asked(answers: readonly unknown[], { timeoutMs = 60_000 } = {}) {
  const clock = new ManualClock(0)
  const triedAt: number[] = []
  let over = false
  const outcome = askUntilAnswered<unknown>({
    host: { now: () => clock.now(), after: (ms, fn) => clock.after(ms, fn) },
    ready: async () => {},
    tryMs: 1_000,
    timeoutMs,
    ask: async () => {
      const answer = answers[Math.min(triedAt.length, answers.length - 1)]
      triedAt.push(clock.now())
      await new Promise<void>((resolve) => void clock.after(10, resolve))
      if (answer instanceof Error) throw answer
      return answer
    },
  }).then(
    (value) => ({ value }),
    (error: unknown) => ({ error }),
  )
  void outcome.finally(() => {
    over = true
  })
  while (!over) await clock.advanceAsync(10)
  return { ...(await outcome), triedAt } as { value?: unknown; error?: unknown; triedAt: number[] }
}

describe('a paid command', () => {
  it('is asked again after a loss until it is answered', async () => {
    expect(await asked([lost, never, 'done'])).toMatchObject({ value: 'done', triedAt: [0, 10, 20] })
  })

  it('waits as long as it is told, and not for ever', async () => {
    expect((await asked([refused('idem.in_flight', 200), 'done'])).triedAt).toEqual([0, 210])
    const { error, triedAt } = await asked([refused('billing.unavailable', 5_000)])
    expect(error).toMatchObject({ code: 'billing.unavailable' })
    expect(triedAt).toEqual([0, 5_010, 10_020])
    expect((await asked([refused('room.unavailable', 0)])).triedAt.length).toBeLessThanOrEqual(241) // 12 s of pauses of 50 ms
  })

  it('is not asked again when the answer is no', async () => {
    for (const code of ['wallet.insufficient', 'limit.exceeded', 'rate.limited', 'room.not_joined'] as const)
      expect(await asked([refused(code), 'done'])).toMatchObject({ error: { code }, triedAt: [0] })
    expect((await asked([lost, refused('wallet.insufficient')])).error).toMatchObject({ code: 'wallet.insufficient' })
  })

  it('says that nobody knows when a try was lost and no answer came', async () => {
    const unknown = { name: 'ConnectionLostError', sent: true }
    expect((await asked([lost, never], { timeoutMs: 100 })).error).toMatchObject(unknown)
    expect((await asked([lost, new ClientClosedError('closed')])).error).toMatchObject(unknown)
    expect((await asked([lost, refused('room.not_joined')])).error).toMatchObject(unknown)
    expect((await asked([never], { timeoutMs: 100 })).error).toMatchObject({ name: 'ConnectionLostError', sent: false })
    expect((await asked([new ClientClosedError('closed')])).error).toMatchObject({ name: 'ClientClosedError' })
  })

  it('says that nobody knows when the ledger did not answer and gifts were switched off then', async () => {
    const unknown = { name: 'ConnectionLostError', sent: true }
    for (const code of ['room.gift_disabled', 'room.closed', 'gift.not_available', 'gift.user_disabled'] as const) {
      for (const first of [lost, refused('billing.unavailable', 100)])
        expect((await asked([first, refused(code)])).error).toMatchObject(unknown)
      expect((await asked([refused(code)])).error).toMatchObject({ code })
    }
  })

  it('a connection that does not look at the key is asked again after a loss', async () => {
    expect((await asked([lost, refused('rate.limited', 100), 'done'])).value).toBe('done')
  })
})
