/**
 * Death in the simulation: a part that dies keeps its objects, but the world does not hear of it any more, and it not of the world.
 *
 * Every part of a node is given the world through these: clock, bus, store, ledger. Once `isAlive` is false its timers do not fire, what
 * it says is lost, and what it asked is never answered. What it handed over before is under way: a write may still happen.
 *
 *     const life = { isAlive: true }
 *     new Homes({ clock: mortalClock(clock, life), bus: mortalBus(bus, life), store: mortal(store, life), ... })
 *     life.isAlive = false
 */
import type { Bus } from '../base/bus.ts'
import type { Clock } from '../base/clock.ts'

/** From the start of a part to its end. */
export interface Life {
  isAlive: boolean
}

const unanswered = new Promise<never>(() => {})
/** Neither answered nor, where pages are read, ever at its end. */
export const never = Object.assign(new Promise<never>(() => {}), {
  [Symbol.asyncIterator]: () => ({ next: () => unanswered }),
})

/** Methods answer as long as both who asks and what was asked live. */
export function mortal<T extends object>(target: T, life: Life): T {
  const method = (call: (...given: unknown[]) => unknown) => {
    return (...given: unknown[]): unknown => {
      if (!life.isAlive) return never
      const answer = call.apply(target, given)
      return answer instanceof Promise ? unlessDead(answer, life) : answer
    }
  }
  const get = (_: T, key: string | symbol): unknown => {
    const value = target[key as keyof T]
    if (typeof value === 'function') return method(value as never)
    // A part of it, such as the boards of a store.
    return typeof value === 'object' && value !== null ? mortal(value, life) : value
  }
  return new Proxy(target, { get })
}

/** Settles with `asked`, or never. */
export function unlessDead<T>(asked: Promise<T>, life: Life): Promise<T> {
  return new Promise((resolve, reject) => {
    asked.then(
      (value) => life.isAlive && resolve(value),
      (error) => life.isAlive && reject(error),
    )
  })
}

/** `stepMs`: how far the clock of that machine is off. */
export function mortalClock(clock: Clock, life: Life, stepMs = 0): Clock {
  return {
    now: () => clock.now() + stepMs,
    after: (ms, fn) => clock.after(ms, () => life.isAlive && fn()),
  }
}

export function mortalBus(bus: Bus, life: Life): Bus {
  return {
    publish: (subject, message) => life.isAlive && bus.publish(subject, message),
    request: (subject, message, options, onAnswer) => {
      if (life.isAlive) bus.request(subject, message, options, (answer) => life.isAlive && onAnswer(answer))
    },
    subscribe: (pattern, handler) => {
      // Nobody listens there any more: a request learns that at once or by its time-out.
      return bus.subscribe(pattern, (delivery) => life.isAlive && handler(delivery))
    },
    close: () => {},
  }
}
