/** Money over real HTTP on one engine with a real ledger: who may, what is refused, and that no coin moves but once and on the record. */
import { execFile } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import Database from 'better-sqlite3'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { monetization } from '../../plugins/monetization/plugin.ts'
import { packageRoot } from '../base/package.ts'
import { startTestEngine, type TestEngine } from '../testing.ts'
import { adminScopes } from './audit.ts'

let dataDir = ''
let engine: TestEngine
const tokens: Record<string, string> = {}
const start = async () => {
  engine = await startTestEngine({ dataDir, money: true, chargeOwner: 'monetization' }, { plugins: [monetization()] })
  for (const [user, scope] of [
    ['mia', 'operator money:read money:write audit:read'],
    ['leo', 'money:write'],
    ['reader', 'money:read'],
    ['desk', 'operator'],
  ] as const)
    tokens[user] = await engine.token(user, { scope })
}
beforeAll(async () => {
  dataDir = await mkdtemp(join(tmpdir(), 'livehouse-money-'))
  await start()
})
afterAll(async () => {
  await engine.stop()
  await rm(dataDir, { recursive: true, force: true })
})

let ids = 0
const newKey = () => `key-${++ids}`
interface Asked {
  body?: unknown
  as?: string
  ik?: string | undefined
}
async function ask(method: string, path: string, { body, as = 'mia', ik }: Asked = {}) {
  const headers: Record<string, string> = { authorization: `Bearer ${tokens[as]}` }
  if (body !== undefined) headers['content-type'] = 'application/json'
  if (ik !== undefined) headers['idempotency-key'] = ik
  const text = typeof body === 'string' ? body : JSON.stringify(body)
  const init = body === undefined ? { method, headers } : { method, headers, body: text }
  const reply = await fetch(`${engine.adminUrl}/admin/v1${path}`, init)
  const answer = await reply.text()
  const isJson = reply.headers.get('content-type')?.includes('json')
  // biome-ignore lint/suspicious/noExplicitAny: bodies of many shapes, each checked where it is used.
  return { status: reply.status, headers: reply.headers, text: answer, body: (isJson ? JSON.parse(answer) : undefined) as any }
}
const get = async (path: string, as?: string) => (await ask('GET', path, as === undefined ? {} : { as })).body
const post = (path: string, body?: unknown, as = 'mia', ik = newKey()) => ask('POST', path, { body, as, ik })
const refusal = async (answer: ReturnType<typeof ask>) => {
  const { status, body } = await answer
  return [status, body?.code]
}
const ledger = () => {
  if (!engine.ledger) throw new Error('no ledger')
  return engine.ledger
}
const recharge = async (user: string, coins: number, bonus = 0) => {
  const transfers = [
    { dr: 'ext.psp.bank', cr: 'plat.deferred', amount: BigInt(coins) * 10n },
    { dr: 'coin.issued', cr: `user.${user}.coin.paid`, amount: BigInt(coins) },
  ]
  if (bonus > 0) transfers.push({ dr: 'coin.issued', cr: `user.${user}.coin.bonus`, amount: BigInt(bonus) })
  const txId = `recharge-${++ids}`
  const origin = { actor: user, command: 'recharge', ik: txId, bodyHash: txId }
  const at = Date.now()
  const result = await ledger().submit({ op: 'post', txId, at, action: 'recharge', origin, transfers })
  expect(result.ok).toBe(true)
  return txId
}
/** Of a user to the owner of a room of its own: 30 coins. */
const gift = async (user: string) => {
  const room = `room-${++ids}`
  const host = await engine.connect({ token: await engine.token(`host-${ids}`, { scope: 'streamer' }) })
  await host.ok('room.create', { roomId: room, title: room })
  await host.ok('room.open', {}, room)
  const client = await engine.connect({ token: await engine.token(user) })
  await client.ok('room.join', {}, room)
  const { body } = await ask('PUT', '/monetization/gifts/rose', { body: { name: 'Rose', priceCoin: 30 } })
  expect(body.item.priceCoin).toBe(30)
  const { txId } = await client.ok('gift.send', { giftId: 'rose' }, room, newKey())
  return { txId: txId as string, host: `host-${ids - 1}`, room }
}
const coins = async (user: string) => {
  const { coins } = await get(`/money/wallets/${user}`)
  return [coins.paid, coins.bonus].map(Number)
}
const sums = async () => JSON.stringify((await get('/money/totals')).ledgers)

