import { expect, it } from 'vitest'
import { may, mayActOn, type Rank, type Right, ranksOfScope, shownRole } from './rights.ts'

const ranks: Rank[] = ['viewer', 'assistant', 'admin', 'controller', 'owner', 'patrol', 'operator']

it.each<[Right, string]>([
  ['mute', '..xxxxx'],
  ['settings', '...xxxx'],
  ['slow_mode', '..xxxxx'],
  ['wall', '..xxxxx'],
  ['update', '...xx.x'],
  ['open', '....x.x'],
  ['grant', '....x.x'],
  ['mic', '..x.xxx'],
  ['speak_freely', '.xxxxxx'],
])('%s: %s of viewer, assistant, admin, controller, owner, patrol, operator', (right, row) => {
  expect(ranks.map((rank) => (may([rank], right) ? 'x' : '.')).join('')).toBe(row)
})

it('nobody acts on an equal or a higher one, but patrol and operators act on all', () => {
  const table = ranks.map((actor) => ranks.map((target) => (mayActOn([actor], [target]) ? 'x' : '.')).join(''))
  expect(table).toEqual(['.......', 'x......', 'xx.....', 'xx.....', 'xxxx...', 'xxxxxxx', 'xxxxxxx'])
  expect(mayActOn(['assistant', 'admin'], ['assistant'])).toBe(true)
  expect(mayActOn(['admin'], [])).toBe(true)
  expect(mayActOn([], [])).toBe(false)
})

it('the highest role is shown, and scopes are ranks only where they are meant to be', () => {
  expect(shownRole(['assistant', 'owner', 'admin'])).toBe('owner')
  expect(shownRole([])).toBeUndefined()
  expect(ranksOfScope(['streamer', 'patrol', 'owner', 'admin'])).toEqual(['patrol'])
})
