/**
 * Send-to-receive times in bins of 0.1 ms up to 10 s; what is later falls into the last bin and shows in `maxMs`.
 * Histograms of several threads add up.
 */
const binUs = 100
const bins = 100_000

export class Histogram {
  count = 0
  maxMs = 0
  readonly bins: Uint32Array

  constructor(from?: { count: number; maxMs: number; bins: Uint32Array }) {
    this.bins = from ? from.bins : new Uint32Array(bins)
    this.count = from?.count ?? 0
    this.maxMs = from?.maxMs ?? 0
  }

  add(us: number): void {
    const bin = Math.min(bins - 1, Math.max(0, Math.floor(us / binUs)))
    this.bins[bin] = (this.bins[bin] as number) + 1
    this.count++
    if (us / 1000 > this.maxMs) this.maxMs = us / 1000
  }

  merge(other: { count: number; maxMs: number; bins: Uint32Array }): void {
    for (let i = 0; i < bins; i++) this.bins[i] = (this.bins[i] as number) + (other.bins[i] as number)
    this.count += other.count
    this.maxMs = Math.max(this.maxMs, other.maxMs)
  }

  clear(): void {
    this.bins.fill(0)
    this.count = 0
    this.maxMs = 0
  }

  /** The upper end of the bin that holds the given share of the samples, in ms; `undefined` without samples. */
  quantileMs(share: number): number | undefined {
    if (this.count === 0) return undefined
    const rank = Math.max(1, Math.ceil(share * this.count))
    let seen = 0
    for (let i = 0; i < bins; i++) {
      seen += this.bins[i] as number
      if (seen >= rank) return Math.min(((i + 1) * binUs) / 1000, Math.max(this.maxMs, binUs / 1000))
    }
    return this.maxMs
  }
}