describe('who may', () => {
  it('reads want money:read, writes money:write, and what was done audit:read; operator alone is none of them', async () => {
    await recharge('ann', 100, 5)
    const reads = [
      '/money/wallets/ann',
      '/money/balances',
      '/money/journal',
      '/money/totals',
      '/money/ledger',
      '/money/audit',
      '/money/adjustments',
      '/money/wallets/ann/recharges',
      '/money/statements/user/ann?fromAt=0&toAt=1000',
    ]
    for (const path of reads) {
      expect((await ask('GET', path, { as: 'reader' })).status, path).toBe(200)
      expect((await ask('GET', path, { as: 'leo' })).status, path).toBe(200)
      expect(await refusal(ask('GET', path, { as: 'desk' })), path).toEqual([403, 'perm.denied'])
    }
    const writes = ['/money/adjustments', '/money/refunds', '/money/audit/run', '/money/audit/clear', '/money/wallets/ann/freeze']
    for (const path of writes)
      for (const as of ['reader', 'desk'])
        expect(await refusal(ask('POST', path, { body: {}, as, ik: newKey() })), path).toEqual([403, 'perm.denied'])
    for (const as of ['leo', 'reader', 'desk']) expect((await ask('GET', '/audit', { as })).status).toBe(403)
    expect((await ask('GET', '/rooms', { as: 'leo' })).status).toBe(403)
    const page = await (await fetch(`${engine.adminUrl}/docs/json`)).json()
    for (const scope of Object.keys(adminScopes)) expect(page.info.description).toContain(scope)
    const routes = Object.entries(page.paths).filter(([path]) => path.startsWith('/admin/v1/money'))
    expect(routes.length).toBeGreaterThanOrEqual(15)
    for (const [path, methods] of routes)
      for (const route of Object.values(methods as Record<string, { description: string }>))
        expect(route.description, path).toMatch(/Scope money:(read|write)/)
  })
})

