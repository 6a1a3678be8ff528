/** What can be given in the room, and how the one at the page gives it. */
import { ConnectionLostError, type Gift, newKey, RefusedError, type RoomState } from 'livehouse/client'
import { useEffect, useRef, useState } from 'preact/hooks'
import type { Live } from '../kit/live.ts'
import { coinWords, type Explanation, explainError } from '../kit/words.ts'

export const countChips = [1, 10, 66, 188] as const
/** Presses of the combo button that wait for an answer; the engine takes eight of a connection. */
const inFlightMax = 4
const listAgainMs = 30_000

/** Looked at again now and then, and when the page is shown again: a gift may have come or gone. */
export function useGifts({ room, connection }: Live): readonly Gift[] {
  const [items, setItems] = useState<readonly Gift[]>([])
  const isOpen = connection.name === 'open'
  useEffect(() => {
    if (!room || !isOpen) return
    let stopped = false
    const look = async () => {
      if (document.hidden) return
      try {
        const { items: found } = await room.gifts()
        if (!stopped) setItems(found)
      } catch {
        // What was offered before stays; the next look comes by itself.
      }
    }
    void look()
    const timer = setInterval(look, listAgainMs)
    document.addEventListener('visibilitychange', look)
    return () => {
      stopped = true
      clearInterval(timer)
      document.removeEventListener('visibilitychange', look)
    }
  }, [room, isOpen])
  return items
}

export interface Asked {
  giftId: string
  count: number
  comboId: string
  /** Made before the first try: whatever happens, these coins are paid once. */
  ik: string
}
export interface Combo {
  giftId: string
  count: number
  comboId: string
  sends: number
  /** By the page's own clock. */
  untilAt: number
}

type Problem = Explanation & { untilMs?: number }

export interface Giving {
  isSending: boolean
  combo: Combo | undefined
  problem: Problem | undefined
  /** A gift of which nobody knows whether it was given: to be asked for again with its own key. */
  unanswered: Asked | undefined
  /** For the screen reader. */
  said: string
  give(gift: Gift, count: number): void
  again(): void
  forget(): void
}

export function useGiving(live: Live): Giving {
  const { room, client } = live
  const [inFlight, setInFlight] = useState(0)
  const [combo, setCombo] = useState<Combo>()
  const [problem, setProblem] = useState<Problem>()
  const [unanswered, setUnanswered] = useState<Asked>()
  const [said, setSaid] = useState('')
  const flying = useRef(0)

  useEffect(() => {
    if (!room || !client) return
    return room.on('gift.sent', (d) => {
      if (d.from.id !== room.state.me.userId || d.comboId === undefined || d.comboExpireAt === undefined || d.replayed) return
      const leftMs = d.comboExpireAt - client.serverNow()
      if (leftMs <= 0) return
      const { comboId, giftId, count, comboCount = 1 } = d
      setCombo({ giftId, count, comboId, sends: comboCount, untilAt: Date.now() + leftMs })
    })
  }, [room, client])
  useEffect(() => {
    if (!combo) return
    const timer = setTimeout(() => setCombo(undefined), combo.untilAt - Date.now())
    return () => clearTimeout(timer)
  }, [combo])

  const ask = async (asked: Asked) => {
    if (!room || flying.current >= inFlightMax) return
    setInFlight(++flying.current)
    setProblem(undefined)
    try {
      const { comboCount = 1 } = await room.sendGift(asked)
      setUnanswered((before) => (before?.ik === asked.ik ? undefined : before))
      setSaid(comboCount > 1 ? `Sent. Combo ${comboCount}.` : 'Sent.')
    } catch (error) {
      const lost = error instanceof ConnectionLostError
      if (lost || (error instanceof RefusedError && error.code === 'billing.unavailable')) setUnanswered(asked)
      const words = lost ? { text: 'No answer came. Try again: it is paid for once at most.' } : explainError(error)
      setProblem(words.waitMs === undefined ? words : { ...words, untilMs: Date.now() + words.waitMs })
    } finally {
      setInFlight(--flying.current)
    }
  }
  return {
    isSending: inFlight > 0,
    combo,
    problem,
    unanswered,
    said,
    give({ id, comboable }, count) {
      const goesOn = comboable && combo?.giftId === id && combo.count === count && combo.untilAt > Date.now()
      setUnanswered(undefined)
      void ask({ giftId: id, count, comboId: goesOn ? combo.comboId : newKey(), ik: newKey() })
    },
    again() {
      if (unanswered) void ask(unanswered)
    },
    forget() {
      setProblem(undefined)
      setUnanswered(undefined)
    },
  }
}

/** Why nobody, or not this one, may give anything here now. */
export function closedReason({ state, signedIn, isOff }: { state: RoomState; signedIn: boolean; isOff: boolean }) {
  if (!signedIn) return 'Sign in to send gifts.'
  if (state.room.state !== 'open') return 'The room is not live at the moment.'
  if (!state.settings.gift) return 'The streamer has switched gifts off.'
  if (state.me.userId === state.room.ownerId) return 'This is your own room.'
  if (isOff) return 'Gifts cannot be paid for just now.'
  return undefined
}

/** The level that is needed for it and not reached; undefined: none, or nobody knows. */
export const lockedUntil = ({ minLevel = 0 }: Gift, level: number | undefined): number | undefined =>
  level !== undefined && level < minLevel ? minLevel : undefined

/** How many coins are missing, in words; undefined when there are enough, or nobody knows. */
export function missingWords(coins: number | undefined, cost: number): string | undefined {
  return coins === undefined || coins >= cost ? undefined : `Not enough coins: ${coinWords(cost - coins)} more needed.`
}
