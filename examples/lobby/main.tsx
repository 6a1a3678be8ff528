/** The lobby: rooms that are live now, the fullest first. `/` */
import { type CommandReply, connect, type LiveClient } from 'livehouse/client'
import { render } from 'preact'
import { useEffect, useState } from 'preact/hooks'
import { deviceId, liveUrl } from '../kit/live.ts'
import { Brand, Icon } from '../kit/parts.tsx'
import { durationWords, explainError, shortNumber } from '../kit/words.ts'

type Item = CommandReply<'room.list'>['items'][number]
const refreshMs = 5_000
const roomsShownMax = 60

function Lobby() {
  const { items, problem } = useRooms()
  return (
    <div class="lobby">
      <header>
        <Brand home="./" />
        <a class="button" href="./studio/?room=demo">
          Open the studio
        </a>
      </header>
      <main>
        <h1>On air</h1>
        <p class="intro">
          Livehouse is an engine for live rooms: danmaku over the picture, a chat, likes, and who is here. Watch one of the rooms
          below, or host the demo room from <a href="./studio/?room=demo">the studio</a>.
        </p>
        {problem && <p class="problem">{problem}</p>}
        {items?.length === 0 && (
          <p class="empty" data-testid="no-rooms">
            No room is live right now. <a href="./studio/?room=demo">Open the demo room in the studio</a>, and it shows up here by
            itself.
          </p>
        )}
        {!items && !problem && <p class="hint">Looking around</p>}
        <ul class="rooms" data-testid="rooms">
          {items?.map((item) => (
            <RoomCard key={item.id} item={item} />
          ))}
        </ul>
      </main>
    </div>
  )
}

function RoomCard({ item }: { item: Item }) {
  return (
    <li>
      <a class="card" href={`./watch/?room=${encodeURIComponent(item.id)}`} data-testid={`room-${item.id}`}>
        <span class="cover" style={{ '--hue': String(hueOf(item.id)) }} aria-hidden="true">
          <span class="on-air">Live</span>
        </span>
        <span class="facts">
          <strong>{item.title}</strong>
          <span class="meta">
            <Icon name="people" /> {shortNumber(item.online)} watching, on for {durationWords(Date.now() - item.openedAt)}
          </span>
        </span>
      </a>
    </li>
  )
}

/** From violet over rose to amber: what goes with the rest of the page. */
const hueOf = (id: string) => 250 + [...id].reduce((sum, char) => (sum * 31 + (char.codePointAt(0) ?? 0)) % 140, 20)

function useRooms(): { items: Item[] | undefined; problem: string } {
  const [items, setItems] = useState<Item[]>()
  const [problem, setProblem] = useState('')
  useEffect(() => {
    const client = connect({ url: liveUrl(), platform: 'web', deviceId: deviceId() })
    const refresh = async () => {
      if (document.hidden) return
      try {
        setItems(await listRooms(client))
        setProblem('')
      } catch (error) {
        setProblem(explainError(error).text)
      }
    }
    void refresh()
    const timer = setInterval(refresh, refreshMs)
    return () => {
      clearInterval(timer)
      client.close()
    }
  }, [])
  return { items, problem }
}

async function listRooms(client: LiveClient): Promise<Item[]> {
  const { items } = await client.call('room.list', { limit: roomsShownMax })
  return items.sort((a, b) => b.online - a.online)
}

const place = document.getElementById('app')
if (place) render(<Lobby />, place)
