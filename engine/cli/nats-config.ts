/**
 * `livehouse nats-config --plugins a,b`: a configuration for nats-server with a user for the engine and one for each plugin, who may use
 * the subjects that it needs and no others. Passwords are made anew at each run.
 *
 *     livehouse nats-config --plugins word-filter,trivia > nats.conf && nats-server -c nats.conf
 *
 * | user | publishes | subscribes to |
 * |---|---|---|
 * | engine | all of `lh.>`, answers, JetStream | all of `lh.>`, its answers |
 * | a plugin | seek, hello, attach, its own `up` | the beacon, its own `down`, its own inbox |
 *
 * Messages of plugins are sealed in any case (`plugin/remote/sealed.ts`); with permissions strangers cannot flood or read them either.
 */
import { randomBytes } from 'node:crypto'
import { isPluginName } from '../plugin/remote/sealed.ts'
import { CommandError } from './terminal.ts'

interface NatsUser {
  name: string
  password: string
  publish: readonly string[]
  subscribe: readonly string[]
}

const passwordBytes = 24
const engineSubjects = ['lh.>', '_INBOX.>']
export const natsUserOf = (plugin: string): string => `plugin-${plugin}`

/** Least permissions for one plugin: nobody else's instances, answers or events. */
const pluginUser = (plugin: string, password: string): NatsUser => ({
  name: natsUserOf(plugin),
  password,
  publish: ['lh.plugin.seek', 'lh.plugin.*.hello', 'lh.plugin.*.attach', `lh.plugin.*.up.${plugin}.*`],
  subscribe: ['lh.plugin.beacon', `lh.plugin.*.down.${plugin}.*`, `_INBOX.${plugin}.>`],
})

/** Throws a `CommandError` on a name that is none. */
export function natsConfig(
  plugins: readonly string[],
  newPassword = () => randomBytes(passwordBytes).toString('base64url'),
): string {
  for (const name of plugins)
    if (!isPluginName(name))
      throw new CommandError(`--plugins: ${JSON.stringify(name)} is no plugin's name: a-z, 0-9 and -, a letter first.`)
  const engine = { name: 'engine', password: newPassword(), publish: [...engineSubjects, '$JS.API.>'], subscribe: engineSubjects }
  const users = [engine, ...[...new Set(plugins)].map((name) => pluginUser(name, newPassword()))]
  const hints = users.map(({ name, password }) => {
    const url = `nats://${name}:${password}@127.0.0.1:4222`
    return name === 'engine' ? `#   livehouse serve --nats-url ${url}` : `#   livehouse plugin run ./plugin.ts --nats ${url}`
  })
  return `# nats-server -c THIS_FILE; keep it to yourself, it holds passwords. Across machines add TLS.
${hints.join('\n')}
listen: "127.0.0.1:4222"
jetstream { store_dir: "./nats" }
authorization {
  users: [
${users.map(inConfig).join('\n')}
  ]
}
`
}

const inConfig = ({ name, password, publish, subscribe }: NatsUser): string => `    {
      user: "${name}", password: "${password}"
      permissions: {
        publish: ${JSON.stringify(publish)}
        subscribe: ${JSON.stringify(subscribe)}
      }
    }`