describe('what stands in the ledger', () => {
  it('a wallet, accounts in pages, rows of the journal, sums', async () => {
    expect(await get('/money/wallets/ann')).toMatchObject({
      coins: { paid: '100', bonus: '5', hold: '0' },
      isFrozen: false,
      receivable: '0',
    })
    expect(await refusal(ask('GET', '/money/wallets/nobody'))).toEqual([404, 'money.not_found'])
    const all = await get('/money/balances')
    const names = all.items.map(({ account }: { account: string }) => account)
    expect(names).toEqual(expect.arrayContaining(['coin.issued', 'user.ann.coin.bonus', 'user.ann.coin.paid']))
    const paged: string[] = []
    for (let after: string | undefined = ''; after !== undefined; ) {
      const page = await get(`/money/balances?limit=2&after=${after}`)
      paged.push(...page.items.map(({ account }: { account: string }) => account))
      after = page.after
    }
    expect(paged).toEqual(names)
    const own = await get('/money/balances?prefix=user.ann.')
    expect(own.items.map(({ account }: { account: string }) => account)).toEqual(['user.ann.coin.bonus', 'user.ann.coin.paid'])
    expect((await get('/money/balances?prefix=coin.issued')).items).toMatchObject([{ account: 'coin.issued', balance: '105' }])
    const { items } = await get('/money/journal?limit=1')
    expect(items).toMatchObject([{ pos: 1, action: 'recharge', actor: 'ann' }])
    expect(items[0].legs[1]).toEqual({ ledger: 'COIN', dr: 'coin.issued', cr: 'user.ann.coin.paid', amount: '100' })
    expect(await get(`/money/journal/${items[0].txId}`)).toEqual(items[0])
    expect(await refusal(ask('GET', '/money/journal/no-such'))).toEqual([404, 'money.not_found'])
    const totals = await get('/money/totals')
    expect(totals.ledgers).toMatchObject([
      { ledger: 'CNY', debits: '1000', isBalanced: true },
      { ledger: 'COIN', debits: '105', credits: '105', isBalanced: true },
      { ledger: 'BEAN', debits: '0' },
      { ledger: 'PTS', debits: '0' },
    ])
    expect(await get('/money/ledger')).toMatchObject({ state: 'open', pos: totals.pos, queued: 0 })
  })

  it('amounts beyond 2^53 come back whole', async () => {
    const amount = 2n ** 53n + 1n
    const origin = { actor: 'test', command: 'test' }
    const transfers = [{ dr: 'pts.issued', cr: 'user.max.pts', amount }]
    await ledger().submit({ op: 'post', txId: 'points-1', at: 1, action: 'points', origin, transfers })
    expect((await get('/money/wallets/max')).points).toBe('9007199254740993')
    expect((await get('/money/journal/points-1')).legs[0].amount).toBe('9007199254740993')
  })

  it('recharges of a user in pages, whatever lies between them', async () => {
    const made: string[] = []
    for (let n = 0; n < 5; n++) {
      made.push(await recharge('rich', 1_000))
      await gift('rich')
    }
    const found: string[] = []
    for (let afterPos: number | undefined = 0; afterPos !== undefined; ) {
      const page = await get(`/money/wallets/rich/recharges?limit=2&afterPos=${afterPos}`)
      expect(page.items.length).toBeLessThanOrEqual(2)
      found.push(...page.items.map(({ txId }: { txId: string }) => txId))
      afterPos = page.afterPos
    }
    expect(found).toEqual(made)
    const taken = `${made[0]}:chargeback`
    const event = { t: 'recharge.charged_back', d: { debtCoin: 400 } }
    const transfers = [{ dr: 'user.rich.coin.paid', cr: 'coin.issued', amount: 600n }]
    const origin = { actor: 'rich', command: 'recharge.chargeback' }
    await ledger().submit({ op: 'post', txId: taken, at: 9, action: 'chargeback', origin, transfers, event })
    const { items } = await get('/money/wallets/rich/recharges?limit=2')
    expect(items).toMatchObject([{ txId: made[0], chargedBack: { txId: taken, at: 9, debtCoin: 400 } }, { txId: made[1] }])
    expect(items[1].chargedBack).toBeUndefined()
    expect(await refusal(ask('GET', '/money/wallets/nobody/recharges'))).toEqual([404, 'money.not_found'])
  })
})

