/** The programs from Debian's packages that the tests start: installed as root on Debian, asked for elsewhere. */
import { existsSync, readdirSync } from 'node:fs'
import { delimiter, join } from 'node:path'
import { runOrThrow, StepError, step } from './steps.mjs'

const folders = [...(process.env.PATH ?? '').split(delimiter), '/usr/sbin', '/usr/local/bin']
const program = (name) => folders.some((folder) => existsSync(join(folder, name)))

/** To build the media worker where its official build cannot be fetched; not asked for when somebody brings a worker along. */
const header = (path) => existsSync(join('/usr/include', path))
const forMediaWorker = [
  { name: 'g++', present: () => program('g++') },
  { name: 'make', present: () => program('make') },
  { name: 'pkg-config', present: () => program('pkg-config') },
  { name: 'dpkg-dev', present: () => program('dpkg-source') },
  { name: 'flatbuffers-compiler', present: () => program('flatc') },
  { name: 'libflatbuffers-dev', present: () => header('flatbuffers/flatbuffers.h') },
  { name: 'libssl-dev', present: () => header('openssl/ssl.h') },
  { name: 'libuv1-dev', present: () => header('uv.h') },
  { name: 'libusrsctp-dev', present: () => header('usrsctp.h') },
  { name: 'libabsl-dev', present: () => header('absl/base/config.h') },
  { name: 'libsrtp2-dev', present: () => header('srtp2/srtp.h') },
]

/** Debian keeps the server's programs off the PATH, a folder a version. */
const postgres = '/usr/lib/postgresql'
const hasPostgres = () =>
  program('initdb') ||
  (existsSync(postgres) && readdirSync(postgres).some((one) => existsSync(join(postgres, one, 'bin/initdb'))))

const needed = [
  ...(process.env.MEDIASOUP_WORKER_BIN ? [] : forMediaWorker),
  { name: 'ffmpeg', what: 'streams that come by RTP', present: () => program('ffmpeg') },
  { name: 'chromium', what: 'browser tests', present: () => program('chromium') },
  { name: 'nats-server', what: 'the bus against a real server', present: () => program('nats-server') },
  { name: 'postgresql', what: 'the ledger on a real server', present: hasPostgres },
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
