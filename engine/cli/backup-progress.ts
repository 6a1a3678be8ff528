/** How far a backup is, in memory that two threads share: what is done last is read last, and an old word beside a new number harms nobody. */
const textBytes = 120

export class Progress {
  readonly shared: SharedArrayBuffer
  readonly #numbers: Float64Array
  readonly #text: Uint8Array

  constructor(shared = new SharedArrayBuffer(24 + textBytes)) {
    this.shared = shared
    this.#numbers = new Float64Array(shared, 0, 3)
    this.#text = new Uint8Array(shared, 24, textBytes)
  }

  put(step: string, done = 0, total = 0): void {
    const bytes = Buffer.from(step, 'latin1').subarray(0, textBytes)
    this.#text.set(bytes)
    this.#numbers.set([done, total, bytes.length])
  }

  get(): { step: string; done: number; total: number } {
    const [done = 0, total = 0, length = 0] = this.#numbers
    return { step: Buffer.from(this.#text.slice(0, length)).toString('latin1'), done, total }
  }
}
