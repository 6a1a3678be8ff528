/** What browser tests share: a network between browser and engine that can be lost. */
import { type AddressInfo, connect as connectTcp, createServer, type Server, type Socket } from 'node:net'

/** A pipe to the engine that can be cut and mended. */
export class Pipe {
  readonly #server: Server
  readonly #sockets = new Set<Socket>()
  #whole = true
  constructor(port: number) {
    this.#server = createServer((near) => {
      if (!this.#whole) return void near.destroy()
      const far = connectTcp(port, '127.0.0.1')
      for (const [one, other] of [
        [near, far],
        [far, near],
      ] as const) {
        this.#sockets.add(one)
        one.pipe(other)
        one.on('error', () => other.destroy())
        one.on('close', () => {
          this.#sockets.delete(one)
          other.destroy()
        })
      }
    })
  }
  listen(): Promise<string> {
    return new Promise((resolve) => {
      this.#server.listen(0, '127.0.0.1', () => resolve(`http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`))
    })
  }
  cut(): void {
    this.#whole = false
    for (const socket of this.#sockets) socket.destroy()
  }
  mend(): void {
    this.#whole = true
  }
  close(): Promise<void> {
    this.cut()
    return new Promise((resolve) => this.#server.close(() => resolve()))
  }
}