describe('statements', () => {
  const period = () => `fromAt=${Date.now() - 86_400_000}&toAt=${Date.now()}`

  it('the same question gets the same bytes, as a file, in both forms, for user and streamer', async () => {
    const { host } = await gift('rich')
    const at = period()
    for (const owner of ['user/rich', `streamer/${host}`])
      for (const format of ['csv', 'json']) {
        const path = `/money/statements/${owner}?${at}&format=${format}`
        const [one, two] = [await ask('GET', path), await ask('GET', path)]
        expect(one.status, path).toBe(200)
        expect(two.text).toBe(one.text)
        expect(one.headers.get('content-disposition')).toMatch(
          new RegExp(`^attachment; filename="statement-${owner.replace('/', '-')}-\\d{8}T\\d{6}Z-\\d{8}T\\d{6}Z\\.${format}"$`),
        )
        expect(one.headers.get('content-type')).toMatch(format === 'csv' ? /^text\/csv/ : /^application\/json/)
      }
    const { body } = await ask('GET', `/money/statements/user/rich?${at}&format=json`)
    expect(body.accounts.map(({ account }: { account: string }) => account)).toEqual(['user.rich.coin.paid'])
    expect(body.accounts[0].closing).toBe(String((await coins('rich'))[0]))
    const lines = (await ask('GET', `/money/statements/user/rich?${at}`)).text.split('\r\n')
    expect(lines[0]).toBe('kind,account,ledger,at,pos,tx_id,action,room_id,live_id,debit,credit,balance')
    // An owner without rows has an empty statement: that is what stands in the journal.
    expect((await ask('GET', `/money/statements/guild/none?${at}&format=json`)).body.accounts).toEqual([])
  })

  it('a period without sense is refused, and a client that goes away leaves no place taken', async () => {
    const now = Date.now()
    const bad = ['', 'fromAt=5&toAt=5', 'fromAt=6&toAt=5', 'fromAt=-1&toAt=5', 'fromAt=0.5&toAt=5', 'fromAt=x&toAt=5']
    bad.push(`fromAt=0&toAt=${Number.MAX_SAFE_INTEGER}`, `fromAt=0&toAt=${now}`, `fromAt=${now}&toAt=${now + 60_000}`)
    bad.push('fromAt=0&toAt=5&format=xml', 'fromAt=0&toAt=9007199254740993')
    for (const query of bad)
      expect(await refusal(ask('GET', `/money/statements/user/rich?${query}`)), query).toEqual([400, 'request.invalid'])
    expect((await ask('GET', `/money/statements/thief/rich?${period()}`)).status).toBe(400)
    expect((await ask('GET', `/money/statements/user/..%2Fx?${period()}`)).status).toBe(400)
    for (let n = 0; n < 12; n++) {
      const gone = new AbortController()
      const headers = { authorization: `Bearer ${tokens['mia']}` }
      const url = `${engine.adminUrl}/admin/v1/money/statements/user/rich?${period()}`
      const reply = await fetch(url, { headers, signal: gone.signal })
      gone.abort()
      await reply.text().catch(() => {})
    }
    await expect.poll(async () => (await ask('GET', `/money/statements/user/rich?${period()}`)).status).toBe(200)
  })
})

