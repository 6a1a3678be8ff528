/** Remote instances that proved whose they are and wait for an operator to approve what they ask for. Nothing of them is in force. */
import type { ManifestShape } from '../manifest.ts'
import type { RemoteInstance } from '../remote/remote.ts'

export interface PendingInstance {
  instance: RemoteInstance
  manifest: ManifestShape
}

export const pendingInstancesMax = 8

export class Waiting {
  readonly #byName = new Map<string, readonly PendingInstance[]>()

  of(name: string): readonly PendingInstance[] {
    return this.#byName.get(name) ?? []
  }

  /** False: there are enough already. */
  add(pending: PendingInstance): boolean {
    const { name, channel } = pending.instance
    const waiting = this.of(name)
    if (waiting.length >= pendingInstancesMax) return false
    this.#byName.set(name, [...waiting, pending])
    channel.open({ onText: () => {}, onCut: () => {}, onClose: () => this.#forget(name, pending) })
    return true
  }

  #forget(name: string, pending: PendingInstance): void {
    const left = this.of(name).filter((other) => other !== pending)
    if (left.length > 0) this.#byName.set(name, left)
    else this.#byName.delete(name)
  }

  /** They wait no longer: approved. */
  take(name: string): readonly PendingInstance[] {
    const waiting = this.of(name)
    this.#byName.delete(name)
    return waiting
  }

  drop(name: string, reason: string): void {
    for (const { instance } of this.take(name)) instance.channel.close(reason)
  }
}
