/** Gifts from the client against the real engine: the coins move once, whatever becomes of the connection. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { monetization } from '../../plugins/monetization/plugin.ts'
import type { Messages } from '../../schemas/messages.ts'
import { SystemClock } from '../base/clock.ts'
import { loadConfig } from '../config.ts'
import { signToken } from '../edge/tokens.ts'
import { type Engine, startEngine } from '../engine.ts'
import { LiveClient } from './client.ts'
import type { Socket } from './host.ts'
import { connect, nodeHost } from './node.ts'

let engine: Engine
let dir: string
let users = 0
const clients: LiveClient[] = []

beforeAll(async () => {
  dir = mkdtempSync(join(tmpdir(), 'livehouse-gifts-'))
  const argv = [
    '--port=0',
    '--admin-port=0',
    `--data-dir=${dir}`,
    '--log-level=silent',
    '--no-media',
    '--charge-owner=monetization',
  ]
  engine = await startEngine(loadConfig({ argv, env: {}, cwd: dir }), { plugins: [monetization()] })
})
afterEach(() => {
  for (const client of clients.splice(0)) client.close()
})
afterAll(async () => {
  await engine?.stop()
  rmSync(dir, { recursive: true, force: true })
})

function kept<T extends LiveClient>(client: T): T {
  clients.push(client)
  return client
}

/** Somebody with so many coins. */
async function rich(coins: number): Promise<{ user: string; token: string }> {
  const user = `giver_${++users}`
  const result = await engine.ledger?.submit({
    op: 'post',
    txId: `coins_${user}`,
    at: new SystemClock().now(),
    action: 'adjustment',
    origin: { actor: 'test', command: 'test.coins' },
    transfers: [{ dr: 'coin.issued', cr: `user.${user}.coin.paid`, amount: BigInt(coins) }],
  })
  expect(result).toEqual(expect.objectContaining({ ok: true }))
  return { user, token: await signToken(engine.secret, { sub: user, name: user, ttlMs: 600_000 }, new SystemClock().now()) }
}

const next = <D>(listen: (done: (d: D) => void) => unknown) => new Promise<D>((resolve) => void listen(resolve))

describe.each(['proto', 'json'] as const)('in %s', (encoding) => {
  test('a gift costs its price, is seen by all, and counts on the boards', async () => {
    const { user, token } = await rich(100)
    const giver = kept(connect({ url: engine.webSocketUrl, encoding, token }))
    const watcher = kept(connect({ url: engine.webSocketUrl, encoding }))
    const [room, other] = await Promise.all([giver.join('demo'), watcher.join('demo')])
    expect(await giver.wallet()).toMatchObject({ coinPaid: 100, coinBonus: 0, bean: '0' })
    const { items } = await room.gifts()
    expect(items.find(({ id }) => id === 'rose')).toMatchObject({ priceCoin: 10, comboable: true, tags: [] })

    const seen = next<Messages['gift.sent']>((done) => other.on('gift.sent', done))
    const changed = next<Messages['wallet.changed']>((done) => giver.on('wallet.changed', done))
    const reply = await room.sendGift({ giftId: 'rose', count: 3, comboId: 'c1' })
    expect(reply).toMatchObject({ balanceCoin: 70, comboId: 'c1', comboCount: 1 })
    expect(await seen).toMatchObject({ from: { id: user }, giftId: 'rose', count: 3, valueCoin: 30, txId: reply.txId })
    expect(await changed).toMatchObject({ coinPaid: 70, coinBonus: 0 })
    expect(await room.rank('total')).toMatchObject({ scoreCoin: '30' })
    await expect(room.sendGift({ giftId: 'lantern' })).rejects.toMatchObject({ code: 'wallet.insufficient' })
    await expect(other.sendGift({ giftId: 'rose' })).rejects.toMatchObject({ code: 'auth.required' })
  })

  test('the connection drops after the frame was sent: the same key goes out again, and the coins move once', async () => {
    const { user, token } = await rich(100)
    let socket: Socket | undefined
    let dropsLeft = 2
    let sends = 0
    const host = {
      ...nodeHost,
      openSocket(url: string, subprotocol: string) {
        const opened = nodeHost.openSocket(url, subprotocol)
        socket = opened
        const send = opened.send.bind(opened)
        opened.send = (frame) => {
          send(frame)
          if (!Buffer.from(frame as Uint8Array).includes('gift.send')) return
          sends++
          // The frame is with the kernel: the engine gets it, and its answer finds nobody.
          if (dropsLeft-- > 0) setImmediate(() => opened.terminate?.())
        }
        return opened
      },
    }
    const client = kept(new LiveClient(host, { url: engine.webSocketUrl, encoding, token, retryMsMin: 1, retryMsMax: 50 }))
    const room = await client.join('demo')
    const sent: string[] = []
    room.on('gift.sent', (d) => d.from.id === user && sent.push(d.txId))
    const reply = await room.sendGift({ giftId: 'rose', count: 2 })
    expect(sends).toBe(3)
    expect(socket).toBeDefined()
    expect(reply.balanceCoin).toBe(80)
    expect(await client.wallet()).toMatchObject({ coinPaid: 80 })
    await expect.poll(() => sent, { timeout: 10_000 }).toEqual([reply.txId])
    // Asked for once more by hand, as after a reload: still the same gift.
    const ik = 'by_hand_1'
    const first = await room.sendGift({ giftId: 'heart', ik })
    expect((await room.sendGift({ giftId: 'heart', ik })).txId).toBe(first.txId)
    expect(await client.wallet()).toMatchObject({ coinPaid: 79 })
    await expect(room.sendGift({ giftId: 'rose', ik })).rejects.toMatchObject({ code: 'idem.conflict' })
  })
})
