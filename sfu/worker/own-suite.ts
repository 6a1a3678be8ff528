/**
 * mediasoup's own tests against the worker of this machine: `npx tsx sfu/worker/own-suite.ts`. All of them must pass.
 *
 * The package brings its tests, compiled, without what runs them and without the certificate that they read. Both are made in a
 * temporary folder: jest and two packages by npm from the registry that npm is configured with, the certificate by openssl.
 * To be run after a change of the recipe or of mediasoup's version; it takes a minute or two and is no part of `npm test`.
 */
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createLog } from '../../engine/base/log.ts'
import { MediaWorker } from './media-worker.ts'
import { runOrThrow, runProgram } from './program.ts'
import { inWords } from './progress.ts'
import { mediasoupPackage } from './recipe.ts'

/** As in the development packages of mediasoup 3.19. */
const runners = { jest: '30.1.3', 'pick-port': '2.1.2', sctp: '1.0.0' }

const say = (text: string) => process.stdout.write(`${text}\n`)

type Result = {
  numTotalTests: number
  numPassedTests: number
  numFailedTests: number
  testResults: { name: string; message: string; assertionResults: { status: string; fullName: string }[] }[]
}

async function ownSuite(worker: string, folder: string): Promise<Result> {
  const { folder: source } = mediasoupPackage()
  const { dependencies } = JSON.parse(readFileSync(join(source, 'package.json'), 'utf8')) as { dependencies: object }
  const own = { name: 'own-suite', private: true, dependencies: { ...dependencies, ...runners } }
  writeFileSync(join(folder, 'package.json'), JSON.stringify(own))
  say('installing jest')
  await runOrThrow('npm', ['install', '--ignore-scripts', '--no-audit', '--no-fund', '--no-package-lock'], { cwd: folder })
  // Out of node_modules, where jest would not look.
  cpSync(join(source, 'node'), join(folder, 'mediasoup/node'), { recursive: true })
  cpSync(join(source, 'package.json'), join(folder, 'mediasoup/package.json'))
  await makeCertificate(join(folder, 'mediasoup/node/lib/test/data'))
  say('testing')
  const result = join(folder, 'result.json')
  const config = JSON.stringify({
    rootDir: join(folder, 'mediasoup'),
    testRegex: '/test/test-[^/]*\\.js$',
    testEnvironment: 'node',
  })
  await runProgram(join(folder, 'node_modules/.bin/jest'), ['--config', config, '--json', `--outputFile=${result}`], {
    cwd: folder,
    env: { ...process.env, MEDIASOUP_WORKER_BIN: worker },
    onOutput: (text) => process.stderr.write(text.replace(/^\{"num.*/gm, '')),
  })
  return JSON.parse(readFileSync(result, 'utf8')) as Result
}

async function makeCertificate(folder: string): Promise<void> {
  mkdirSync(folder, { recursive: true })
  const files = ['-keyout', join(folder, 'dtls-key.pem'), '-out', join(folder, 'dtls-cert.pem')]
  const form = ['-newkey', 'rsa:2048', '-nodes', '-days', '30', '-subj', '/CN=mediasoup']
  await runOrThrow('openssl', ['req', '-x509', ...form, ...files])
}

function report({ numPassedTests, numTotalTests, numFailedTests, testResults }: Result): void {
  for (const { assertionResults, message, name } of testResults) {
    const failed = assertionResults.filter(({ status }) => status === 'failed')
    for (const { fullName } of failed) say(`failed: ${fullName}`)
    if (assertionResults.length === 0) say(`failed: ${name}\n${message}`)
  }
  say(`${numPassedTests} of ${numTotalTests} passed, ${numFailedTests} failed`)
}

const mediaWorker = new MediaWorker({ log: createLog({ level: 'warn', name: 'own-suite' }), logLevel: 'warn' })
mediaWorker.onChange((state) => state.is === 'building' && say(inWords(state)))
mediaWorker.start()
const { path } = await mediaWorker.ready()
say(path)
const folder = mkdtempSync(join(tmpdir(), 'livehouse-own-suite-'))
try {
  const result = await ownSuite(path, folder)
  report(result)
  process.exitCode = result.numTotalTests > 0 && result.numPassedTests === result.numTotalTests ? 0 : 1
} finally {
  rmSync(folder, { recursive: true, force: true })
}
