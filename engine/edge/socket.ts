/**
 * What the edge needs of a socket library. Two real implementations: uWebSockets.js (`gateway.ts`) and the simulated network of the
 * seeded simulation. Nothing here may be used after `onClose`.
 */
import type { Encoding } from '../../schemas/wire.ts'

export interface Socket {
  readonly encoding: Encoding
  /** Network address as text, after trusted proxies. */
  readonly address: string
  send(frame: Uint8Array): void
  /** A WebSocket ping behind everything that was written; the pong comes back as `onPong`. */
  ping(): void
  close(code: number, reason: string): void
  subscribe(topic: string): void
  unsubscribe(topic: string): void
  /** Bytes handed over and not yet taken by the kernel. */
  bufferedBytes(): number
}

export interface Fanout {
  /** One frame to every socket that is subscribed. */
  publish(topic: string, frame: Uint8Array, encoding: Encoding): void
}

export interface SocketHandler {
  onFrame(frame: Uint8Array, isBinary: boolean): void
  onPong(): void
  onClose(): void
}
