/**
 * What one router has, made playable at another one: of the same room, of a layout, of another room; on the same worker or not.
 *
 *     const pipe = new Pipe({ from: main.router, to: far.router })
 *     const producerId = await pipe.producerOf(trackProducerId)       // piped once, as long as it lives
 *     pipe.close()
 *
 * mediasoup has one of its own (`pipeToRouter`), but that stays until one of the routers ends, and where it could not be made once it
 * cannot be made again.
 */
import type { types } from 'mediasoup'
import { byClient, gone } from './problem.ts'

type Ends = readonly [near: types.PipeTransport, far: types.PipeTransport]

/** A worker that waits for its core loses nothing at once, and asks again for what it lost. */
const listenInfo = { protocol: 'udp', ip: '127.0.0.1', recvBufferSize: 1_048_576, sendBufferSize: 1_048_576 } as const

export class Pipe {
  readonly #from: types.Router
  readonly #to: types.Router
  readonly #piped = new Map<string, Promise<string>>()
  #ends: Promise<Ends> | undefined
  #isClosed = false

  constructor({ from, to }: { from: types.Router; to: types.Router }) {
    this.#from = from
    this.#to = to
  }

  /** The id under which a producer of the one router can be consumed at the other: never its own, since both may be of one worker. */
  producerOf(producerId: string): Promise<string> {
    const known = this.#piped.get(producerId)
    if (known) return known
    const piped = this.#pipe(producerId)
    this.#piped.set(producerId, piped)
    piped.catch(() => this.#forget(producerId, piped))
    return piped
  }

  #forget(producerId: string, piped: Promise<string>): void {
    if (this.#piped.get(producerId) === piped) this.#piped.delete(producerId)
  }

  async #pipe(producerId: string): Promise<string> {
    const [near, far] = await this.#open()
    if (near.closed) throw gone('pipe')
    const consumer = await byClient(near.consume({ producerId }))
    const { kind, rtpParameters, producerPaused } = consumer
    try {
      const producer = await far.produce({ kind, rtpParameters, paused: producerPaused })
      follow(consumer, producer)
      producer.observer.on('close', () => this.#piped.delete(producerId))
      // It may have ended, or have been muted, while this was made.
      if (consumer.closed || producer.closed) throw gone('track')
      if (consumer.producerPaused !== producerPaused) await (consumer.producerPaused ? producer.pause() : producer.resume())
      return producer.id
    } catch (error) {
      consumer.close()
      throw error
    }
  }

  #open(): Promise<Ends> {
    if (this.#isClosed) return Promise.reject(gone('pipe'))
    if (this.#ends) return this.#ends
    const opening = openEnds(this.#from, this.#to)
    this.#ends = opening
    const forget = () => {
      if (this.#ends === opening) this.#ends = undefined
    }
    opening.then(([near]) => near.observer.on('close', forget)).catch(forget)
    return opening
  }

  close(): void {
    this.#isClosed = true
    // The other end, and all that goes through, ends with it.
    this.#ends?.then(([near]) => near.close()).catch(() => undefined)
  }
}

async function openEnds(from: types.Router, to: types.Router): Promise<Ends> {
  const wish = { listenInfo, enableRtx: true }
  const made = await Promise.allSettled([from.createPipeTransport(wish), to.createPipeTransport(wish)])
  const ends = made.flatMap((one) => (one.status === 'fulfilled' ? [one.value] : []))
  const closeAll = () => {
    for (const end of ends) end.close()
  }
  try {
    for (const one of made) if (one.status === 'rejected') throw one.reason
    const [near, far] = ends as [types.PipeTransport, types.PipeTransport]
    const addressOf = ({ tuple }: types.PipeTransport) => ({ ip: tuple.localAddress, port: tuple.localPort })
    await Promise.all([near.connect(addressOf(far)), far.connect(addressOf(near))])
    for (const end of ends) end.observer.on('close', closeAll)
    if (ends.some(({ closed }) => closed)) throw gone('router')
    return [near, far]
  } catch (error) {
    closeAll()
    throw error
  }
}

function follow(consumer: types.Consumer, producer: types.Producer): void {
  const failed = () => undefined // it is closing
  consumer.observer.on('close', () => producer.close())
  consumer.on('producerpause', () => void producer.pause().catch(failed))
  consumer.on('producerresume', () => void producer.resume().catch(failed))
  producer.observer.on('close', () => consumer.close())
  if (consumer.closed) producer.close()
}
