/** What a simulated crowd says: small talk of a music evening, in two languages, made of parts so that it seldom repeats. Pure. */
import type { Random } from './base/random.ts'
import { randomInt } from './base/random.ts'

const nicknames = [
  'moonlight', '橘子汽水', 'night owl', '小满', 'second row', '夜猫子', 'tape deck', '阿岚', 'quiet storm', '薄荷糖', 'blue hour', '半糖去冰',
  'lo-fi fox', '南风', 'paper crane', '今天也早睡', 'window seat', '海盐', 'soft rain', '豆浆油条', 'slow train', '云朵',
  'green tea', '晚安电台', 'old vinyl', '柚子', 'corner lamp', '路过的鱼', 'warm static', '星期八', 'tin roof', '可乐加冰',
] // biome-ignore format: one nickname per line would be a page

const whole = [
  'first time here, love it', '来了来了', 'good evening everyone', '主播晚上好', 'what is this song?', '这首叫什么名字呀', '哈哈哈哈哈', '666',
  'so cozy', '单曲循环了', 'sound is crystal clear tonight', '声音好清楚', 'hello from the back row', '前排围观 👋', '🎉🎉🎉', '👏👏👏',
  'that transition!', '这个转场绝了', 'can you play something slower next?', '来一首慢的吧', 'I needed this today', '今天辛苦了，听会儿歌', 'yes!!',
  'goosebumps', '起鸡皮疙瘩了', 'encore!', '再来一遍！', 'the light looks great', '灯光好好看', 'tea in hand, ready', '泡好茶了', 'brb', '回来了',
  'who else is working late?', '加班的举手 🙋', 'this one is for the rainy days', '下雨天绝配', 'love the intro', '前奏一响就懂了', '❤️❤️', 'nice one 👍',
] // biome-ignore format: short lines read better side by side

const openers = ['honestly', '真的', 'wow', '哇', 'ok but', '话说', 'not gonna lie', '讲真', 'hey', '诶']
const subjects = [
  'this melody',
  '这旋律',
  'the bass',
  '贝斯',
  'tonight’s set',
  '今晚的歌单',
  'that chorus',
  '副歌',
  'the guitar',
  '吉他',
  'this room',
  '这个直播间',
]
const verdicts = [
  'is perfect',
  '太好听了',
  'made my day',
  '好治愈',
  'never gets old',
  '百听不厌',
  'deserves more likes',
  '值得点赞',
  'is stuck in my head',
  '上头了',
]
const tails = ['', '', '', ' 😊', ' ✨', ' 🎶', ' 🔥', '~', '!', ' 哈哈']
const answers = [
  'same!',
  '+1',
  '同感',
  '对对对',
  'agreed',
  '哈哈哈 真的',
  'welcome!',
  '欢迎',
  'right?',
  '我也是',
  'haha yes',
  '懂你',
]

const pick = <T>(random: Random, from: readonly T[]): T => from[randomInt(random, from.length)] as T

export function nickname(index: number): string {
  const round = Math.floor(index / nicknames.length)
  return `${nicknames[index % nicknames.length]}${round > 0 ? ` ${round + 1}` : ''}`
}

/** The bound of a viewer's danmaku. */
const codePointsMax = 40

export function smallTalk(random: Random): string {
  if (random.float() < 0.5) return pick(random, whole) + pick(random, tails)
  const line = sentence(random)
  return [...line].length <= codePointsMax ? line : pick(random, whole)
}

/** Parts stand in pairs, English first: a sentence keeps to one language. */
function sentence(random: Random): string {
  const english = random.float() < 0.5
  const part = (parts: readonly string[]) => parts[randomInt(random, parts.length / 2) * 2 + (english ? 0 : 1)] as string
  const opener = random.float() < 0.25 ? part(openers) + (english ? ', ' : '，') : ''
  return opener + part(subjects) + (english ? ' ' : '') + part(verdicts) + pick(random, tails)
}

export const answer = (random: Random): string => pick(random, answers) + pick(random, tails)
