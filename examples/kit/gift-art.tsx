/** Pictures of gifts, drawn here: nothing is loaded. A gift that nobody drew is a parcel in a colour of its own. */
import type { ComponentChildren } from 'preact'

const drawings: Record<string, () => ComponentChildren> = {
  heart: () => (
    <>
      <path d="M24 41S7 30 7 18.500A9.300 9.300 0 0 1 24 13a9.300 9.300 0 0 1 17 5.500C41 30 24 41 24 41z" fill="#ff5c7a" />
      <path d="M13 17c1-3 3.500-4 6-3.500" stroke="#ffc4cf" stroke-width="2.500" fill="none" stroke-linecap="round" />
    </>
  ),
  rose: () => (
    <>
      <path d="M24 24c1 7 1 12-1 20" stroke="#3fa06a" stroke-width="3" fill="none" stroke-linecap="round" />
      <path d="M24 36c5-5 9-4 11-5-1 5-5 8-11 7zM23 40c-4-4-8-3-10-4 1 4 5 7 10 6z" fill="#4ecb8d" />
      <circle cx="24" cy="16" r="12" fill="#d92f52" />
      <path d="M15 14c4-6 14-6 18 0-2 7-6 10-9 10s-7-3-9-10z" fill="#ff5c7a" />
      <path
        d="M24 21c-4-2-5-6-1-8 4-1 6 3 3 5-1 1-3 0-2-2"
        stroke="#8d1734"
        stroke-width="1.800"
        fill="none"
        stroke-linecap="round"
      />
    </>
  ),
  drink: () => (
    <>
      <path d="M27 14l4-11" stroke="#9ad7ff" stroke-width="3" stroke-linecap="round" />
      <path d="M11 14h26l-3.500 29a3 3 0 0 1-3 2.500h-13a3 3 0 0 1-3-2.500z" fill="#e9b98a" />
      <path d="M12.600 27h22.800L33.500 43a3 3 0 0 1-3 2.500h-13a3 3 0 0 1-3-2.500z" fill="#c98d5b" />
      <rect x="9" y="11" width="30" height="5" rx="2.500" fill="#fff3e2" />
      <g fill="#4a2a17">
        <circle cx="19" cy="40" r="2.600" />
        <circle cx="25" cy="41" r="2.600" />
        <circle cx="30" cy="38.500" r="2.600" />
        <circle cx="22" cy="35" r="2.600" />
        <circle cx="28" cy="33" r="2.600" />
      </g>
    </>
  ),
  lantern: () => (
    <>
      <path d="M24 3v7M24 38v7M20 44h8" stroke="#ffc163" stroke-width="2.500" stroke-linecap="round" />
      <ellipse cx="24" cy="24" rx="17" ry="13.500" fill="#e8432f" />
      <path
        d="M24 10.500v27M16 12.500c-5 7-5 16 0 23M32 12.500c5 7 5 16 0 23"
        stroke="#ffb24d"
        stroke-width="1.500"
        fill="none"
      />
      <rect x="17" y="8.500" width="14" height="4" rx="2" fill="#ffc163" />
      <rect x="17" y="35.500" width="14" height="4" rx="2" fill="#ffc163" />
    </>
  ),
  fireworks: () => (
    <g fill="none" stroke-linecap="round" stroke-width="2.600">
      <path d="M24 24V8M24 24v16M24 24H8M24 24h16" stroke="#ffd166" />
      <path d="M24 24L13 13M24 24l11 11M24 24L13 35M24 24l11-11" stroke="#ff7a93" />
      <path d="M24 24l-6-15M24 24l6 15M24 24l-15 6M24 24l15-6" stroke="#7cc7ff" stroke-width="1.600" />
      <circle cx="24" cy="24" r="3" fill="#fff" stroke="none" />
    </g>
  ),
  rocket: () => (
    <>
      <path d="M18 36c-1 5-4 6-4 9 4-1 6-2 8-4h4c2 2 4 3 8 4 0-3-3-4-4-9z" fill="#ffb24d" />
      <path d="M24 2c8 6 10 15 8 33H16C14 17 16 8 24 2z" fill="#eef0f6" />
      <path d="M24 2c4 3 6.500 6.500 7.700 11H16.300C17.500 8.500 20 5 24 2z" fill="#ff5c7a" />
      <path d="M16 24l-7 8v6l8-3zM32 24l7 8v6l-8-3z" fill="#e23f60" />
      <circle cx="24" cy="20" r="4.500" fill="#4d9de0" stroke="#a3aabd" stroke-width="1.500" />
    </>
  ),
}

export function GiftArt({ id }: { id: string }) {
  const draw = Object.hasOwn(drawings, id) ? drawings[id] : undefined
  return (
    <svg class="gift-art" viewBox="0 0 48 48" aria-hidden="true" focusable="false">
      {draw ? draw() : <Parcel hue={hueOf(id)} />}
    </svg>
  )
}

function Parcel({ hue }: { hue: number }) {
  return (
    <>
      <rect x="8" y="20" width="32" height="24" rx="3" fill={`hsl(${hue} 60% 52%)`} />
      <rect x="6" y="13" width="36" height="9" rx="3" fill={`hsl(${hue} 65% 60%)`} />
      <path d="M24 13v31" stroke="#fff" stroke-width="4" />
      <path d="M24 13c-6-1-10-3-9-6s7-2 9 6c2-8 8-9 9-6s-3 5-9 6z" fill="none" stroke="#fff" stroke-width="2.500" />
    </>
  )
}

const hueOf = (id: string) => [...id].reduce((sum, char) => (sum * 31 + (char.codePointAt(0) ?? 0)) % 360, 200)

export const Coin = () => <span class="coin" aria-hidden="true" />
