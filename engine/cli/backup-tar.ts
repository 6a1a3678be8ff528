/**
 * A backup as one file: a tar archive as POSIX has it (ustar), which any tar can list and unpack.
 *
 *     await packFolder({ folder: '/backups/monday', names: ['manifest.json', 'core.db'], to: '/backups/monday.tar' })
 *     await unpackFolder({ file: '/backups/monday.tar', folder: '/empty' })
 *
 * Sizes of 8 GB and more are written in base 256, as GNU and BSD do. What is unpacked is as hostile as any file: plain files alone, with
 * names that lead nowhere else.
 */
import { createReadStream } from 'node:fs'
import { type FileHandle, mkdir, open, rename, stat } from 'node:fs/promises'
import { dirname, join } from 'node:path'

const blockBytes = 512
const chunkBytes = 1 << 20
const octalSizeMax = 8 ** 11 - 1
const namePattern = /^[A-Za-z0-9][A-Za-z0-9_.-]{0,79}(\/[A-Za-z0-9][A-Za-z0-9_.-]{0,79})?$/
const entriesMax = 4_000

const padding = (bytes: number): number => (blockBytes - (bytes % blockBytes)) % blockBytes
const octal = (value: number, width: number): string => `${value.toString(8).padStart(width - 1, '0')}\0`

function headerOf(name: string, bytes: number, mtimeS: number): Buffer {
  const header = Buffer.alloc(blockBytes)
  header.write(name, 0, 100)
  header.write(octal(0o600, 8), 100)
  for (const at of [108, 116]) header.write(octal(0, 8), at) // nobody's: whoever unpacks it owns it
  if (bytes <= octalSizeMax) header.write(octal(bytes, 12), 124)
  else {
    header.writeUInt8(0x80, 124)
    header.writeBigUInt64BE(BigInt(bytes), 128)
  }
  header.write(octal(mtimeS, 12), 136)
  header.write('0', 156)
  header.write('ustar\x0000', 257, 'latin1')
  header.write(`${checksumOf(header).toString(8).padStart(6, '0')}\0 `, 148)
  return header
}

/** Of all bytes, with blanks where the checksum itself stands. */
function checksumOf(header: Buffer): number {
  let sum = 8 * 0x20
  for (const [at, byte] of header.entries()) if (at < 148 || at >= 156) sum += byte
  return sum
}

export async function packFolder({ folder, names, to }: { folder: string; names: readonly string[]; to: string }): Promise<void> {
  const part = `${to}.part`
  const file = await open(part, 'w', 0o600)
  try {
    for (const name of names) {
      const { size, mtimeMs } = await stat(join(folder, name))
      await file.appendFile(headerOf(name, size, Math.floor(mtimeMs / 1_000)))
      for await (const chunk of createReadStream(join(folder, name), { highWaterMark: chunkBytes }))
        await file.appendFile(chunk as Buffer)
      await file.appendFile(Buffer.alloc(padding(size)))
    }
    await file.appendFile(Buffer.alloc(2 * blockBytes))
    await file.sync()
  } finally {
    await file.close()
  }
  await rename(part, to)
}

/** Throws on what is no archive, or no archive of ours. */
export async function unpackFolder({ file, folder }: { file: string; folder: string }): Promise<string[]> {
  const archive = await open(file, 'r')
  try {
    const { size: end } = await archive.stat()
    const names: string[] = []
    for (let at = 0; ; ) {
      const header = await readExactly(archive, at, blockBytes)
      if (header.every((byte) => byte === 0)) return names
      const { name, bytes } = entryAt(header)
      if (names.includes(name) || names.length >= entriesMax) throw damaged(`${name} is there twice, or there are too many files`)
      at += blockBytes
      if (at + bytes > end) throw damaged(`${name} is cut off`)
      await unpack(archive, { at, bytes, to: join(folder, name) })
      names.push(name)
      at += bytes + padding(bytes)
    }
  } finally {
    await archive.close()
  }
}

function entryAt(header: Buffer): { name: string; bytes: number } {
  const text = (from: number, width: number) => header.toString('latin1', from, from + width).replace(/\0.*$/s, '')
  if (Number.parseInt(text(148, 8), 8) !== checksumOf(header)) throw damaged('a header is not what was written')
  const name = text(0, 100)
  const type = text(156, 1)
  if (!namePattern.test(name) || (type !== '0' && type !== '')) throw damaged(`${JSON.stringify(name)} does not belong into one`)
  const isBinary = header.readUInt8(124) === 0x80
  const bytes = isBinary ? Number(header.readBigUInt64BE(128)) : Number.parseInt(text(124, 12), 8)
  if (!Number.isSafeInteger(bytes) || bytes < 0) throw damaged(`${name} has no size`)
  return { name, bytes }
}

async function unpack(archive: FileHandle, { at, bytes, to }: { at: number; bytes: number; to: string }): Promise<void> {
  await mkdir(dirname(to), { recursive: true, mode: 0o700 })
  const file = await open(to, 'wx', 0o600)
  try {
    for (let done = 0; done < bytes; ) {
      const chunk = await readExactly(archive, at + done, Math.min(chunkBytes, bytes - done))
      await file.appendFile(chunk)
      done += chunk.length
    }
  } finally {
    await file.close()
  }
}

async function readExactly(archive: FileHandle, at: number, bytes: number): Promise<Buffer> {
  const buffer = Buffer.alloc(bytes)
  const { bytesRead } = await archive.read(buffer, 0, bytes, at)
  if (bytesRead < bytes) throw damaged('it ends too early')
  return buffer
}

const damaged = (why: string): Error => new Error(`the archive is damaged, or no backup: ${why}`)
