/** What the live has brought so far: coins given, the last gifts, and who gave most; and the beans of all lives, as the wallet has them. */
import type { Messages, RoomState, RoomView } from 'livehouse/client'
import { useEffect, useRef, useState } from 'preact/hooks'
import { Board } from '../kit/board.tsx'
import { Coin, GiftArt } from '../kit/gift-art.tsx'
import type { Live } from '../kit/live.ts'
import { useNow } from '../kit/parts.tsx'
import { useWallet } from '../kit/wallet.ts'
import { coinWords, waitWords } from '../kit/words.ts'

type Sent = Messages['gift.sent']

const rowsMax = 30
const giversMax = 100
const walletEveryMs = 2_000
const knownMax = 2_000

interface GiftRow {
  key: string
  from: string
  giftId: string
  name: string
  count: number
  coins: number
  at: number
}

interface PanelProps {
  live: Live
  room: RoomView
  state: RoomState
}

export function EarningsPanel({ live, room, state }: PanelProps) {
  const { coins, rows, version } = useEarnings(room)
  const wallet = useWallet(live, true, version)
  const now = useNow(rows.length > 0, 1_000)
  return (
    <section class="panel earnings" aria-label="Gifts and earnings">
      <h2>Gifts in this live</h2>
      <dl>
        <div>
          <dt>Coins given</dt>
          <dd>
            <Coin />
            <b data-testid="live-coins">{coins === undefined ? '-' : coinWords(coins)}</b>
          </dd>
        </div>
        <div>
          <dt>Your beans, of all lives</dt>
          <dd>
            <b data-testid="beans">{wallet.name === 'known' ? coinWords(wallet.bean) : '-'}</b>
          </dd>
        </div>
      </dl>
      <p class="hint">Beans are your share of the gifts that is not settled yet. Bonus coins bring none.</p>
      <h3>Last gifts</h3>
      <ol class="last-gifts" data-testid="last-gifts">
        {rows.map(({ key, from, giftId, name, count, coins: worth, at }) => (
          <li key={key} data-testid="last-gift">
            <GiftArt id={giftId} />
            <span class="who-what">
              <b>{from}</b>
              <small>
                {name} ×{count}
              </small>
            </span>
            <span class="worth">
              <span>
                <Coin />
                {coinWords(worth)}
                <span class="visually-hidden"> coins</span>
              </span>
              <small>{now - at < 5_000 ? 'just now' : `${waitWords(now - at)} ago`}</small>
            </span>
          </li>
        ))}
        {rows.length === 0 && <li class="hint">None since this page was opened.</li>}
      </ol>
      <h3>Top gifts</h3>
      <Board room={room} me={state.me.userId} />
    </section>
  )
}

/**
 * The coins of this live. With up to a hundred givers the board has all of them, and its sum is exact; gifts that came since are added
 * until it is asked again. `version` changes with every gift, at most every two seconds.
 */
function useEarnings(room: RoomView): { coins: bigint | undefined; rows: readonly GiftRow[]; version: number } {
  const [coins, setCoins] = useState<bigint>()
  const [rows, setRows] = useState<readonly GiftRow[]>([])
  const [version, setVersion] = useState(0)
  const known = useRef(new Set<string>())
  useEffect(() => {
    let stopped = false
    let timer: ReturnType<typeof setTimeout> | undefined
    const sum = async ({ isFirst }: { isFirst: boolean }) => {
      try {
        const { rows: givers } = await room.rank('live', { limit: giversMax })
        const all = givers.reduce((total, { scoreCoin }) => total + BigInt(scoreCoin), 0n)
        if (!stopped && (isFirst || givers.length < giversMax)) setCoins(all)
      } catch {
        // The next change of the board asks again.
      }
    }
    const take = (gift: Sent, at: number) => {
      if (known.current.has(gift.txId)) return
      known.current.add(gift.txId)
      const [oldest] = known.current
      if (known.current.size > knownMax && oldest !== undefined) known.current.delete(oldest)
      setCoins((before) => (before === undefined ? before : before + BigInt(gift.valueCoin)))
      setRows((before) => withGift(before, gift, at))
      timer ??= setTimeout(() => {
        timer = undefined
        setVersion((n) => n + 1)
      }, walletEveryMs)
    }
    void sum({ isFirst: true })
    const offs = [
      room.on('gift.sent', (gift, { at }) => take(gift, at ?? Date.now())),
      room.on('rank.changed', ({ board }) => {
        if (board === 'live') void sum({ isFirst: false })
      }),
      room.on('resync', () => {
        void sum({ isFirst: true })
        setVersion((n) => n + 1)
      }),
      room.on('room.opened', () => {
        setCoins(0n)
        setRows([])
      }),
    ]
    return () => {
      stopped = true
      clearTimeout(timer)
      for (const off of offs) off()
    }
  }, [room])
  return { coins, rows, version }
}

/** Newest first; the sends of a combo are one row. */
function withGift(
  rows: readonly GiftRow[],
  { txId, from, giftId, name, count, valueCoin, comboId }: Sent,
  at: number,
): GiftRow[] {
  const key = comboId === undefined ? txId : `${from.id} ${comboId}`
  const before = rows.find((row) => row.key === key)
  const row = {
    key,
    from: from.name,
    giftId,
    name,
    count: count + (before?.count ?? 0),
    coins: valueCoin + (before?.coins ?? 0),
    at,
  }
  return [row, ...rows.filter((other) => other !== before)].slice(0, rowsMax)
}
