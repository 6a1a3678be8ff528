/** The gift panel: what one has, what can be given, how many, and the combo button while it counts. */
import type { Gift, RoomState } from 'livehouse/client'
import { useEffect, useRef, useState } from 'preact/hooks'
import { Coin, GiftArt } from '../kit/gift-art.tsx'
import type { Live } from '../kit/live.ts'
import { Countdown, Icon } from '../kit/parts.tsx'
import type { WalletState } from '../kit/wallet.ts'
import { coinWords } from '../kit/words.ts'
import { type Combo, closedReason, countChips, type Giving, lockedUntil, missingWords, useGiving } from './gifts.ts'
import { Recharge } from './recharge.tsx'

interface GiftPanelProps {
  live: Live
  state: RoomState
  gifts: readonly Gift[]
  wallet: WalletState
  signedIn: boolean
  /** Absent where the panel is always there. */
  onClose?: (() => void) | undefined
}

export function GiftPanel({ live, state, gifts, wallet, signedIn, onClose }: GiftPanelProps) {
  const [giftId, setGiftId] = useState('')
  const [count, setCount] = useState<number>(1)
  const giving = useGiving(live)
  const gift = gifts.find(({ id }) => id === giftId) ?? gifts[0]
  if (!gift) return null
  const most = Math.min(count, gift.countMax)
  const cost = gift.priceCoin * most
  const coins = wallet.name === 'known' ? wallet.coins : undefined
  const closed = closedReason({ state, signedIn, isOff: wallet.name === 'off' })
  const level = wallet.name === 'known' ? wallet.level : undefined
  const locked = lockedUntil(gift, level)
  const missing = locked === undefined ? missingWords(coins, cost) : `For users from level ${locked} on: give more to get there.`
  const blocked = closed ?? missing
  const pick = (id: string) => {
    setGiftId(id)
    giving.forget()
  }
  return (
    <section
      class="gift-panel"
      aria-label="Gifts"
      onKeyDown={(event) => event.key === 'Escape' && onClose?.()}
      data-testid="gift-panel"
    >
      <header class="gift-head">
        <h2>Gifts</h2>
        {signedIn && <Balance wallet={wallet} />}
        {level !== undefined && (
          <span class="level" title="Your level, by the coins that you gave" data-testid="level">
            <span class="visually-hidden">Your level: </span>Lv {level}
          </span>
        )}
        {signedIn && wallet.name === 'known' && <Recharge live={live} coins={wallet.coins} />}
        {onClose && (
          <button type="button" class="tool small" onClick={onClose} aria-label="Close the gifts">
            <Icon name="close" />
          </button>
        )}
      </header>
      <fieldset class="gift-list" disabled={closed !== undefined} data-testid="gift-list">
        <legend class="visually-hidden">Which gift</legend>
        {gifts.map((each) => (
          <GiftCard
            key={each.id}
            gift={each}
            isPicked={each.id === gift.id}
            lockedUntil={lockedUntil(each, level)}
            onPick={() => pick(each.id)}
          />
        ))}
      </fieldset>
      <div class="gift-foot">
        <CountChips gift={gift} count={most} isDisabled={closed !== undefined} onPick={setCount} />
        <Buttons {...{ gift, count: most, cost, giving, blocked }} />
        <Reason giving={giving} reason={blocked} />
      </div>
      <span class="visually-hidden" role="status">
        {giving.said}
      </span>
    </section>
  )
}

function Balance({ wallet }: { wallet: WalletState }) {
  const words = wallet.name === 'known' ? coinWords(wallet.coins) : '-'
  return (
    <span class="balance" title="Your coins">
      <Coin />
      <span class="visually-hidden">Your coins: </span>
      <span aria-live="polite" data-testid="wallet">
        {words}
      </span>
    </span>
  )
}

interface CardProps {
  gift: Gift
  isPicked: boolean
  lockedUntil: number | undefined
  onPick: () => void
}
function GiftCard({ gift, isPicked, lockedUntil, onPick }: CardProps) {
  const isLocked = lockedUntil !== undefined
  const words = `${gift.name}, ${coinWords(gift.priceCoin)} ${gift.priceCoin === 1 ? 'coin' : 'coins'}`
  return (
    <label class={`gift-card${isPicked ? ' picked' : ''}${isLocked ? ' locked' : ''}`} data-testid={`gift-${gift.id}`}>
      <input
        type="radio"
        class="visually-hidden"
        name="gift"
        checked={isPicked}
        onChange={onPick}
        aria-label={isLocked ? `${words}, from level ${lockedUntil} on` : words}
      />
      <GiftArt id={gift.id} />
      <span class="gift-name">{gift.name}</span>
      <span class="gift-price">
        <Coin />
        {coinWords(gift.priceCoin)}
      </span>
      {isLocked && (
        <span class="gift-lock" aria-hidden="true">
          Lv {lockedUntil}
        </span>
      )}
    </label>
  )
}

