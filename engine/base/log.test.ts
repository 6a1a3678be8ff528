import { describe, expect, it } from 'vitest'
import { createLog, type LogLevel, silentLog } from './log.ts'

function recorded(level: LogLevel = 'info') {
  const lines: Record<string, unknown>[] = []
  const log = createLog({ level, name: 'test', to: { write: (line) => lines.push(JSON.parse(line)) } })
  return { log, lines }
}

describe('log', () => {
  it('writes one JSON line with time, level, name and fields', () => {
    const { log, lines } = recorded()
    log.info({ room: 'demo' }, 'opened')
    expect(lines).toEqual([expect.objectContaining({ level: 30, name: 'test', room: 'demo', msg: 'opened' })])
    expect(lines[0]?.time).toMatch(/^\d{4}-\d\d-\d\dT/)
  })

  it('keeps to its level', () => {
    const { log, lines } = recorded('warn')
    log.info('quiet')
    log.error('loud')
    expect(lines.map((line) => line.msg)).toEqual(['loud'])
    silentLog.error('nothing')
  })

  it('gives the fields of a child to every line', () => {
    const { log, lines } = recorded()
    log.child({ part: 'edge' }).child({ sid: 's1' }).warn('slow')
    expect(lines[0]).toMatchObject({ part: 'edge', sid: 's1' })
  })

  it('hides tokens, authorization and secrets', () => {
    const { log, lines } = recorded()
    const fields = {
      token: 'hush',
      d: { token: 'hush' },
      req: { headers: { authorization: 'Bearer hush', Authorization: 'hush' } },
    }
    log.info({ ...fields, config: { secret: 'hush' } }, 'request')
    log.child({ secret: 'hush' }).info('child')
    expect(lines).toHaveLength(2)
    expect(JSON.stringify(lines)).not.toContain('hush')
  })

  it('writes an error with its stack', () => {
    const { log, lines } = recorded()
    log.error({ err: new Error('broken') }, 'failed')
    expect(lines[0]).toMatchObject({ err: { message: 'broken', stack: expect.stringContaining('log.test') } })
  })
})
