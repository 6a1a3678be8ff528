/**
 * A value, or the promise of one: synchronous until a promise.
 *
 *     after(source.lastPos(), (pos) => ...)            // at once where the answer is there at once
 *
 * SQLite answers within the turn of whoever asks, which the simulation counts on; Postgres answers later.
 */
export type Soon<T> = T | Promise<T>

export const after = <T, U>(value: Soon<T>, next: (value: T) => Soon<U>): Soon<U> =>
  value instanceof Promise ? value.then(next) : next(value)
