/**
 * What plays over the picture for a gift of the kind `effect`: animations of CSS alone, in viewer/gifts.css. Who asked for less motion
 * gets the picture of the gift and its words, standing still. An effect that nobody drew shows the gift itself, large.
 */
import type { ComponentChildren } from 'preact'
import { GiftArt } from '../kit/gift-art.tsx'

/** As long as the longest animation. */
export const effectMs = 3_600

const bursts = [
  { x: 28, y: 34, hue: 348, delayMs: 0 },
  { x: 70, y: 26, hue: 42, delayMs: 450 },
  { x: 48, y: 48, hue: 205, delayMs: 900 },
  { x: 80, y: 52, hue: 285, delayMs: 1_350 },
  { x: 18, y: 56, hue: 150, delayMs: 1_700 },
]
/** Three rings, turned against one another. */
const sparks = [32, 24, 14].flatMap((reach, ring) =>
  Array.from({ length: 14 }, (_, i) => ({ reach, angle: (360 / 14) * (i + ring / 3) })),
)

function Fireworks() {
  return bursts.map(({ x, y, hue, delayMs }) => (
    <span key={hue} class="burst" style={{ left: `${x}%`, top: `${y}%`, '--hue': String(hue), '--delay': `${delayMs}ms` }}>
      {sparks.map(({ angle, reach }) => (
        <i key={angle} style={{ '--angle': `${angle}deg`, '--reach': `${reach}cqh` }} />
      ))}
    </span>
  ))
}

function Rocket() {
  return (
    <span class="liftoff">
      <GiftArt id="rocket" />
      <span class="trail" />
    </span>
  )
}

const drawn: Record<string, () => ComponentChildren> = { fireworks: Fireworks, rocket: Rocket }

interface EffectProps {
  id: string
  giftId: string
  from: string
  name: string
}
export function Effect({ id, giftId, from, name }: EffectProps) {
  const draw = Object.hasOwn(drawn, id) ? drawn[id] : undefined
  return (
    <div class="effect" aria-hidden="true" data-testid="effect" data-effect={id}>
      <div class="effect-moving">
        {draw ? (
          draw()
        ) : (
          <span class="effect-large">
            <GiftArt id={giftId} />
          </span>
        )}
      </div>
      <p class="effect-words">
        <GiftArt id={giftId} />
        <span>
          <b>{from}</b> sent {name}
        </span>
      </p>
    </div>
  )
}
