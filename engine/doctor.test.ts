import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { type AddressInfo, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest'
import { type Diagnosis, type Finding, runDoctor } from './doctor.ts'

let folder = ''
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'livehouse-doctor-'))
})
afterAll(() => rmSync(folder, { recursive: true, force: true }))
afterEach(() => vi.unstubAllEnvs())

const freePorts = ['--port', '0', '--admin-port', '0']
const examine = (...argv: string[]) => runDoctor({ argv: ['--data-dir', join(folder, 'data'), ...argv], env: {}, cwd: folder })
const finding = ({ findings }: Diagnosis, name: string): Finding => {
  const found = findings.find((one) => one.name === name)
  if (!found) throw new Error(`no finding ${name}`)
  return found
}

describe('doctor', () => {
  it('finds the native parts of this machine', async () => {
    const diagnosis = await examine(...freePorts)
    expect(diagnosis.healthy).toBe(true)
    expect(finding(diagnosis, 'uWebSockets.js').found).toMatch(/^native, uws_/)
    expect(finding(diagnosis, 'better-sqlite3')).toMatchObject({ state: 'ok' })
    expect(diagnosis.text).toMatch(/^ok {7}Node +\d+/m)
    for (const { state, remedy, name } of diagnosis.findings) expect(state === 'ok', name).toBe(remedy === undefined)
  })

  it('names what is wrong, each with its remedy', async () => {
    vi.stubEnv('UWS_USE_FALLBACK', '1')
    const taken = createServer()
    await new Promise<void>((listening) => taken.listen(0, '127.0.0.1', listening))
    const { port } = taken.address() as AddressInfo
    writeFileSync(join(folder, 'secret'), 'x'.repeat(64))
    chmodSync(join(folder, 'secret'), 0o644)
    const diagnosis = await examine('--port', String(port), '--admin-port', '0', '--data-dir', folder)
    taken.close()
    expect(diagnosis.healthy).toBe(false)
    expect(finding(diagnosis, 'public port')).toMatchObject({ state: 'problem', found: `127.0.0.1:${port} is in use` })
    expect(finding(diagnosis, 'secret').remedy).toContain('chmod 600')
    expect(finding(diagnosis, 'uWebSockets.js').found).toContain('UWS_USE_FALLBACK')
    expect(diagnosis.text).toContain('-> unset UWS_USE_FALLBACK')
    expect(diagnosis.text).toContain('3 to solve.')
  })

  it('goes on with a configuration that cannot be used, and prints JSON when asked', async () => {
    writeFileSync(join(folder, 'livehouse.json'), '{ "prot": 1 }')
    const { healthy, text } = await examine('--json')
    const printed = JSON.parse(text) as { healthy: boolean; findings: Finding[] }
    expect([healthy, printed.healthy]).toEqual([false, false])
    expect(printed.findings[0]).toMatchObject({
      name: 'configuration',
      state: 'problem',
      found: expect.stringContaining('port.'),
    })
    expect(printed.findings.map((one) => one.name)).toContain('open files')
  })
})
