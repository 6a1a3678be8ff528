/**
 * The line between the engine and a plugin that lives elsewhere: text messages in order, each way, at most once.
 *
 * Two implementations: the message port of a worker thread (`worker.ts`) and a sealed pair of NATS subjects (`remote.ts`). `link.ts` is
 * the engine's end and `serve.ts` the plugin's. Nothing is kept for later: what cannot be handed on at once is refused by `send`, so
 * that whoever waits for an answer can act at once instead of at the end of a time-out.
 */
export interface ChannelEvents {
  onText(text: string): void
  /** Once, and nothing after it: the other side is gone, or nothing can reach it any more. */
  onClose(reason: string): void
  /** The way is cut for now (true) or there again (false); what was on it is lost. A thread's port is never cut. */
  onCut(isCut: boolean): void
}

export interface Channel {
  /** Where messages go from here on. What came before is delivered first. */
  open(events: ChannelEvents): void
  /** False: not sent, and never will be. */
  send(text: string): boolean
  close(reason: string): void
}
