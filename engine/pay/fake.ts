/**
 * A payment provider for development, where no money moves: a page with two buttons, served by the engine itself, and after the payment
 * one that takes the money back, as the bank of a card does. What a button does goes the way of a real provider: a signed HTTP callback to `POST /pay/fake` on the engine's public port. There only with `devLogin`,
 * and only for whoever sits at this machine; its secret is made at the start and never stored.
 */
import { createHash, randomBytes } from 'node:crypto'
import type { Clock } from '../base/clock.ts'
import type { Log } from '../base/log.ts'
import { isOurs } from '../edge/dev-login.ts'
import type { HttpHandler, HttpResponse } from '../edge/gateway.ts'
import type { Order, PayNotice, PayProvider } from './provider.ts'
import type { References } from './reference.ts'
import { signatureHeader, signatureOf, signedProvider } from './signed.ts'

export interface FakePayParts {
  clock: Clock
  log: Log
  references: References
  /** Of the public port, as seen from this machine. */
  origin(): string
}
export interface FakePay {
  provider: PayProvider
  /** GET and POST of `checkoutPath`. */
  page: HttpHandler
  decide: HttpHandler
}

export const fakeName = 'fake'
export const checkoutPath = `/pay/${fakeName}/checkout`
export const decisionBytesMax = 2_048
const secretBytes = 32
const callbackMsMax = 5_000
/** What it keeps of a payment: 1 %, as real ones about do. */
const feeBps = 100
/** And what it asks for a chargeback. */
const chargebackFeeMinor = 100

export function fakePay({ clock, log, references, origin }: FakePayParts): FakePay {
  const secret = randomBytes(secretBytes)
  const checkout: PayProvider['checkout'] = ({ reference }) => `${checkoutPath}?ref=${reference}`

  /** As a provider would: signed, over HTTP. Answers the status. */
  const callBack = async (reference: string, { rechargeId, priceMinor, cur }: Order, state: PayNotice['state']) => {
    const feeMinor = { paid: Math.floor((priceMinor * feeBps) / 10_000), failed: 0, charged_back: chargebackFeeMinor }[state]
    const notice = { reference, amountMinor: priceMinor, feeMinor, cur, state, providerTxId: `fake_${rechargeId}` }
    const body = JSON.stringify(notice)
    const headers = { 'content-type': 'application/json', [signatureHeader]: signatureOf(secret, body, clock.now()) }
    const signal = AbortSignal.timeout(callbackMsMax)
    return (await fetch(`${origin()}/pay/${fakeName}`, { method: 'POST', headers, body, signal })).status
  }

  return {
    provider: signedProvider({ name: fakeName, secret, checkout }),
    page: (request) => {
      if (!isOurs(request)) return page(403, notHere)
      const reference = new URLSearchParams(request.query).get('ref') ?? ''
      const order = references.open(reference)
      return order?.provider === fakeName ? page(200, checkoutPage(order, reference)) : page(404, noOrder)
    },
    decide: async (request) => {
      if (!isOurs(request)) return page(403, notHere)
      const form = new URLSearchParams(Buffer.from(request.body).toString())
      const [reference = '', decision = ''] = [form.get('ref') ?? '', form.get('decision') ?? '']
      const order = references.open(reference)
      const state = decisions.get(decision)
      if (order?.provider !== fakeName || !state) return page(404, noOrder)
      try {
        const status = await callBack(reference, order, state)
        if (status === 200) return page(200, ends[state](order, reference))
        return page(200, checkoutPage(order, reference, `The engine answered ${status}. You can press Pay again.`))
      } catch (error) {
        log.warn({ err: error }, 'fake payment provider cannot reach the engine')
        return page(200, checkoutPage(order, reference, 'The engine cannot be reached. You can press Pay again.'))
      }
    },
  }
}

// ------------------------------------------------------------------ the page

const notHere = '<h1>Not here</h1><p>This page is for whoever sits at the machine that runs the engine.</p>'
const noOrder = '<h1>No such order</h1><p>Go back and start the recharge again.</p>'
const cancelled = '<h1>Cancelled</h1><p>Nothing was paid. You can close this page.</p>'
const takenBack = '<h1>Taken back</h1><p>The provider has told the engine so. You can close this page.</p>'
const paid = ({ coins, bonusCoins }: Order, reference: string) =>
  `<h1>Paid</h1><p>${coinsText(coins, bonusCoins)} are in your wallet. You can close this page.</p>
<form method="post" action="${checkoutPath}">
<input type="hidden" name="ref" value="${reference}">
<button name="decision" value="chargeback" class="quiet">Take the money back</button>
</form>`
const decisions: ReadonlyMap<string, PayNotice['state']> = new Map([
  ['pay', 'paid'],
  ['cancel', 'failed'],
  ['chargeback', 'charged_back'],
])
const ends: Record<PayNotice['state'], (order: Order, reference: string) => string> = {
  paid,
  failed: () => cancelled,
  charged_back: () => takenBack,
}

const coinsText = (coins: number, bonus: number) => `${coins} coins${bonus > 0 ? ` and ${bonus} bonus coins` : ''}`
const priceText = (minor: number) => `¥${Math.trunc(minor / 100)}.${String(minor % 100).padStart(2, '0')}`

/** What stands in it comes from a reference of ours: digits, and letters that HTML leaves alone. */
function checkoutPage({ priceMinor, coins, bonusCoins, rechargeId }: Order, reference: string, problem = ''): string {
  return `<h1>Test payment</h1>
<p class="price">${priceText(priceMinor)}</p>
<p>for ${coinsText(coins, bonusCoins)}</p>
${problem && `<p role="alert">${problem}</p>`}
<form method="post" action="${checkoutPath}">
<input type="hidden" name="ref" value="${reference}">
<button name="decision" value="pay">Pay</button>
<button name="decision" value="cancel" class="quiet">Cancel</button>
</form>
<p class="small">No money moves here: this provider is for development.<br>Order ${rechargeId}</p>`
}

const style = `:root{color-scheme:light dark;font:18px/1.5 system-ui,sans-serif}
body{margin:0;min-height:100vh;display:grid;place-items:center;background:Canvas;color:CanvasText}
main{width:min(22rem,calc(100vw - 3rem));text-align:center}
h1{font-size:1.25rem;margin:0}
.price{font-size:3rem;font-weight:700;margin:.5rem 0 0}
form{display:grid;gap:.75rem;margin:2rem 0}
button{font:inherit;font-weight:600;min-height:3.25rem;border:1px solid transparent;border-radius:.75rem;background:#1462d4;color:#fff}
button.quiet{background:transparent;border-color:GrayText;color:CanvasText}
button:focus-visible{outline:3px solid #7fb0ff;outline-offset:2px}
[role=alert]{font-weight:600}
.small{font-size:.8rem;overflow-wrap:anywhere;opacity:.75}`
const styleHash = createHash('sha256').update(style).digest('base64')

const headers = {
  'content-type': 'text/html; charset=utf-8',
  'cache-control': 'no-store',
  'content-security-policy': `default-src 'none'; style-src 'sha256-${styleHash}'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'`,
  'x-content-type-options': 'nosniff',
  // Not `no-referrer`: the browser would send the form with the origin `null`.
  'referrer-policy': 'same-origin',
}

function page(status: number, content: string): HttpResponse {
  const title = 'Test payment - Livehouse'
  const body = `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>${title}</title><style>${style}</style></head>
<body><main>${content}</main></body></html>
`
  return { status, headers, body }
}
