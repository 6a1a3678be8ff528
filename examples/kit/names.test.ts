import { expect, test } from 'vitest'
import { Names, namesMax } from './names.ts'

test('the newest name counts, and the one not seen for longest is forgotten', () => {
  const names = new Names()
  names.note('u1', 'Ann')
  names.note('u2', 'Ben')
  names.note('u1', 'Anna')
  names.note('u3', '')
  expect([names.of('u1'), names.of('u2'), names.of('u3')]).toEqual(['Anna', 'Ben', undefined])
  for (let i = 0; i < namesMax - 1; i++) names.note(`x${i}`, 'Crowd')
  expect([names.of('u1'), names.of('u2')]).toEqual(['Anna', undefined])
})