interface ChipsProps {
  gift: Gift
  count: number
  isDisabled: boolean
  onPick: (count: number) => void
}
function CountChips({ gift, count, isDisabled, onPick }: ChipsProps) {
  return (
    <fieldset class="chips" disabled={isDisabled}>
      <legend class="visually-hidden">How many</legend>
      {countChips
        .filter((each) => each <= gift.countMax)
        .map((each) => (
          <label key={each} class={`chip${each === count ? ' picked' : ''}`} data-testid={`count-${each}`}>
            <input type="radio" class="visually-hidden" name="count" checked={each === count} onChange={() => onPick(each)} />
            {each}
          </label>
        ))}
    </fieldset>
  )
}

interface ButtonsProps {
  gift: Gift
  count: number
  cost: number
  giving: Giving
  blocked: string | undefined
}
function Buttons({ gift, count, cost, giving, blocked }: ButtonsProps) {
  const send = useRef<HTMLButtonElement>(null)
  const { combo } = giving
  const running = combo && combo.giftId === gift.id && combo.count === count ? combo : undefined
  // A button that goes takes the focus with it: whoever had it there gets it back on the one beside.
  const wasOnCombo = useRef(false)
  useEffect(() => {
    if (!running && wasOnCombo.current && document.activeElement === document.body) send.current?.focus({ preventScroll: true })
    if (!running) wasOnCombo.current = false
  }, [running === undefined])
  return (
    <div class="gift-buttons">
      <button
        ref={send}
        type="button"
        class="primary gift-send"
        disabled={blocked !== undefined}
        aria-busy={giving.isSending}
        aria-describedby={blocked === undefined ? undefined : 'gift-reason'}
        onClick={() => giving.isSending || giving.give(gift, count)}
        data-testid="gift-send"
      >
        Send{' '}
        <span class="cost">
          <Coin />
          {coinWords(cost)}
          <span class="visually-hidden"> coins</span>
        </span>
      </button>
      {running && (
        <ComboButton
          combo={running}
          isDisabled={blocked !== undefined}
          onPress={() => giving.give(gift, count)}
          onFocus={() => {
            wasOnCombo.current = true
          }}
        />
      )}
    </div>
  )
}

const ringLength = 2 * Math.PI * 25

interface ComboProps {
  combo: Combo
  isDisabled: boolean
  onPress: () => void
  onFocus: () => void
}
function ComboButton({ combo, isDisabled, onPress, onFocus }: ComboProps) {
  const ring = useRef<SVGCircleElement>(null)
  useEffect(() => {
    const leftMs = combo.untilAt - Date.now()
    if (leftMs <= 0) return
    const animation = ring.current?.animate([{ strokeDashoffset: 0 }, { strokeDashoffset: ringLength }], {
      duration: leftMs,
      fill: 'forwards',
    })
    return () => animation?.cancel()
  }, [combo.untilAt])
  return (
    <button
      type="button"
      class="combo"
      disabled={isDisabled}
      onClick={onPress}
      onFocus={onFocus}
      aria-label={`Combo, send the same again, ${combo.sends} so far`}
      data-testid="combo"
    >
      <svg viewBox="0 0 56 56" aria-hidden="true" focusable="false">
        <circle cx="28" cy="28" r="25" class="track" />
        <circle cx="28" cy="28" r="25" class="ring" ref={ring} stroke-dasharray={ringLength} />
      </svg>
      <span aria-hidden="true">
        <b data-testid="combo-count">×{combo.sends}</b>
        combo
      </span>
    </button>
  )
}

function Reason({ giving, reason }: { giving: Giving; reason: string | undefined }) {
  const { problem, unanswered } = giving
  if (!problem)
    return reason === undefined ? null : (
      <p class="gift-reason" id="gift-reason" data-testid="gift-reason">
        {reason}
      </p>
    )
  return (
    <p class="problem gift-reason" role="alert" id="gift-reason" data-testid="gift-problem">
      {problem.text}
      {problem.untilMs !== undefined && (
        <>
          {' '}
          <Countdown at={problem.untilMs} over={giving.forget} />
        </>
      )}
      {unanswered && (
        <button type="button" class="link" disabled={giving.isSending} onClick={giving.again} data-testid="gift-again">
          Try again
        </button>
      )}
    </p>
  )
}
