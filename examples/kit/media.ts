/**
 * Picture and sound of a room for a page. They are loaded when somebody needs them: a room without a show costs its viewers nothing.
 *
 *     const { media, view } = useMedia(live, isNeeded)
 *     view?.play.state, media?.setMuted(false)
 */
import type { MediaView, PublicationEnd, RoomMedia } from 'livehouse/client'
import { useEffect, useRef, useState } from 'preact/hooks'
import type { Live } from './live.ts'

export interface PageMedia {
  media: RoomMedia | undefined
  view: MediaView | undefined
}

export function useMedia({ room }: Pick<Live, 'room'>, isNeeded: boolean, onEnded: (end: PublicationEnd) => void): PageMedia {
  const [media, setMedia] = useState<RoomMedia>()
  const [view, setView] = useState<MediaView>()
  const ended = useRef(onEnded)
  ended.current = onEnded
  const wasNeeded = useRef(false)
  if (isNeeded) wasNeeded.current = true
  const isWanted = wasNeeded.current
  useEffect(() => {
    if (!room || !isWanted) return
    let stopped = false
    const offs: (() => void)[] = []
    room.media().then((made) => {
      if (stopped) return
      setMedia(made)
      setView(made.view)
      offs.push(
        made.on('change', setView),
        made.on('ended', (end) => ended.current(end)),
      )
    })
    return () => {
      stopped = true
      for (const off of offs) off()
      setMedia(undefined)
      setView(undefined)
    }
  }, [room, isWanted])
  return { media, view }
}

/** A stream in an element that is on the page already. */
export function useStream(stream: MediaStream | undefined) {
  const element = useRef<HTMLVideoElement>(null)
  useEffect(() => {
    if (element.current) element.current.srcObject = stream ?? null
  }, [stream])
  return element
}
