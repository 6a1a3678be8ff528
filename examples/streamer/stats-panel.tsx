/** Online, danmaku and likes over the last ten minutes, as this page saw them. */
import type { RoomState, RoomView } from 'livehouse/client'
import { useEffect, useRef, useState } from 'preact/hooks'
import { shortNumber } from '../kit/words.ts'

const sampleMs = 5_000
const samplesMax = 120
const perMinute = 60_000 / sampleMs

interface Samples {
  online: number[]
  danmaku: number[]
  likes: number[]
}

export function StatsPanel({ room, state }: { room: RoomView; state: RoomState }) {
  const { samples, minute } = useSamples(room)
  return (
    <section class="panel stats" aria-label="Figures">
      <Figure label="online" value={state.online.unique} values={samples.online} hue={205} />
      <Figure label="danmaku/min" value={minute.danmaku} values={samples.danmaku} hue={348} />
      <Figure label="likes" value={state.likes} values={samples.likes} hue={38} />
    </section>
  )
}

const chart = { width: 160, height: 44 }

function Figure({ label, value, values, hue }: { label: string; value: number; values: number[]; hue: number }) {
  const most = Math.max(1, ...values)
  const points = values.map((each, i) => {
    const x = values.length > 1 ? (i / (values.length - 1)) * chart.width : chart.width
    return `${x.toFixed(1)},${(chart.height - 2 - (each / most) * (chart.height - 6)).toFixed(1)}`
  })
  const line = points.join(' ')
  return (
    <figure style={{ '--hue': String(hue) }}>
      <figcaption>
        <b data-testid={`figure-${label.split('/')[0]}`}>{shortNumber(value)}</b>
        <span>{label}</span>
      </figcaption>
      {points.length > 1 ? (
        <svg
          viewBox={`0 0 ${chart.width} ${chart.height}`}
          preserveAspectRatio="none"
          role="img"
          aria-label={`${label}, last ten minutes`}
        >
          <polygon points={`0,${chart.height} ${line} ${chart.width},${chart.height}`} />
          <polyline points={line} />
        </svg>
      ) : (
        <p class="no-line">Graph soon</p>
      )}
    </figure>
  )
}

/** One sample every 5 s; likes are those since the last sample, so that the line shows when people cheered. */
function useSamples(room: RoomView): { samples: Samples; minute: { danmaku: number } } {
  const counts = useRef({ danmaku: 0, likes: 0 })
  const [samples, setSamples] = useState<Samples>({ online: [], danmaku: [], likes: [] })
  useEffect(() => {
    counts.current = { danmaku: 0, likes: room.state.likes }
    const off = room.on('danmaku.sent', () => {
      counts.current.danmaku++
    })
    const sample = () => {
      const { danmaku, likes } = counts.current
      const { online, likes: likesNow } = room.state
      counts.current = { danmaku: 0, likes: likesNow }
      setSamples((before) => ({
        online: [...before.online, online.unique].slice(-samplesMax),
        danmaku: [...before.danmaku, danmaku].slice(-samplesMax),
        likes: [...before.likes, Math.max(0, likesNow - likes)].slice(-samplesMax),
      }))
    }
    const timer = setInterval(sample, sampleMs)
    return () => {
      clearInterval(timer)
      off()
    }
  }, [room])
  const danmaku = samples.danmaku.slice(-perMinute).reduce((sum, each) => sum + each, 0)
  return { samples, minute: { danmaku } }
}
