/** One thread of the swarm: does what it is asked, in order, and answers each question once. */
import { parentPort } from 'node:worker_threads'
import { Crowd } from './crowd.ts'
import type { Ask } from './swarm.ts'

let crowd: Crowd | undefined

async function answer(ask: Ask): Promise<unknown> {
  if (ask.op === 'connect') {
    crowd = new Crowd(ask.options)
    return crowd.connect()
  }
  if (!crowd) throw new Error('connect first')
  switch (ask.op) {
    case 'phase':
      return crowd.phase(ask.number)
    case 'talk':
      return crowd.talk(ask.perS, ask.forMs)
    case 'counts':
      return crowd.counts()
    case 'times':
      return { count: crowd.times.count, maxMs: crowd.times.maxMs, bins: crowd.times.bins }
    case 'end':
      return crowd.end()
  }
}

// A talk lasts for seconds, and the counts are asked for meanwhile only by a mistake: questions wait for their turn.
let turn = Promise.resolve()
parentPort?.on('message', (ask: Ask) => {
  turn = turn.then(async () => {
    try {
      parentPort?.postMessage({ value: await answer(ask) })
    } catch (error) {
      parentPort?.postMessage({ error: error instanceof Error ? error.message : String(error) })
    }
  })
})
