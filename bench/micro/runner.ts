/**
 * A small runner: nanoseconds per operation, the best and the middle of several rounds.
 *
 * The timer includes the call, the loop around it, and the garbage collection that falls into a round. The result of each call is
 * kept in a variable that outlives the loop, so that the compiler cannot drop the work. Best: the code itself; middle: with what
 * the machine did beside it. Compare lines of one run, not of two.
 */
const roundMs = 150
const rounds = 9
const warmMs = 200

let sink: unknown

export function bench(name: string, run: () => unknown, operations = 1): void {
  let batch = 1
  for (let spent = 0, begin = performance.now(); spent < warmMs; spent = performance.now() - begin) {
    const took = time(run, batch)
    if (took < 5) batch *= 2
  }
  const perRound = Math.max(1, Math.round((batch * roundMs) / Math.max(0.001, time(run, batch))))
  const results = Array.from({ length: rounds }, () => (time(run, perRound) * 1e6) / perRound / operations).sort((a, b) => a - b)
  const [best, middle] = [results[0] as number, results[rounds >> 1] as number]
  console.log(`${name.padEnd(56)} ${best.toFixed(0).padStart(9)} ns best ${middle.toFixed(0).padStart(9)} ns middle`)
}

function time(run: () => unknown, times: number): number {
  const begin = performance.now()
  for (let i = 0; i < times; i++) sink = run()
  return performance.now() - begin
}

/** For whoever wonders whether the work was done. */
export const lastResult = (): unknown => sink
