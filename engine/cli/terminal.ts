/** What the commands of `livehouse` share: the way to the terminal, and the signal to stop. */
import { SystemClock } from '../base/clock.ts'

export const print = (text: string): void => void process.stdout.write(`${text}\n`)
export const complain = (text: string): void => void process.stderr.write(`${text}\n`)

/** Ctrl-C under npm comes twice at once, from the terminal and from npm: that is one wish to stop. */
const sameSignalMs = 500
const aliveMs = 60_000

/** Resolves at the first SIGTERM or SIGINT; a later one ends the process at once. Until then the process lives. */
export function stopSignal(): Promise<void> {
  const clock = new SystemClock()
  // Signal handlers and timers of the clock keep no process alive, and a plugin may wait for its NATS server for hours.
  const alive = setInterval(() => {}, aliveMs)
  return new Promise((resolve) => {
    let firstAt: number | undefined
    const onSignal = (signal: NodeJS.Signals) => {
      firstAt ??= clock.now()
      if (clock.now() - firstAt > sameSignalMs) process.exit(signal === 'SIGINT' ? 130 : 143)
      clearInterval(alive)
      resolve()
    }
    process.on('SIGTERM', onSignal).on('SIGINT', onSignal)
  })
}

/** What a command cannot do, in words for a person: shown without a stack. */
export class CommandError extends Error {
  constructor(message: string) {
    super(message)
    this.name = 'CommandError'
  }
}

/** One line that is written over and over on a terminal; elsewhere a line for each new step. */
export function progressLine(): { step(text: string, done?: number, total?: number): void; end(): void } {
  const { isTTY, columns = 80 } = process.stderr
  let shown = ''
  const put = (line: string) => {
    if (line === shown) return
    shown = line
    process.stderr.write(isTTY ? `\r\u001b[K${line.slice(0, columns - 1)}` : `${line}\n`)
  }
  return {
    step(text, done = 0, total = 0) {
      const part = isTTY && total > 0 ? ` ${Math.floor((100 * done) / total)} %` : ''
      put(`  ${text}${part}`)
    },
    end() {
      if (isTTY && shown !== '') process.stderr.write('\r\u001b[K')
      shown = ''
    },
  }
}