describe('adjustments', () => {
  const wish = { userId: 'ann', kind: 'bonus', coins: 60, reason: 'lost in an outage' }

  it('one asks, another approves, and only then coins move, once', async () => {
    const before = await coins('ann')
    const asked = await post('/money/adjustments', wish)
    expect(asked.status, asked.text).toBe(200)
    const { adjustment } = asked.body
    expect(adjustment).toMatchObject({ state: 'pending', by: 'mia', ...wish })
    expect(await coins('ann')).toEqual(before)
    const approve = `/money/adjustments/${adjustment.id}/approve`
    expect(await refusal(post(approve))).toEqual([403, 'desk.same_person'])
    expect(await refusal(post(approve, undefined, 'reader'))).toEqual([403, 'perm.denied'])
    const key = newKey()
    const done = await post(approve, undefined, 'leo', key)
    expect(done.status, done.text).toBe(200)
    expect(done.body.adjustment).toMatchObject({ state: 'posted', by: 'mia', decidedBy: 'leo', note: expect.any(String) })
    expect(await post(approve, undefined, 'leo', key)).toMatchObject({ status: 200, body: done.body })
    expect(await post(approve, undefined, 'leo')).toMatchObject({ status: 200, body: done.body })
    expect(await coins('ann')).toEqual([before[0], (before[1] ?? 0) + 60])
    const row = await get(`/money/journal/${done.body.adjustment.note}`)
    expect(row).toMatchObject({ action: 'adjust', actor: 'mia', event: { d: { approvedBy: 'leo', reason: wish.reason } } })
    expect(await refusal(post(`/money/adjustments/${adjustment.id}/reject`, { reason: 'late' }, 'leo'))).toEqual([
      409,
      'money.decided',
    ])
    const { items } = await get('/money/adjustments?state=posted')
    expect(items.map(({ id }: { id: string }) => id)).toContain(adjustment.id)
  })

  it('ten who approve at once move the coins once; what is rejected moves none', async () => {
    const before = await coins('ann')
    const { adjustment } = (await post('/money/adjustments', wish)).body
    const all = await Promise.all(
      Array.from({ length: 10 }, () => post(`/money/adjustments/${adjustment.id}/approve`, undefined, 'leo')),
    )
    expect(all.some(({ status }) => status === 200)).toBe(true)
    expect(await coins('ann')).toEqual([before[0], (before[1] ?? 0) + 60])
    const other = (await post('/money/adjustments', { ...wish, kind: 'paid', coins: -10 })).body.adjustment
    const reject = `/money/adjustments/${other.id}/reject`
    expect((await post(reject, { reason: 'a slip' })).body.adjustment).toMatchObject({ state: 'rejected', note: 'a slip' })
    expect(await refusal(post(`/money/adjustments/${other.id}/approve`, undefined, 'leo'))).toEqual([409, 'money.decided'])
    expect(await coins('ann')).toEqual([before[0], (before[1] ?? 0) + 60])
  })

  it('what somebody wrote into the waiting request is not approved', async () => {
    const before = await coins('ann')
    const ask = async (over: object = {}) => (await post('/money/adjustments', { ...wish, ...over })).body.adjustment.id as string
    const [small, large] = [await ask({ coins: 1 }), await ask({ coins: 1_000 })]
    const write = (sql: string, ...values: string[]) => {
      const db = new Database(join(dataDir, 'core.db'))
      try {
        expect(db.prepare(sql).run(...values).changes).toBe(1)
      } finally {
        db.close()
      }
    }
    const approve = (id: string) => refusal(post(`/money/adjustments/${id}/approve`, undefined, 'leo'))
    const set = (name: string, value: string, id = small) => {
      write(`UPDATE money_requests SET "${name}" = ? WHERE id = ?`, value, id)
    }
    const asked = JSON.stringify({ userId: 'ann', kind: 'bonus', coins: 1, reason: wish.reason })
    for (const over of [{ coins: 9_000 }, { userId: 'leo' }, { kind: 'paid' }, { reason: 'another' }]) {
      set('d', JSON.stringify({ ...JSON.parse(asked), ...over }))
      expect(await approve(small)).toEqual([409, 'money.altered'])
    }
    // What was asked for in another request, and in the name of somebody else.
    set('d', JSON.stringify({ ...JSON.parse(asked), coins: 1_000 }))
    expect(await approve(small)).toEqual([409, 'money.altered'])
    set('d', asked)
    set('by', 'desk')
    expect(await approve(small)).toEqual([409, 'money.altered'])
    set('by', 'mia')
    // One that nobody asked for.
    write(`UPDATE money_requests SET id = id || '9' WHERE id = ?`, large)
    expect(await approve(`${large}9`)).toEqual([409, 'money.altered'])
    // And between approval and posting.
    set('d', JSON.stringify({ ...JSON.parse(asked), coins: 7 }))
    await engine.store.audit.moveRequest(small, ['pending'], { state: 'approved', decidedAt: 1, decidedBy: 'leo', note: null })
    expect(await approve(small)).toEqual([409, 'money.altered'])
    expect(await coins('ann')).toEqual(before)
    set('d', asked)
    expect(await approve(small)).toEqual([200, undefined])
    expect(await coins('ann')).toEqual([before[0], (before[1] ?? 0) + 1])
    await post(`/money/adjustments/${large}9/reject`, { reason: 'nobody asked' })
  })

  it('more than there is cannot be taken, and the request says why', async () => {
    const before = await sums()
    const { adjustment } = (await post('/money/adjustments', { ...wish, coins: -1_000_000 })).body
    const answer = await post(`/money/adjustments/${adjustment.id}/approve`, undefined, 'leo')
    expect([answer.status, answer.body.code]).toEqual([409, 'wallet.insufficient'])
    const { items } = await get('/money/adjustments?state=refused')
    expect(items).toMatchObject([{ id: adjustment.id, note: 'wallet.insufficient' }])
    expect(await sums()).toBe(before)
  })

  it('a user that the ledger does not know is a slip of the pen unless it is said', async () => {
    const body = { ...wish, userId: 'newcomer' }
    expect(await refusal(post('/money/adjustments', body))).toEqual([404, 'money.not_found'])
    const { adjustment } = (await post('/money/adjustments', { ...body, newWallet: true })).body
    await post(`/money/adjustments/${adjustment.id}/approve`, undefined, 'leo')
    expect(await coins('newcomer')).toEqual([0, 60])
  })

  it('hostile bodies are refused with the field, and nothing moves', async () => {
    const before = await sums()
    const waiting = (await get('/money/adjustments?state=pending')).items.length
    const bodies: unknown[] = [
      {},
      [],
      'text',
      null,
      ...[0, -0, 0.5, 1e9, -1e9, '60', '', null, true, [60], 2 ** 53, 'x'].map((coins) => ({ ...wish, coins })),
      '{"userId":"ann","kind":"bonus","coins":9007199254740993,"reason":"x"}',
      '{"userId":"ann","kind":"bonus","coins":1e400,"reason":"x"}',
      ...['', '   ', 'a\u0000b', 'a\nb', '\ud800', 'x'.repeat(201), 7].map((reason) => ({ ...wish, reason })),
      ...['a b', '', 7, '../ann', 'x'.repeat(65)].map((userId) => ({ ...wish, userId })),
      { ...wish, kind: 'gold' },
      { ...wish, approvedBy: 'leo' },
    ]
    for (const body of bodies) {
      const { status, body: answer } = await post('/money/adjustments', body)
      expect([status, answer.code], JSON.stringify(body)).toEqual([400, 'request.invalid'])
    }
    expect(await refusal(post('/money/adjustments/no-such/approve', undefined, 'leo'))).toEqual([404, 'money.not_found'])
    expect((await get('/money/adjustments?state=pending')).items).toHaveLength(waiting)
    expect(await sums()).toBe(before)
  })

  it('without a key nothing happens; with a used one and another body neither', async () => {
    const before = (await get('/money/adjustments')).items.length
    for (const ik of [undefined, '', 'x'.repeat(65)])
      expect(await refusal(ask('POST', '/money/adjustments', { body: wish, ik }))).toEqual([400, 'idem.key_required'])
    const key = newKey()
    const first = await post('/money/adjustments', wish, 'mia', key)
    expect((await post('/money/adjustments', wish, 'mia', key)).body).toEqual(first.body)
    expect(await refusal(post('/money/adjustments', { ...wish, coins: 61 }, 'mia', key))).toEqual([409, 'idem.conflict'])
    expect((await get('/money/adjustments')).items).toHaveLength(before + 1)
  })
})

