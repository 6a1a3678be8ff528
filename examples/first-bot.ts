/**
 * A first bot: answers "!time" and greets whoever says hello.
 *
 *     npm run build && TOKEN=$(npx livehouse token --user bot --name Bot) node dist/examples/first-bot.js
 */
import { connect } from 'livehouse/client'

if (!process.env.TOKEN) throw new Error('Without a token a bot can only listen: set TOKEN as shown above.')
const client = connect({ url: process.env.URL ?? 'ws://127.0.0.1:8080/live', token: process.env.TOKEN })
const room = await client.join('demo')
room.on('danmaku.sent', async ({ from, text, id }, { missed }) => {
  if (missed || from.id === room.state.me.userId) return
  if (text === '!time') await room.send({ text: `It is ${new Date().toLocaleTimeString()}`, replyTo: id })
  if (/^(hi|hello|你好)/i.test(text)) await room.send({ text: `Welcome, ${from.name}!`, replyTo: id })
})
