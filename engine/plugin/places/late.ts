/**
 * An answer that comes later, for one listener, without a promise: there is one for each message that a plugin elsewhere checks, and a
 * promise with its listener is a tenth of what such a check costs.
 *
 *     const answer = place.check(0, ask, 50)
 *     if (answer instanceof Late) answer.then(onAnswer, onFailure)     // called once, at once when it is there already
 *     await answer                                                     // works too
 */
export class Late implements PromiseLike<unknown> {
  isSettled = false
  #isFailed = false
  #value: unknown
  #onAnswer: ((answer: unknown) => unknown) | undefined
  #onFailure: ((failure: unknown) => unknown) | undefined

  static failed(failure: unknown): Late {
    const late = new Late()
    late.fail(failure)
    return late
  }

  answer(value: unknown): void {
    if (this.isSettled) return
    this.isSettled = true
    if (this.#onAnswer) this.#onAnswer(value)
    else this.#value = value
  }

  fail(failure: unknown): void {
    if (this.isSettled) return
    this.isSettled = true
    this.#isFailed = true
    if (this.#onFailure) this.#onFailure(failure)
    else this.#value = failure
  }

  /** The listeners must not throw. What they answer goes nowhere: nothing can be chained. */
  // biome-ignore lint/suspicious/noThenProperty: it is what makes `await` work
  then<A, B>(
    onAnswer?: ((answer: unknown) => A | PromiseLike<A>) | null,
    onFailure?: ((failure: unknown) => B | PromiseLike<B>) | null,
  ): PromiseLike<A | B> {
    if (!this.isSettled) {
      this.#onAnswer = onAnswer ?? undefined
      this.#onFailure = onFailure ?? undefined
    } else if (this.#isFailed) onFailure?.(this.#value)
    else onAnswer?.(this.#value)
    return this as unknown as PromiseLike<A | B>
  }
}
