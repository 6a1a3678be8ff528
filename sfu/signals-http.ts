/**
 * For tests: WHIP and WHEP of a node over HTTP, without anything of the engine's gateway: `/whip/<room>/<line>`, `/whep/<room>` and what
 * stands below them. Every client is a peer of its own.
 */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { LineName, SignalAnswer } from '../schemas/sfu.ts'
import type { SfuNode } from './node.ts'

export interface SignalServer {
  origin: string
  close(): void
}

const cors = {
  'access-control-allow-origin': '*',
  'access-control-allow-methods': 'POST, PATCH, DELETE, OPTIONS',
  'access-control-allow-headers': 'content-type, if-match',
  'access-control-expose-headers': 'location, etag, retry-after',
}

export async function serveSignals(node: SfuNode): Promise<SignalServer> {
  let clients = 0
  const respond = async (request: IncomingMessage): Promise<SignalAnswer> => {
    const [, kind, room = '', ...rest] = (request.url ?? '').split('/')
    const chunks: Buffer[] = []
    for await (const chunk of request) chunks.push(chunk as Buffer)
    const text = Buffer.concat(chunks).toString()
    const resource = rest.at(-1) ?? ''
    const etag = request.headers['if-match']
    if (request.method === 'DELETE') return node.request('signal.close', { room, resource })
    if (request.method === 'PATCH')
      return node.request('signal.patch', { room, resource, fragment: text, ...(etag === undefined ? {} : { etag }) })
    const peer = `${kind}_${++clients}`
    if (kind === 'whep') return node.request('whep.offer', { room, peer, sdp: text })
    const feed = { of: 'line', line: (rest[0] ?? 'primary') as LineName, source: 'cam' } as const
    return node.request('whip.offer', { room, peer, feed, sdp: text })
  }
  const write = (request: IncomingMessage, response: ServerResponse, answer: SignalAnswer) => {
    const { status, body, contentType, resource, etag, retryAfterS } = answer
    response.writeHead(status, {
      ...cors,
      ...(contentType === undefined ? {} : { 'content-type': contentType }),
      ...(resource === undefined ? {} : { location: `${request.url}/${resource}` }),
      ...(etag === undefined ? {} : { etag }),
      ...(retryAfterS === undefined ? {} : { 'retry-after': String(retryAfterS) }),
    })
    response.end(body)
  }
  const server = createServer((request, response) => {
    if (request.method === 'OPTIONS' || request.method === 'GET') return write(request, response, { status: 200, body: '' })
    respond(request)
      .then((answer) => write(request, response, answer))
      .catch((error) => response.writeHead(500, cors).end(String(error)))
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return { origin: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, close: () => server.close() }
}
