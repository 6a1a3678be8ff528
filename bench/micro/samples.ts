/** What the micro benches work on: a danmaku as a room sends it and the request that it came from. */
import type { EventEnvelope, RequestEnvelope } from '../../schemas/wire.ts'

const text = 'what a goal, look at that one again, he is on fire tonight and nobody is going to stop him now'

export function danmaku(seq: number): EventEnvelope {
  const id = `01JD6QX7M2${String(seq).padStart(16, '0')}`
  const from = { id: 'viewer-4711', name: 'a viewer with a name' }
  const d = { id, from, text, mode: 'scroll', color: 0xffffff, size: 'm' }
  return { t: 'danmaku.sent', room: 'demo', seq, at: 1_760_000_000_000 + seq, d }
}

export const request: RequestEnvelope = { id: '31', t: 'danmaku.send', room: 'demo', d: { text, mode: 'scroll' } }
