/**
 * The built pages on the public port. They are read once at the start and served from memory: nothing of a request ever becomes a path on
 * disk. A strict content policy: everything comes from this server, nothing is inline.
 */
import { createHash } from 'node:crypto'
import { readdir, readFile } from 'node:fs/promises'
import { extname, join, relative, sep } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { HttpHandler, HttpResponse } from './gateway.ts'

const types: Record<string, string> = {
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.svg': 'image/svg+xml',
  '.png': 'image/png',
  '.ico': 'image/x-icon',
  '.json': 'application/json',
  '.woff2': 'font/woff2',
}

const security = {
  'content-security-policy':
    "default-src 'self'; connect-src 'self' ws: wss:; img-src 'self' data: https:; media-src 'self' blob:; object-src 'none'; base-uri 'none'; frame-ancestors 'none'",
  'x-content-type-options': 'nosniff',
  'referrer-policy': 'no-referrer',
}

interface Page {
  body: Uint8Array
  type: string
  etag: string
  /** Names with a content hash never change. */
  forEver: boolean
}

/** From a build: dist/pages beside dist/engine. From sources: the same folder of the repository. */
const builtPages = () => {
  const here = fileURLToPath(import.meta.url)
  return join(here, here.endsWith('.ts') ? '../../../dist/pages' : '../../../pages')
}

async function load(dir: string): Promise<Map<string, Page>> {
  const pages = new Map<string, Page>()
  const entries = await readdir(dir, { recursive: true, withFileTypes: true }).catch(() => [])
  for (const entry of entries) {
    if (!entry.isFile()) continue
    const file = join(entry.parentPath, entry.name)
    const body = await readFile(file)
    const etag = `"${createHash('sha256').update(body).digest('base64url').slice(0, 22)}"`
    const type = types[extname(entry.name)] ?? 'application/octet-stream'
    pages.set(`/${relative(dir, file).split(sep).join('/')}`, { body, type, etag, forEver: /-[\w-]{8,}\.\w+$/.test(entry.name) })
  }
  return pages
}

export interface Pages {
  serve: HttpHandler
  count: number
}

export async function loadPages(pagesDir: string): Promise<Pages> {
  const pages = await load(pagesDir || builtPages())
  const serve: HttpHandler = ({ path, query, header }) => {
    const page = pages.get(path.endsWith('/') ? `${path}index.html` : path)
    if (!page && pages.has(`${path}/index.html`)) return redirect(`${path}/${query ? `?${query}` : ''}`)
    if (!page)
      return {
        status: 404,
        headers: security,
        body: pages.size === 0 ? 'The pages are not built: npm run build.\n' : 'Not found\n',
      }
    const caching = { etag: page.etag, 'cache-control': page.forEver ? 'public, max-age=31536000, immutable' : 'no-cache' }
    if (header('if-none-match') === page.etag) return { status: 304, headers: caching }
    return { status: 200, headers: { ...security, ...caching, 'content-type': page.type }, body: page.body }
  }
  return { serve, count: pages.size }
}

const redirect = (location: string): HttpResponse => ({ status: 301, headers: { location } })
