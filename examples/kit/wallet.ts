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
  /**
   * `coins`: paid and bonus, which are spent alike. `bean`: earned as a streamer, whole, as text. `level`: by what was given in all, as
   * far as anybody counts that.
   */
  | { name: 'known'; coins: number; bean: string; level?: number | undefined }

const againMs = 10_000
/** A gift counts for the level soon after it was paid, and a row of gifts once. */
const levelAfterMs = 1_000

/** `version`: asked anew when it changes, for what the engine does not tell by itself. */
export function useWallet({ client, connection }: Live, signedIn: boolean, version = 0): WalletState {
  const [wallet, setWallet] = useState<WalletState>({ name: 'none' })
  const [given, setGiven] = useState(0)
  const isOpen = connection.name === 'open'
  useEffect(() => {
    if (!client || !signedIn) return setWallet({ name: 'none' })
    return client.on('wallet.changed', ({ coinPaid, coinBonus, reason }) => {
      const coins = coinPaid + coinBonus
      setWallet((before) => (before.name === 'known' ? { ...before, coins } : { name: 'known', coins, bean: '0' }))
      if (reason === 'gift') setGiven((gifts) => gifts + 1)
    })
  }, [client, signedIn])
  useEffect(() => {
    if (!client || given === 0) return
    const timer = setTimeout(async () => {
      const { level } = await client.wallet().catch(() => ({ level: undefined }))
      if (level !== undefined) setWallet((before) => (before.name === 'known' ? { ...before, level } : before))
    }, levelAfterMs)
    return () => clearTimeout(timer)
  }, [client, given])
  useEffect(() => {
    if (!client || !signedIn || !isOpen) return
    let timer: ReturnType<typeof setTimeout> | undefined
    let stopped = false
    const ask = async () => {
      try {
        const { coinPaid, coinBonus, bean, level } = await client.wallet()
        if (!stopped) setWallet({ name: 'known', coins: coinPaid + coinBonus, bean, level })
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
