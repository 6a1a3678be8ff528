/** The payments of an engine and their routes on the public port. */
import type { HttpHandler } from '../edge/gateway.ts'
import { checkoutPath, decisionBytesMax, fakePay } from './fake.ts'
import { callbackBytesMax, Payments, type PaymentsParts } from './payments.ts'
import type { PayProvider } from './provider.ts'

export interface PayStart extends PaymentsParts {
  providers: readonly PayProvider[]
  /** With the provider for development. */
  hasFake: boolean
  /** Of the public port, as seen from this machine. */
  origin(): string
}
interface Routes {
  route(method: 'get' | 'post', path: string, options: { bodyBytesMax: number }, handler: HttpHandler): void
}

/** Offer the routes before the public port opens. */
export function startPayments({ providers, hasFake, origin, ...parts }: PayStart): {
  payments: Payments
  offer(gateway: Routes): void
} {
  const payments = new Payments(parts, providers)
  const fake = hasFake ? fakePay({ clock: parts.clock, log: parts.log, references: payments.references, origin }) : undefined
  if (fake) payments.add(fake.provider)
  return {
    payments,
    offer(gateway) {
      if (fake) {
        gateway.route('get', checkoutPath, { bodyBytesMax: 0 }, fake.page)
        gateway.route('post', checkoutPath, { bodyBytesMax: decisionBytesMax }, fake.decide)
      }
      gateway.route('post', '/pay/*', { bodyBytesMax: callbackBytesMax }, payments.receive)
    },
  }
}
