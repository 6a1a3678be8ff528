/**
 * Charges: at what price, from which accounts, split how? The one owner that the configuration names is asked; a late, failed, absent or
 * absurd answer is a refusal, and then nothing has happened. The plugin decides and never posts: posting is the ledger's.
 */
import type { CommandAsk } from '../define.ts'
import type { ChargeAnswer, ChargedCommand, PostingTemplate } from '../hooks.ts'
import type { Attached } from '../host/attached.ts'
import { isPluginsCode } from './guards.ts'

const closed: ChargeAnswer = { kind: 'deny', code: 'plugin.unavailable' }

export async function askCharge(
  owner: Attached | undefined,
  on: ChargedCommand,
  { ask, onFailure }: { ask: CommandAsk<Readonly<Record<string, unknown>>>; onFailure(error: unknown): void },
): Promise<ChargeAnswer> {
  const found = owner?.isActive ? owner.hooks('charge').find(({ spec }) => spec.on === on) : undefined
  if (!owner || !found) return closed
  const { index, spec } = found
  try {
    const answer = await owner.run({ index, kind: 'charge', on }, ask, { key: ask.room, budgetMs: spec.budgetMs })
    return soundCharge(answer, owner.name) ?? closed
  } catch (error) {
    onFailure(error)
    return closed
  }
}

function soundCharge(answer: unknown, plugin: string): ChargeAnswer | undefined {
  const { kind, code, msg, template } = Object(answer) as Record<string, unknown>
  if (kind === 'deny' && isPluginsCode(code, plugin))
    return typeof msg === 'string' ? { kind, code, msg: msg.slice(0, 500) } : { kind, code }
  if (kind !== 'post') return undefined
  const { valueCoin, payFrom, split, contractVersion, catalogVersion } = Object(template) as Record<string, unknown>
  const isId = (value: unknown): value is string => typeof value === 'string' && value.length > 0 && value.length <= 128
  if (!Number.isSafeInteger(valueCoin) || (valueCoin as number) <= 0 || !isId(contractVersion) || !isId(catalogVersion))
    return undefined
  if (!Array.isArray(payFrom) || payFrom.length === 0 || payFrom.length > 8 || !payFrom.every(isId)) return undefined
  if (!Array.isArray(split) || split.length === 0 || split.length > 16) return undefined
  const shares = split.map((share) => Object(share) as { to: unknown; bps: unknown })
  const isShare = ({ to, bps }: { to: unknown; bps: unknown }) => isId(to) && Number.isInteger(bps) && (bps as number) >= 0
  if (!shares.every(isShare) || shares.reduce((sum, { bps }) => sum + (bps as number), 0) > 10_000) return undefined
  const show = soundShow((template as { show?: unknown }).show)
  const limits = soundLimits((template as { limits?: unknown }).limits)
  if (!show || !limits) return undefined
  return {
    kind,
    template: {
      valueCoin: valueCoin as number,
      payFrom,
      split: shares.map(({ to, bps }) => ({ to: to as string, bps: bps as number })),
      contractVersion,
      catalogVersion,
      show,
      limits,
    },
  }
}

/** A bound that is none (misspelt, no number) must not be taken for none at all. */
function soundLimits(limits: unknown): NonNullable<PostingTemplate['limits']> | undefined {
  if (limits === undefined) return {}
  if (typeof limits !== 'object' || limits === null) return undefined
  const isMax = (value: unknown) => Number.isSafeInteger(value) && (value as number) >= 0
  const known = ['minuteCoinMax', 'dayCoinMax']
  const isSound = Object.entries(limits).every(([name, max]) => known.includes(name) && (max === undefined || isMax(max)))
  return isSound ? { ...limits } : undefined
}

function soundShow(show: unknown): PostingTemplate['show'] | undefined {
  const { name, unitCoin, effectId, comboable, comboTimeoutMs } = Object(show) as Record<string, unknown>
  const isText = (value: unknown): value is string => typeof value === 'string' && value.length <= 64
  if (!isText(name) || !isText(effectId) || typeof comboable !== 'boolean') return undefined
  if (!Number.isSafeInteger(unitCoin) || !Number.isInteger(comboTimeoutMs)) return undefined
  if ((comboTimeoutMs as number) < 0 || (comboTimeoutMs as number) > 10_000) return undefined
  return { name, unitCoin: unitCoin as number, effectId, comboable, comboTimeoutMs: comboTimeoutMs as number }
}
