/**
 * What is to be seen while there is no picture: slow light over a dusk sky.
 * Drawn at most 20 times a second, once a second for who asked for less motion, never while the tab is hidden.
 */
const frameMs = 50
const calmFrameMs = 1_000

interface Light {
  hue: number
  radius: number
  speed: number
  phase: number
}
const lights: Light[] = [
  { hue: 345, radius: 0.55, speed: 0.11, phase: 0 },
  { hue: 265, radius: 0.7, speed: 0.07, phase: 2 },
  { hue: 205, radius: 0.6, speed: 0.09, phase: 4 },
]

export function startScene(canvas: HTMLCanvasElement): () => void {
  const context = canvas.getContext('2d')
  if (!context) return () => {}
  const calm = matchMedia('(prefers-reduced-motion: reduce)')
  let frame = 0
  let drawnAt = Number.NEGATIVE_INFINITY
  const step = (now: number) => {
    frame = requestAnimationFrame(step) // stands still by itself while the tab is hidden
    if (now - drawnAt < (calm.matches ? calmFrameMs : frameMs)) return
    drawnAt = now
    matchSize(canvas)
    draw(context, calm.matches ? 0 : now / 1_000)
  }
  frame = requestAnimationFrame(step)
  return () => cancelAnimationFrame(frame)
}

/** One canvas pixel per CSS pixel is enough for soft light, and cheap. */
function matchSize(canvas: HTMLCanvasElement): void {
  const { clientWidth, clientHeight } = canvas
  if (canvas.width === clientWidth && canvas.height === clientHeight) return
  canvas.width = clientWidth
  canvas.height = clientHeight
}

function draw(context: CanvasRenderingContext2D, seconds: number): void {
  const { width, height } = context.canvas
  const sky = context.createLinearGradient(0, 0, 0, height)
  sky.addColorStop(0, '#12162a')
  sky.addColorStop(0.6, '#1d1b36')
  sky.addColorStop(1, '#0d0f18')
  context.fillStyle = sky
  context.fillRect(0, 0, width, height)
  context.globalCompositeOperation = 'lighter'
  for (const light of lights) drawLight(context, light, seconds)
  context.globalCompositeOperation = 'source-over'
}

function drawLight(context: CanvasRenderingContext2D, { hue, radius, speed, phase }: Light, seconds: number): void {
  const { width, height } = context.canvas
  const x = width * (0.5 + 0.4 * Math.cos(seconds * speed * 2 + phase))
  const y = height * (0.45 + 0.3 * Math.sin(seconds * speed * 3 + phase))
  const reach = Math.max(width, height) * radius
  const glow = context.createRadialGradient(x, y, 0, x, y, reach)
  glow.addColorStop(0, `hsl(${hue} 70% 45% / 0.42)`)
  glow.addColorStop(1, `hsl(${hue} 70% 30% / 0)`)
  context.fillStyle = glow
  context.fillRect(0, 0, width, height)
}
