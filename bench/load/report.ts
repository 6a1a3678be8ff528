/** Tables on the screen, the targets beside what was measured, and the result as JSON in `bench/results/`. */
import { mkdirSync, writeFileSync } from 'node:fs'
import { cpus, loadavg, release, totalmem } from 'node:os'
import { join } from 'node:path'
import type { Figures } from './measure.ts'

export interface Target {
  what: string
  target: string
  measured: string
  met: boolean
  remark?: string
}

export interface Result {
  scenario: string
  options: object
  figures: readonly object[]
  targets: Target[]
  more?: object
}

const number = (value: number | undefined, digits = 0): string =>
  value === undefined ? '-' : value.toLocaleString('en-US', { minimumFractionDigits: digits, maximumFractionDigits: digits })

const columns: [string, (row: Figures) => string][] = [
  ['', (row) => row.name],
  ['conns', (row) => number(row.connections)],
  ['msg/s', (row) => number(row.messagesPerS)],
  ['deliveries/s', (row) => number(row.deliveriesPerS)],
  ['all arrived', (row) => (row.everythingArrived ? 'yes' : `${number((100 * row.arrived) / Math.max(1, row.expected), 2)} %`)],
  ['p50 ms', (row) => number(row.p50Ms, 1)],
  ['p99 ms', (row) => number(row.p99Ms, 1)],
  ['CPU %', (row) => number(100 * row.cpuShare)],
  ['CPU us/delivery', (row) => number(row.cpuUsPerDelivery, row.cpuUsPerDelivery < 0.5 ? 3 : 2)],
  ['deliveries/CPU s', (row) => number(row.deliveriesPerCpuSecond)],
  ['frames/s', (row) => number(row.framesPerSPerConnection, 1)],
  ['bytes/delivery', (row) => number(row.bytesPerDelivery)],
  ['RSS KB/conn', (row) => (row.rssPerConnectionBytes === undefined ? '-' : number(row.rssPerConnectionBytes / 1024, 1))],
]

export function printTable(rows: readonly Figures[]): void {
  const cells = [columns.map(([title]) => title), ...rows.map((row) => columns.map(([, cell]) => cell(row)))]
  printCells(cells)
  for (const { name, refused, closed } of rows) {
    if (Object.keys(refused).length > 0) console.log(`  ${name}: refused ${JSON.stringify(refused)}`)
    if (Object.keys(closed).length > 0) console.log(`  ${name}: closed by the server ${JSON.stringify(closed)}`)
  }
}

export function printCells(cells: readonly (readonly string[])[]): void {
  const widths = (cells[0] ?? []).map((_, i) => Math.max(...cells.map((row) => row[i]?.length ?? 0)))
  for (const row of cells) {
    console.log(`  ${row.map((cell, i) => (i === 0 ? cell.padEnd(widths[i] ?? 0) : cell.padStart(widths[i] ?? 0))).join('  ')}`)
  }
}

export function printTargets(targets: readonly Target[]): void {
  console.log('\nTargets')
  for (const { what, target, measured, met, remark } of targets) {
    console.log(`  ${met ? 'met    ' : 'NOT MET'}  ${what}: ${measured} (target ${target})${remark ? ` - ${remark}` : ''}`)
  }
}

const bytesPerGb = 1024 ** 3

export function keepResult(result: Result, date: string, folder: string): string {
  const machine = {
    cores: cpus().length,
    cpu: cpus()[0]?.model ?? 'unknown',
    memoryGb: Math.round(totalmem() / bytesPerGb),
    kernel: release(),
    node: process.version,
    /** Ours and everybody else's: over the number of cores, times are those of a machine that had other things to do. */
    loadAverage: loadavg()[0],
  }
  mkdirSync(folder, { recursive: true })
  const file = join(folder, `${result.scenario}.json`)
  const { scenario, ...rest } = result
  const rounded = (_: string, value: unknown) => (typeof value === 'number' ? Number(value.toPrecision(6)) : value)
  writeFileSync(file, `${JSON.stringify({ scenario, date, machine, ...rest }, rounded, 2)}\n`)
  return file
}
