/** Runs every `*.bench` beside it, one after the other, or those whose names are given: `node dist/bench/micro/main.js wire`. */
import { readdirSync } from 'node:fs'

const wanted = process.argv.slice(2)
const files = readdirSync(new URL('.', import.meta.url)).filter((file) => /\.bench\.[jt]s$/.test(file))
for (const file of files.sort()) {
  if (wanted.length > 0 && !wanted.includes(file.split('.')[0] as string)) continue
  console.log(`\n${file.split('.')[0]}`)
  await import(new URL(file, import.meta.url).href)
}