describe('gifts given back, wallets frozen', () => {
  it('a gift is given back once, whoever asks', async () => {
    await recharge('kid', 100)
    const { txId, host } = await gift('kid')
    expect(await coins('kid')).toEqual([70, 0])
    expect((await get('/money/wallets/kid')).spent.day.coins).toBe('30')
    const key = newKey()
    const done = await post('/money/refunds', { txId, reason: 'sent by a child' }, 'mia', key)
    expect(done, done.text).toMatchObject({ status: 200, body: { txId: `${txId}:refund` } })
    expect((await post('/money/refunds', { txId, reason: 'sent by a child' }, 'mia', key)).body).toEqual(done.body)
    expect(await refusal(post('/money/refunds', { txId, reason: 'again' }, 'leo'))).toEqual([409, 'gift.refunded'])
    expect(await coins('kid')).toEqual([100, 0])
    expect((await get(`/money/wallets/${host}`)).beans.pending).toBe('0')
    expect(await refusal(post('/money/refunds', { txId: 'no-such', reason: 'x' }))).toEqual([404, 'gift.not_found'])
    const paid = await recharge('kid', 1)
    expect(await refusal(post('/money/refunds', { txId: paid, reason: 'x' }))).toEqual([404, 'gift.not_found'])
    for (const body of [{ txId }, { txId, reason: '' }, { txId: 'a b', reason: 'x' }, { txId, reason: 'x', coins: 5 }])
      expect(await refusal(post('/money/refunds', body))).toEqual([400, 'request.invalid'])
  })

  it('a frozen wallet is freed again', async () => {
    for (const verb of ['freeze', 'unfreeze']) {
      expect((await post(`/money/wallets/kid/${verb}`, { reason: 'looked at' })).body).toEqual({ txId: expect.any(String) })
      expect((await get('/money/wallets/kid')).isFrozen).toBe(verb === 'freeze')
    }
    expect(await refusal(post('/money/wallets/nobody/freeze', { reason: 'x' }))).toEqual([404, 'money.not_found'])
  })
})

