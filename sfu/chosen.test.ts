import { expect, test } from 'vitest'
import { Chosen } from './chosen.ts'
import { lossMs } from './lines.ts'

type Name = 'cam' | 'screen' | 'other'
interface Picture {
  name: Name
  line: 'primary' | 'backup'
  kind: 'video' | 'audio'
  heardAtMs: number | undefined
  canBegin: boolean
}
const picture = (name: Name, of: Partial<Picture> = {}): Picture => ({
  ...{ name, line: 'primary', kind: 'video', heardAtMs: undefined, canBegin: false },
  ...of,
})

function begin() {
  const chosen = new Chosen<Picture>()
  const hear = (one: Picture, atMs: number) => {
    one.heardAtMs = atMs
    return chosen.heard(one, atMs)
  }
  return { chosen, hear }
}

test('the first is shown before it sends; the next takes over with its first whole picture', () => {
  const { chosen, hear } = begin()
  const [cam, screen] = [picture('cam'), picture('screen')]
  chosen.want(cam)
  expect(chosen.isShown(cam)).toBe(true)
  cam.canBegin = true
  expect(hear(cam, 0)).toBe(false)
  chosen.want(screen)
  expect([chosen.isShown(cam), chosen.isAwaited(screen)]).toEqual([true, true])
  expect(hear(screen, 10)).toBe(false)
  screen.canBegin = true
  expect(hear(screen, 20)).toBe(true)
  expect([chosen.isShown(screen), chosen.isAwaited(screen)]).toEqual([true, false])
  // What it took the place of sends on, and stays where it is.
  expect(hear(cam, 30)).toBe(false)
})

test('one that says nothing for as long as a line may gives way, and has its place again when it sends', () => {
  const { chosen, hear } = begin()
  const [cam, screen] = [picture('cam', { canBegin: true }), picture('screen', { canBegin: true })]
  for (const one of [cam, screen]) chosen.want(one)
  expect(hear(screen, 0)).toBe(true)
  expect(hear(cam, lossMs - 1)).toBe(false)
  expect(hear(cam, lossMs)).toBe(true)
  expect(chosen.isAwaited(screen)).toBe(true)
  expect(hear(screen, lossMs + 1)).toBe(true)
})

test('picked by hand, also back to one that was there before', () => {
  const { chosen, hear } = begin()
  const [cam, screen] = [picture('cam', { canBegin: true }), picture('screen', { canBegin: true })]
  for (const one of [cam, screen]) chosen.want(one)
  hear(screen, 0)
  chosen.want(cam)
  expect(hear(cam, 10)).toBe(true)
  expect(hear(screen, 20)).toBe(false)
})

test('one that is gone: the one that was to follow, else the newest that is left, else none', () => {
  const { chosen, hear } = begin()
  const [cam, screen, other] = [picture('cam', { canBegin: true }), picture('screen'), picture('other')]
  for (const one of [cam, other, screen]) chosen.want(one)
  // By hand, before it sent anything.
  chosen.want(other)
  expect(chosen.gone(cam, [other, screen])?.name).toBe('other')
  expect(chosen.gone(screen, [other])).toBeUndefined()
  const late = picture('screen', { canBegin: true })
  chosen.want(late)
  hear(late, 0)
  expect(chosen.gone(late, [other])?.name).toBe('other')
  expect(chosen.gone(other, [])).toBeUndefined()
  chosen.want(cam)
  expect(chosen.isShown(cam)).toBe(true)
})

test('lines and kinds do not know of each other', () => {
  const { chosen } = begin()
  const all = [picture('cam'), picture('other', { kind: 'audio' }), picture('cam', { line: 'backup' })]
  for (const one of all) chosen.want(one)
  expect(all.map((one) => chosen.isShown(one))).toEqual([true, true, true])
  expect(chosen.gone(all[0] as Picture, [all[1] as Picture])).toBeUndefined()
})
