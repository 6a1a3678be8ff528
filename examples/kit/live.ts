/**
 * One live room for a page: connects, joins, joins again quietly while the room is not live, and tells Preact what changed.
 *
 *     const live = useLive('demo', login?.token)
 *     live.connection.name, live.state?.online.unique, live.room?.send({ text: 'hi' })
 */
import {
  ClientClosedError,
  type ClientState,
  connect,
  type LiveClient,
  RefusedError,
  type RoomEnd,
  type RoomState,
  type RoomView,
} from 'livehouse/client'
import { useEffect, useState } from 'preact/hooks'

export interface Live {
  client: LiveClient | undefined
  connection: ClientState
  room: RoomView | undefined
  state: RoomState | undefined
  /** The room is not to be had now; the page asks again by itself. */
  notNow: RefusedError | undefined
  end: RoomEnd | undefined
}

const joinAgainMs = 3_000
const nothing: Live = {
  client: undefined,
  connection: { name: 'connecting' },
  room: undefined,
  state: undefined,
  notNow: undefined,
  end: undefined,
}

/** The engine that served this page. */
export function liveUrl(): string {
  const { protocol, host } = location
  return `${protocol === 'https:' ? 'wss' : 'ws'}://${host}/live`
}

/** Anonymous viewers are counted by device. */
export function deviceId(): string {
  const known = localStorage.getItem('livehouse.device')
  if (known && /^[A-Za-z0-9_-]{1,64}$/.test(known)) return known
  const made = Array.from(crypto.getRandomValues(new Uint8Array(12)), (byte) => byte.toString(16).padStart(2, '0')).join('')
  localStorage.setItem('livehouse.device', made)
  return made
}

export function useLive(roomId: string, token: string | undefined): Live {
  const [live, setLive] = useState<Live>(nothing)
  useEffect(() => {
    const client = connect({ url: liveUrl(), token, platform: 'web', deviceId: deviceId() })
    const update = (part: Partial<Live>) => setLive((before) => ({ ...before, ...part }))
    const stop = keepJoined(client, roomId, update)
    const wake = () => client.reconnectNow()
    addEventListener('online', wake)
    setLive({ ...nothing, client, connection: client.state })
    return () => {
      removeEventListener('online', wake)
      stop()
      client.close()
    }
  }, [roomId, token])
  return live
}

/** Joins until it works or can never work. Gives the way to stop. */
function keepJoined(client: LiveClient, roomId: string, update: (part: Partial<Live>) => void): () => void {
  let stopped = false
  let timer: ReturnType<typeof setTimeout> | undefined
  client.on('state', (connection) => {
    if (stopped) return
    update({ connection })
    if (connection.name === 'closed') finish({ code: 'connection.closed', message: connection.reason, detail: {} })
  })
  // The first reason is the one with the words in it: a kick says why, the close that follows does not.
  let ended = false
  const finish = (end: RoomEnd) => {
    if (stopped || ended) return
    ended = true
    update({ end })
  }

  const watch = (room: RoomView) => {
    room.on('change', (state) => update({ state }))
    room.on('ended', finish)
    update({ room, state: room.state, notNow: undefined, end: undefined })
  }
  const join = async () => {
    try {
      const room = await client.join(roomId)
      if (!stopped) watch(room)
    } catch (error) {
      if (stopped || error instanceof ClientClosedError) return
      if (error instanceof RefusedError && !error.retry)
        return finish({ code: error.code, message: error.message, detail: error.detail })
      if (error instanceof RefusedError) update({ notNow: error })
      timer = setTimeout(join, joinAgainMs)
    }
  }
  void join()
  return () => {
    stopped = true
    clearTimeout(timer)
  }
}
