/**
 * `POST /dev/crowd`: fill the demo room with `demoCrowd` simulated viewers for ten minutes, so that the first look at a fresh clone is a
 * live room. Our pages ask for it when they open; scripts and bots that only use the socket never meet it. It is `livehouse crowd` in a
 * process of its own, on the public socket like anybody. Exists only beside `POST /dev/token` and with `demoCrowd` over 0.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import type { Config } from '../config.ts'
import { isOurs, json } from './dev-login.ts'
import type { HttpHandler } from './gateway.ts'

const minutes = 10
/** A talker every 14 s on average: lively, and still readable. */
const secondsPerMessage = 14

export interface DevCrowd {
  handler: HttpHandler
  stop(): void
}

export function devCrowd(config: Config, webSocketUrl: () => string): DevCrowd {
  const main = fileURLToPath(new URL('../main.js', import.meta.url))
  let child: ChildProcess | undefined
  const start = () => {
    const rate = (config.demoCrowd / secondsPerMessage).toFixed(2)
    const flags = { url: webSocketUrl(), room: config.demoRoom, viewers: config.demoCrowd, rate, minutes }
    const argv = Object.entries(flags).map(([name, value]) => `--${name}=${value}`)
    const crowd = spawn(process.execPath, [main, 'crowd', ...argv], { stdio: 'ignore' })
    const gone = () => {
      if (child === crowd) child = undefined
    }
    crowd.once('exit', gone)
    crowd.once('error', gone)
    child = crowd
  }
  return {
    handler: (request) => {
      if (!isOurs(request)) return json(403, { error: 'Host and Origin must be this server.' })
      if (!child && existsSync(main)) start()
      return json(200, { viewers: child ? config.demoCrowd : 0 })
    },
    stop: () => child?.kill('SIGTERM'),
  }
}
