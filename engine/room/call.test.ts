import { expect, it } from 'vitest'
import { errors } from '../../schemas/errors.ts'
import { refusal } from './call.ts'

const said = (...args: Parameters<typeof refusal>) => refusal(...args).err.msg

it('a refusal is told in words for people, with what is known in its place', () => {
  expect(said('content.held', { d: { caseId: 'c7' } })).toBe('Kept back until somebody has looked at it; case c7.')
  expect(said('content.held')).toBe('Kept back until somebody has looked at it.')
  expect(said('risk.challenge_required', { d: { hint: 'captcha' } })).toBe('A proof is asked of you first; captcha.')
  for (const code of Object.keys(errors) as (keyof typeof errors)[])
    expect(
      said(code, { retryAfterMs: 1_500, d: { field: 'text', max: 3, untilAt: -1, hint: 'x', caseId: 'c' } }),
      code,
    ).not.toMatch(/`|\bd\./)
})

it('a plugin speaks for itself', () => {
  expect(said('x.poll.closed', { msg: 'The poll is over.' })).toBe('The poll is over.')
  expect(said('x.poll.closed')).toBe('Refused.')
})
