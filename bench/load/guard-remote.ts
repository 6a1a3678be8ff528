/** The bench's plugin in a process of its own: `node guard-remote.js <nats url> <token>`. Ends with whoever forked it. */
import { SystemClock } from '../../engine/base/clock.ts'
import { silentLog } from '../../engine/base/log.ts'
import { packageVersion } from '../../engine/base/package.ts'
import { runPlugin } from '../../engine/plugin/remote/run.ts'
import plugin from './guard-plugin.ts'

const [natsUrl = '', token = ''] = process.argv.slice(2)
process.once('disconnect', () => process.exit(0))
runPlugin({ plugin, natsUrl, token, clock: new SystemClock(), log: silentLog, sdk: packageVersion() })
