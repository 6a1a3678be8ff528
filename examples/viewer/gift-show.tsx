/**
 * Gifts over the picture: banners that grow with their combo, effects of large gifts, and word of large gifts in other rooms.
 * What was sent while this page was away, or is told again after a restart, is not played: the chat has a line of it.
 */
import type { Messages, RoomView } from 'livehouse/client'
import { useEffect, useState } from 'preact/hooks'
import { Coin, GiftArt } from '../kit/gift-art.tsx'
import { coinWords } from '../kit/words.ts'
import { type Banner, Banners } from './banners.ts'
import { Effect, effectMs } from './effects.tsx'

type Sent = Messages['gift.sent']
type World = Messages['world.gift_banner']

const effectsWaitingMax = 5
const worldMs = 7_000
const worldWaitingMax = 5

export function GiftShow({ room, slots }: { room: RoomView; slots: number }) {
  const { banners, effect } = useGiftShow(room, slots)
  const world = useQueue<World>(
    (push) => room.on('world.gift_banner', push),
    { showMs: worldMs, waitingMax: worldWaitingMax },
    room,
  )
  return (
    <>
      {effect && (
        <Effect key={effect.txId} id={effect.effectId ?? ''} giftId={effect.giftId} from={effect.from.name} name={effect.name} />
      )}
      {world && <WorldBanner key={`${world.roomId} ${world.from.id} ${world.giftId}`} banner={world} />}
      <ol class="banners" aria-label="Gifts just now" data-testid="banners">
        {banners.map((banner) => (
          <BannerRow key={banner.key} banner={banner} />
        ))}
      </ol>
    </>
  )
}

function BannerRow({ banner }: { banner: Banner }) {
  const { from, own, giftId, name, count, combo, totalCoin, version } = banner
  const worth = totalCoin >= 5_000 ? ' grand' : totalCoin >= 500 ? ' large' : ''
  return (
    <li class={`banner${own ? ' own' : ''}${worth}`} data-testid="banner">
      <span class="banner-words">
        <b>{own ? 'You' : from}</b>
        <small>
          sent {name}
          {count > 1 && ` ×${count}`}
        </small>
      </span>
      <GiftArt id={giftId} />
      {combo > 1 && (
        // Another key plays the pop again.
        <span key={version} class="banner-combo">
          <span aria-hidden="true">×</span>
          <span class="visually-hidden">combo </span>
          <span data-testid="banner-combo">{combo}</span>
        </span>
      )}
    </li>
  )
}

function WorldBanner({ banner: { roomId, from, to, name, valueCoin } }: { banner: World }) {
  return (
    <p class="world-banner" role="status" data-testid="world-banner">
      <span>
        <b>{from.name}</b> sent <b>{name}</b> to {to.name}
      </span>
      <span class="world-coins">
        <Coin />
        {coinWords(valueCoin)}
        <span class="visually-hidden"> coins</span>
      </span>
      <a href={`./?room=${encodeURIComponent(roomId)}`}>Go there</a>
    </p>
  )
}

function useGiftShow(room: RoomView, slots: number): { banners: readonly Banner[]; effect: Sent | undefined } {
  const [banners, setBanners] = useState<readonly Banner[]>([])
  const effect = useQueue<Sent>(
    (push) => {
      const known = new Set<string>()
      return room.on('gift.sent', (gift, { missed }) => {
        if (gift.effectId === undefined || gift.replayed || missed || document.hidden || known.has(gift.txId)) return
        if (known.size > 200) known.clear()
        push(gift)
        known.add(gift.txId)
      })
    },
    { showMs: effectMs, waitingMax: effectsWaitingMax },
    room,
  )
  useEffect(() => {
    const rules = new Banners({ me: room.state.me.userId, slots })
    let timer: ReturnType<typeof setTimeout> | undefined
    const show = () => {
      clearTimeout(timer)
      rules.advance(Date.now())
      setBanners(rules.shown)
      const nextAt = rules.nextAt()
      if (nextAt !== undefined) timer = setTimeout(show, Math.max(0, nextAt - Date.now()))
    }
    const off = room.on('gift.sent', (gift, { missed }) => {
      if (!rules.take(gift) || gift.replayed || missed) return
      rules.add(gift, Date.now())
      show()
    })
    return () => {
      clearTimeout(timer)
      off()
    }
  }, [room, slots])
  return { banners, effect }
}

/** One after the other, each for its time; past `waitingMax` the newest find no place. */
function useQueue<Item>(
  listen: (push: (item: Item) => void) => () => void,
  { showMs, waitingMax }: { showMs: number; waitingMax: number },
  source: unknown,
): Item | undefined {
  const [shown, setShown] = useState<Item>()
  useEffect(() => {
    const waiting: Item[] = []
    let timer: ReturnType<typeof setTimeout> | undefined
    const next = () => {
      timer = undefined
      const item = waiting.shift()
      setShown(item)
      if (item !== undefined) timer = setTimeout(next, showMs)
    }
    const off = listen((item) => {
      if (waiting.length < waitingMax) waiting.push(item)
      if (timer === undefined) next()
    })
    return () => {
      clearTimeout(timer)
      off()
      setShown(undefined)
    }
  }, [source])
  return shown
}
