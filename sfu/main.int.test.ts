/** The node as a process: it says how far it is, answers, and ends with whoever started it, leaving no worker behind. */
import { type ChildProcess, fork, spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { afterEach, expect, test } from 'vitest'
import type { FromSfu, NodeInfo } from '../schemas/sfu.ts'

const main = fileURLToPath(new URL('./main.ts', import.meta.url))
const tsx = import.meta.resolve('tsx')
const started: ChildProcess[] = []
afterEach(() => {
  for (const child of started.splice(0)) child.kill('SIGKILL')
})

async function start() {
  const options = JSON.stringify({ workers: 2, logLevel: 'error' })
  const child = fork(main, [options], { execArgv: ['--import', tsx], stdio: ['ignore', 'ignore', 'inherit', 'ipc'] })
  started.push(child)
  const states: string[] = []
  await new Promise<void>((resolve) =>
    child.on('message', (message: FromSfu) => {
      if (!('event' in message) || message.event.t !== 'node.state') return
      states.push(message.event.state.is)
      if (message.event.state.is === 'ready') resolve()
    }),
  )
  return { child, states }
}

function ask(child: ChildProcess, message: unknown): Promise<FromSfu> {
  const { id } = message as { id: number }
  return new Promise((resolve) => {
    const hear = (answer: FromSfu) => {
      if ('event' in answer || answer.id !== id) return
      child.off('message', hear)
      resolve(answer)
    }
    child.on('message', hear)
    child.send(message as object)
  })
}

async function pidsOf(child: ChildProcess): Promise<number[]> {
  const answer = await ask(child, { id: 1, t: 'node.describe', d: {} })
  if ('event' in answer || !answer.ok) throw new Error('no answer')
  return (answer.d as NodeInfo).workers.map(({ pid }) => pid)
}

/** Not a zombie that its parent has not looked at. */
function isAlive(pid: number): boolean {
  try {
    return !/^State:\s+Z/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'))
  } catch {
    return false
  }
}
const untilGone = async (pids: readonly number[]) => {
  while (pids.some(isAlive)) await new Promise((resolve) => setTimeout(resolve, 20))
}

test.each(['SIGTERM', 'SIGKILL', 'disconnect'] as const)('%s: the node ends, and its workers with it', async (how) => {
  const { child, states } = await start()
  expect(states[0]).toBe('starting')
  const pids = await pidsOf(child)
  expect(pids.every(isAlive)).toBe(true)
  expect(await ask(child, { id: 2, t: 'room.open', d: { room: 'no such id' } })).toMatchObject({
    err: { code: 'stream.bad_params' },
  })
  expect(await ask(child, { id: 3 })).toMatchObject({ ok: false, err: { code: 'stream.bad_params' } })
  const gone = once(child, 'exit')
  if (how === 'disconnect') child.disconnect()
  else child.kill(how)
  await gone
  await untilGone(pids)
})

test('whoever started it is killed: node and workers are gone', async () => {
  const parent = spawn(
    process.execPath,
    [
      '-e',
      `const child = require('node:child_process').fork(${JSON.stringify(main)}, ['{"workers":1,"logLevel":"error"}'], {
        execArgv: ['--import', ${JSON.stringify(tsx)}], stdio: ['ignore', 'ignore', 'inherit', 'ipc'] })
      child.on('message', (message) => {
        if (message.event?.state?.is === 'ready') child.send({ id: 1, t: 'node.describe', d: {} })
        if (message.id === 1) console.log(JSON.stringify([child.pid, ...message.d.workers.map(({ pid }) => pid)]))
      })`,
    ],
    { stdio: ['ignore', 'pipe', 'inherit'] },
  )
  started.push(parent)
  const [line] = (await once(parent.stdout as NonNullable<typeof parent.stdout>, 'data')) as [Buffer]
  const pids = JSON.parse(line.toString()) as number[]
  expect(pids).toHaveLength(2)
  expect(pids.every(isAlive)).toBe(true)
  parent.kill('SIGKILL')
  await untilGone(pids)
})
