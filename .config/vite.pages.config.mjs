/**
 * Builds the pages into dist/pages: `/` the lobby, `/watch/` the viewer, `/studio/` the streamer.
 * They import the client by its public name only. Assets are relative and nothing is inline, so the engine's strict CSP holds.
 */
import { fileURLToPath } from 'node:url'
import { defineConfig } from 'vite'

const path = (relative) => fileURLToPath(new URL(`../${relative}`, import.meta.url))

export default defineConfig({
  root: path('examples/pages'),
  base: './',
  publicDir: false,
  cacheDir: path('.cache/vite-pages'),
  resolve: { alias: { 'livehouse/client': path('engine/client/index.ts') } },
  esbuild: { jsx: 'automatic', jsxImportSource: 'preact' },
  build: {
    outDir: path('dist/pages'),
    emptyOutDir: true,
    target: 'es2022',
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    reportCompressedSize: false,
    rollupOptions: {
      input: {
        lobby: path('examples/pages/index.html'),
        watch: path('examples/pages/watch/index.html'),
        studio: path('examples/pages/studio/index.html'),
      },
    },
  },
})
