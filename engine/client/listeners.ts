/**
 * Typed listeners: a map from event name to the arguments that its listeners take. A listener that throws, or whose promise
 * fails, breaks nobody: the fault goes to `onFault`, and the next listener is called.
 *
 *     const listeners = new Listeners<{ state: [State] }>((fault) => report(fault))
 *     const off = listeners.on('state', (state) => show(state))
 */

export type Off = () => void

export class Listeners<Events extends { [Name in keyof Events]: unknown[] }> {
  /** A listener stands under its own name only: that is what the cast in `emit` relies on. */
  readonly #byName = new Map<keyof Events, Set<unknown>>()
  readonly #onFault: (error: unknown) => void

  constructor(onFault: (error: unknown) => void) {
    this.#onFault = onFault
  }

  on<Name extends keyof Events>(name: Name, listener: (...args: Events[Name]) => void): Off {
    const known = this.#byName.get(name) ?? new Set()
    this.#byName.set(name, known)
    known.add(listener)
    return () => known.delete(listener)
  }

  has(name: keyof Events): boolean {
    return (this.#byName.get(name)?.size ?? 0) > 0
  }

  emit<Name extends keyof Events>(name: Name, ...args: Events[Name]): void {
    for (const listener of [...(this.#byName.get(name) ?? [])]) {
      try {
        const result = (listener as (...args: Events[Name]) => unknown)(...args)
        if (result instanceof Promise) result.catch(this.#onFault)
      } catch (error) {
        this.#onFault(error)
      }
    }
  }
}
