/**
 * When to come back: exponential back-off with full jitter, so that a thousand clients of a fallen server do not return in one
 * instant, and what a close code says about coming back at all.
 */
import { closeCodes } from '../../schemas/errors.ts'

export interface BackoffBounds {
  retryMsMin: number
  retryMsMax: number
}

/** The wait before try number `attempt` (0 is the first after a loss): anything between 0 and the doubled, bounded span. */
export function backoffMs(attempt: number, bounds: BackoffBounds, random: number): number {
  const span = Math.min(bounds.retryMsMax, bounds.retryMsMin * 2 ** Math.min(attempt, 30))
  return Math.round(random * span)
}

/** 4500-4999 say no. Everything else, a broken network included, says try again. */
export const mayReturn = (closeCode: number): boolean => closeCode < 4500 || closeCode > 4999

export const isTokenExpired = (closeCode: number): boolean => closeCode === closeCodes.tokenExpired.code
