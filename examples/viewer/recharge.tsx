/**
 * Coins for money: the packages that a plugin sells, and the way to the payment page. Without such a plugin there is no button.
 * What was paid for comes as a change of the wallet, whenever it does; then the dialog says so.
 */
import { newKey, RefusedError } from 'livehouse/client'
import { useEffect, useRef, useState } from 'preact/hooks'
import { Coin } from '../kit/gift-art.tsx'
import type { Live } from '../kit/live.ts'
import { Icon } from '../kit/parts.tsx'
import { coinWords, explainError } from '../kit/words.ts'

interface Package {
  id: string
  priceMinor: number
  cur: string
  coins: number
  bonusCoins: number
}
interface Offer {
  packages: readonly Package[]
  providers: readonly string[]
}

const priceWords = ({ priceMinor, cur }: Package) =>
  new Intl.NumberFormat('en-US', { style: 'currency', currency: cur, currencyDisplay: 'narrowSymbol' }).format(priceMinor / 100)

/** Where to pay, checked: it comes from a plugin, and a link can be more than an address. */
function webAddress(text: string): string | undefined {
  try {
    const { protocol, href } = new URL(text, location.href)
    return protocol === 'https:' || protocol === 'http:' ? href : undefined
  } catch {
    return undefined
  }
}

export function Recharge({ live, coins }: { live: Live; coins: number }) {
  const offer = useOffer(live)
  const dialog = useRef<HTMLDialogElement>(null)
  if (!offer || offer.packages.length === 0 || offer.providers.length === 0) return null
  return (
    <>
      <button
        type="button"
        class="recharge-open"
        aria-haspopup="dialog"
        onClick={() => dialog.current?.showModal()}
        data-testid="recharge"
      >
        Get coins
      </button>
      <dialog class="recharge" ref={dialog} aria-labelledby="recharge-title" data-testid="recharge-dialog">
        <header>
          <h2 id="recharge-title">Get coins</h2>
          <button type="button" class="tool small" onClick={() => dialog.current?.close()} aria-label="Close">
            <Icon name="close" />
          </button>
        </header>
        <p class="hint">
          You have {coinWords(coins)}. What you buy is here as soon as it is paid; this page need not be opened anew.
        </p>
        <Packages live={live} offer={offer} />
      </dialog>
    </>
  )
}

function Packages({ live, offer }: { live: Live; offer: Offer }) {
  const [busy, setBusy] = useState('')
  const [problem, setProblem] = useState('')
  const [payUrl, setPayUrl] = useState<string>()
  const [arrived, setArrived] = useState(false)
  const { client } = live
  useEffect(() => {
    return client?.on('wallet.changed', ({ reason }) => {
      if (reason !== 'recharge') return
      setArrived(true)
      setPayUrl(undefined)
    })
  }, [client])
  // The same package asked for again after a lost answer is the same order.
  const keys = useRef(new Map<string, string>())
  const buy = async (packageId: string) => {
    const ik = keys.current.get(packageId) ?? newKey()
    keys.current.set(packageId, ik)
    setBusy(packageId)
    setProblem('')
    setPayUrl(undefined)
    setArrived(false)
    try {
      const provider = offer.providers.includes('fake') ? 'fake' : offer.providers[0]
      const made = await live.client?.command<{ payUrl?: unknown }>('recharge.create', { packageId, provider }, { ik })
      keys.current.delete(packageId)
      const url = typeof made?.payUrl === 'string' ? webAddress(made.payUrl) : undefined
      if (!url) return setProblem('No page to pay at was given. Nothing was charged.')
      setPayUrl(url)
      open(url, '_blank', 'noopener')
    } catch (error) {
      if (error instanceof RefusedError) keys.current.delete(packageId)
      setProblem(explainError(error).text)
    } finally {
      setBusy('')
    }
  }
  return (
    <>
      <ul class="packages">
        {offer.packages.map((each) => (
          <li key={each.id}>
            <button type="button" disabled={busy !== ''} onClick={() => buy(each.id)} data-testid={`package-${each.id}`}>
              <span class="package-coins">
                <Coin />
                {coinWords(each.coins)}
                {each.bonusCoins > 0 && <small>+{coinWords(each.bonusCoins)} bonus</small>}
              </span>
              <span>{priceWords(each)}</span>
            </button>
          </li>
        ))}
      </ul>
      <p role="status" data-testid="recharge-status">
        {arrived && 'The payment has arrived: your coins are here.'}
        {payUrl && (
          <>
            The payment page opens in a new tab.{' '}
            <a href={payUrl} target="_blank" rel="noopener noreferrer" data-testid="pay-link">
              Open it by hand
            </a>
          </>
        )}
      </p>
      {problem && (
        <p class="problem" role="alert">
          {problem}
        </p>
      )}
    </>
  )
}

/** Undefined where nothing is sold. */
function useOffer({ client, connection }: Live): Offer | undefined {
  const [offer, setOffer] = useState<Offer>()
  const isOpen = connection.name === 'open'
  useEffect(() => {
    if (!client || !isOpen) return
    let stopped = false
    client.command('recharge.packages').then(
      (reply) => {
        if (!stopped) setOffer(offerOf(reply))
      },
      (error) => {
        if (!stopped && error instanceof RefusedError) setOffer(undefined)
      },
    )
    return () => {
      stopped = true
    }
  }, [client, isOpen])
  return offer
}

/** A plugin's answer has no contract: what is not of the expected form is not shown. */
function offerOf(reply: unknown): Offer {
  const { packages, providers } = Object(reply) as { packages?: unknown; providers?: unknown }
  const isPackage = (one: unknown): one is Package => {
    const { id, priceMinor, cur, coins, bonusCoins } = Object(one) as Record<string, unknown>
    const isText = typeof id === 'string' && typeof cur === 'string' && /^[A-Z]{3}$/.test(cur)
    return isText && [priceMinor, coins, bonusCoins].every((amount) => Number.isSafeInteger(amount))
  }
  return {
    packages: Array.isArray(packages) ? packages.filter(isPackage) : [],
    providers: Array.isArray(providers) ? providers.filter((name) => typeof name === 'string') : [],
  }
}