describe('the audit of the ledger', () => {
  it('a round on demand finds nothing; what was found before is cleared only if it is gone', async () => {
    const run = await post('/money/audit/run')
    expect(run.body, run.text).toMatchObject({ isDone: true, behind: 0, broken: 0, found: [], lastRoundAt: expect.any(Number) })
    const db = new Database(join(dataDir, 'ledger.db'))
    const spoil = db.prepare(`UPDATE balances_ SET credits = credits + ? WHERE account = 'user.max.pts'`)
    spoil.run(5n)
    expect((await post('/money/audit/run')).body.found).toMatchObject([
      { invariant: 'balance', at: 'user.max.pts' },
      { invariant: 'sums', at: 'PTS' },
    ])
    expect(await refusal(post('/money/audit/clear', { reason: 'looks fine' }))).toEqual([409, 'money.still_broken'])
    expect((await get('/money/audit')).broken).toBeGreaterThan(0)
    spoil.run(-5n)
    db.close()
    expect((await post('/money/audit/clear', { reason: 'restored by hand' })).body).toMatchObject({ broken: 0, found: [] })
  })
})

describe('what operators did', () => {
  interface Row {
    n: number
    kind: string
    action: string
    actor: string
    target: string
    askN: number | null
    // biome-ignore lint/suspicious/noExplicitAny: of many shapes.
    d: any
  }
  const all = async () => {
    const rows: Row[] = []
    for (let page: Row[] = []; ; rows.push(...page)) {
      page = (await get(`/audit?limit=50&afterN=${rows.length}`)).items
      if (page.length === 0) return rows
    }
  }

  it('each write of money is asked and ended, with before and after; other writes are there without their values', async () => {
    const { adjustment } = (await post('/money/adjustments', { userId: 'ann', kind: 'paid', coins: 7, reason: 'why' })).body
    const before = await get('/money/wallets/ann')
    await post(`/money/adjustments/${adjustment.id}/approve`, undefined, 'leo')
    await ask('PATCH', '/plugins/monetization/settings', { body: { giftCoinMax: 90_000 } })
    const rows = await all()
    const [asked, done, other] = rows.slice(-3)
    expect(asked).toMatchObject({
      kind: 'asked',
      actor: 'leo',
      target: adjustment.id,
      action: 'POST /money/adjustments/:id/approve',
    })
    expect(done).toMatchObject({ kind: 'done', askN: asked?.n, actor: 'leo' })
    expect(done?.d.before.wallet).toEqual(before)
    expect(done?.d.after.wallet.coins.paid).toBe(String(Number(before.coins.paid) + 7))
    expect(done?.d.after.adjustment.state).toBe('posted')
    expect(other).toMatchObject({
      kind: 'done',
      actor: 'mia',
      action: 'PATCH /plugins/:name/settings',
      d: { fields: ['giftCoinMax'] },
    })
    expect(JSON.stringify(other)).not.toContain('90000')
    for (const row of rows.filter(({ kind, action }) => kind === 'asked' && action.includes('/money/')))
      expect(
        rows.some(({ askN }) => askN === row.n),
        JSON.stringify(row),
      ).toBe(true)
    expect(await get('/audit/check')).toMatchObject({ isSound: true, rows: rows.length, n: rows.at(-1)?.n })
  })

  it('the first answer to a key is given again after a restart, and a crash in between is gone on with', async () => {
    const [key, body] = [newKey(), { userId: 'ann', kind: 'paid', coins: 3, reason: 'restart' }]
    const first = await post('/money/adjustments', body, 'mia', key)
    const { id } = first.body.adjustment
    // Approved and not posted: what a crash between the two leaves.
    const to = { state: 'approved', decidedAt: 1, decidedBy: 'leo', note: null } as const
    await engine.store.audit.moveRequest(id, ['pending'], to)
    const before = await coins('ann')
    await engine.stop()
    await start()
    expect((await post('/money/adjustments', body, 'mia', key)).body).toEqual(first.body)
    expect(await refusal(post('/money/adjustments', { ...body, coins: 4 }, 'mia', key))).toEqual([409, 'idem.conflict'])
    const done = await post(`/money/adjustments/${id}/approve`, undefined, 'leo')
    expect(done.body.adjustment).toMatchObject({ state: 'posted', decidedBy: 'leo' })
    expect(await coins('ann')).toEqual([(before[0] ?? 0) + 3, before[1]])
  })

  it('a row that is changed or taken out shows, the last one too', async () => {
    await expect(async () => {
      const db = new Database(join(dataDir, 'core.db'))
      try {
        db.prepare('DELETE FROM admin_audit WHERE n = 3').run()
      } finally {
        db.close()
      }
    }).rejects.toThrow('never changed')
    const last = (await get('/audit/check')).n as number
    const behind = (sql: string) => {
      const db = new Database(join(dataDir, 'core.db'))
      db.exec('DROP TRIGGER admin_audit_no_update; DROP TRIGGER admin_audit_no_delete')
      db.exec('CREATE TABLE kept AS SELECT * FROM admin_audit')
      db.exec(sql)
      db.close()
    }
    const restore = () => {
      const db = new Database(join(dataDir, 'core.db'))
      db.exec('DELETE FROM admin_audit; INSERT INTO admin_audit SELECT * FROM kept; DROP TABLE kept')
      for (const verb of ['update', 'delete'])
        db.exec(`CREATE TRIGGER admin_audit_no_${verb} BEFORE ${verb} ON admin_audit BEGIN SELECT RAISE(ABORT, 'no'); END`)
      db.close()
    }
    for (const [sql, n] of [
      [`UPDATE admin_audit SET actor = 'nobody' WHERE n = 4`, 4],
      ['DELETE FROM admin_audit WHERE n = 3', 3],
      ['DELETE FROM admin_audit WHERE n = 1', 1],
      [`DELETE FROM admin_audit WHERE n = ${last}`, last],
    ] as const) {
      behind(sql)
      expect(await get('/audit/check'), sql).toMatchObject({ isSound: false, broken: { n } })
      restore()
    }
    expect(await get('/audit/check')).toMatchObject({ isSound: true, n: last })
  })
})

