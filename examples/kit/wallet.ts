/**
 * What the one at the page has, kept up to date: asked for with every connection, and told by the engine with every change.
 *
 *     const wallet = useWallet(live, signedIn)
 *     wallet.name === 'known' && wallet.coins
 */
import { RefusedError } from 'livehouse/client'
import { useEffect, useState } from 'preact/hooks'
import type { Live } from './live.ts'

export type WalletState =
  /** Anonymous, or not connected yet. */
  | { name: 'none' }
  /** This engine has no money, or not now. */
  | { name: 'off' }
  /** `coins`: paid and bonus, which are spent alike. `bean`: earned as a streamer, whole, as text. */
  | { name: 'known'; coins: number; bean: string }

const againMs = 10_000

/** `version`: asked anew when it changes, for what the engine does not tell by itself. */
export function useWallet({ client, connection }: Live, signedIn: boolean, version = 0): WalletState {
  const [wallet, setWallet] = useState<WalletState>({ name: 'none' })
  const isOpen = connection.name === 'open'
  useEffect(() => {
    if (!client || !signedIn) return setWallet({ name: 'none' })
    return client.on('wallet.changed', ({ coinPaid, coinBonus }) =>
      setWallet((before) => ({ name: 'known', coins: coinPaid + coinBonus, bean: before.name === 'known' ? before.bean : '0' })),
    )
  }, [client, signedIn])
  useEffect(() => {
    if (!client || !signedIn || !isOpen) return
    let timer: ReturnType<typeof setTimeout> | undefined
    let stopped = false
    const ask = async () => {
      try {
        const { coinPaid, coinBonus, bean } = await client.wallet()
        if (!stopped) setWallet({ name: 'known', coins: coinPaid + coinBonus, bean })
      } catch (error) {
        if (stopped) return
        if (error instanceof RefusedError) setWallet({ name: 'off' })
        timer = setTimeout(ask, againMs)
      }
    }
    void ask()
    return () => {
      stopped = true
      clearTimeout(timer)
    }
  }, [client, signedIn, isOpen, version])
  return wallet
}
