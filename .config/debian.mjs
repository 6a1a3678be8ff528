/** The programs from Debian's packages that the tests start: installed as root on Debian, asked for elsewhere. */
import { existsSync } from 'node:fs'
import { delimiter, join } from 'node:path'
import { runOrThrow, StepError, step } from './steps.mjs'

const folders = [...(process.env.PATH ?? '').split(delimiter), '/usr/sbin', '/usr/local/bin']
const program = (name) => folders.some((folder) => existsSync(join(folder, name)))

const needed = [
  { name: 'chromium', what: 'browser tests', present: () => program('chromium') },
  { name: 'nats-server', what: 'the bus against a real server', present: () => program('nats-server') },
]
/** Without them screenshots show boxes instead of letters; no test fails by it. */
const nice = [
  { name: 'fonts-noto-cjk', present: () => existsSync('/usr/share/fonts/opentype/noto/NotoSansCJK-Regular.ttc') },
  { name: 'fonts-noto-color-emoji', present: () => existsSync('/usr/share/fonts/truetype/noto/NotoColorEmoji.ttf') },
]

const missing = (packages) => packages.filter((one) => !one.present())

export async function ensureDebianPackages() {
  const isDebian = existsSync('/etc/debian_version') && program('apt-get')
  const wanted = [...missing(needed), ...(isDebian ? missing(nice) : [])]
  if (wanted.length === 0) return
  const names = wanted.map((one) => one.name)
  if (!isDebian || process.getuid?.() !== 0) {
    if (missing(needed).length === 0) return
    throw new StepError(
      `The tests need programs that are not here. Install: ${isDebian ? `sudo apt-get install ${names.join(' ')}` : names.join(', ')}`,
    )
  }
  const env = { DEBIAN_FRONTEND: 'noninteractive' }
  await step('Debian package lists', () => runOrThrow('apt-get', ['update', '-q'], { env }))
  await step(`Debian packages: ${names.join(' ')}`, () =>
    runOrThrow('apt-get', ['install', '-y', '-q', '--no-install-recommends', ...names], { env }),
  )
}