it('the curl lines of the README work', async () => {
  const page = readFileSync(join(packageRoot, 'engine/README.md'), 'utf8')
  const part = page.split('\n## Money for operators\n')[1]?.split('\n## ')[0] ?? ''
  const [, lines = ''] = /```sh\n(export ADMIN[\s\S]*?)```/.exec(part) ?? []
  expect(lines.match(/\bcurl|\bas /g)?.length).toBeGreaterThan(8)
  await recharge('viewer1', 100)
  const { txId } = await gift('viewer1')
  // What a person puts in by hand: where the engine is, the two tokens, and a gift.
  const given = lines
    .replace(/^export ADMIN=.*$/m, `export ADMIN=${engine.adminUrl}/admin/v1`)
    .replace(/\$\(npx livehouse token --user mia.*\)/, tokens['mia'] ?? '')
    .replace(/\$\(npx livehouse token --user leo.*\)/, tokens['leo'] ?? '')
    .replace('GIFT=01', `GIFT=${txId} #`)
  const { stdout } = await promisify(execFile)('bash', ['-euo', 'pipefail', '-c', given], { cwd: dataDir })
  expect(stdout).toContain('"state":"posted"')
  expect(stdout).toContain(`"txId":"${txId}:refund"`)
  expect(stdout).toContain('"isSound":true')
  expect(readFileSync(join(dataDir, 'viewer1.csv'), 'utf8')).toMatch(/^kind,account,ledger/)
  expect(await coins('viewer1')).toEqual([100, 60])
})

it('an engine without money says so', async () => {
  const other = await startTestEngine()
  try {
    const token = await other.token('mia', { scope: 'money:write' })
    const headers = { authorization: `Bearer ${token}` }
    const reply = await fetch(`${other.adminUrl}/admin/v1/money/totals`, { headers })
    expect([reply.status, (await reply.json()).code]).toEqual([409, 'money.off'])
  } finally {
    await other.stop()
  }
})
