import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { joinSources, listIn, mend, ownNames, readRecipe } from './recipe.ts'

describe('the recipe for the installed mediasoup', () => {
  const recipe = readRecipe()
  const sources = recipe.units.flatMap((unit) => unit.sources)

  it('compiles every source once, but not what only its unfinished SCTP stack uses', () => {
    expect(new Set(sources).size).toBe(sources.length)
    expect(sources).toContain('src/main.cpp')
    expect(sources.filter((path) => path.startsWith('deps/libwebrtc/')).length).toBeGreaterThan(30)
    expect(sources.filter((path) => path.includes('/SCTP/'))).toEqual([])
    expect(recipe.units.length).toBeLessThan(40)
  })

  it('joins no two sources with a name of their own in common', () => {
    for (const unit of recipe.units) {
      const names = unit.sources.flatMap((path) => ownNames(readFileSync(join(recipe.folder, path), 'utf8')))
      expect(
        names.filter((name, index) => names.indexOf(name) !== index),
        unit.name,
      ).toEqual([])
    }
  })

  it("mends the answer that Debian's OpenSSL would take for kTLS", () => {
    expect(recipe.mended['src/RTC/DtlsTransport.cpp']).toContain('operationType & BIO_CB_RETURN')
  })

  it('has a checksum that says the same twice', () => {
    expect(readRecipe().checksum).toBe(recipe.checksum)
  })
})

describe('reading sources', () => {
  it('refuses to mend what is not there exactly once', () => {
    expect(mend('a.cpp', 'x = 1;', 'x = 1', 'x = 2')).toBe('x = 2;')
    expect(() => mend('a.cpp', 'y', 'x', 'z')).toThrow('"x" is 0 times in a.cpp')
    expect(() => mend('a.cpp', 'xx', 'x', 'z')).toThrow('2 times')
  })

  it('reads lists of meson, and refuses when there is none', () => {
    expect(listIn("a = [\n  'x.cpp',\n  'y.cpp',\n]\nb = []", 'a')).toEqual(['x.cpp', 'y.cpp'])
    expect(() => listIn("a = ['x']", 'c')).toThrow('no list c')
  })

  it('finds the names that a source keeps for itself, and no members', () => {
    const text = `
      #define MS_CLASS "A"
      #define LOG_IT(x) \\
        do { x } while (0)
      /* static int comment; */
      using Time = uint64_t;
      static int count{ 0 };
      namespace RTC
      {
        static constexpr size_t SizeMax{ 65536 };
        thread_local static uint8_t Buffer[SizeMax];
        inline static void onEvent(int a) { int inner = 1; }
        namespace { struct Hidden { int field; }; const double kGain = 0.5; }
        std::unordered_map<int, Foo> Klass::map = { { 1, "}" } };
        Klass::Klass(int a) : a(a) { int b = 2; }
        void Klass::Method() { static int once{ 1 }; }
      }`
    expect(ownNames(text).sort()).toEqual(['Buffer', 'Hidden', 'LOG_IT', 'SizeMax', 'Time', 'count', 'kGain', 'onEvent'].sort())
  })

  it('keeps sources apart that share a name, are too large together, or must stand alone', () => {
    const source = (path: string, text: string, alone = false) => ({ path, text, alone })
    const sources = [
      source('a', 'static int x;'),
      source('b', 'static int x;'),
      source('c', 'static int y;'),
      source('d', `// ${'.'.repeat(59_990)}`),
      source('e', 'int z;', true),
      source('f', 'int w;'),
    ]
    expect(joinSources('u', sources).map((unit) => unit.sources.join())).toEqual(['a,c,f', 'b', 'd', 'e'])
  })
})
