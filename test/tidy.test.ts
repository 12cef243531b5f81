/** Holds the source to its ranks, names, docstrings and forbidden words. Biome checks the rest. */
import { readFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { describe, expect, it } from 'vitest';
import {
  importsOf,
  lineAt,
  projectFiles,
  projectRoot,
  readSource,
  resolveImport,
  type SourceFile,
} from './support/source-scan.ts';

/** The architecture: a folder of `src/` imports only folders of lower rank. */
const rankByFolder: Readonly<Record<string, number>> = {
  base: 0,
  atproto: 1,
  proto: 1,
  config: 1,
  metrics: 1,
  entry: 2,
  shardmap: 2,
  wire: 2,
  http: 2,
  storage: 2,
  identity: 2,
  log: 3,
  mapchange: 3,
  dashboard: 3,
  slot: 4,
  read: 5,
  router: 5,
  ingest: 5,
  search: 6,
  migrate: 6,
  node: 7,
  demo: 8,
  cli: 9,
};

/** Ranks of the sub-folders of a folder; `''` is the files of the folder itself. */
const rankBySubfolder: Readonly<Record<string, Readonly<Record<string, number>>>> = {
  slot: { packing: 0, table: 1, apply: 2, '': 3 },
  read: { lookup: 0, cache: 1, answer: 2, handler: 3 },
  ingest: { state: 0, '': 1 },
  router: { plan: 0, plans: 1, edge: 1, '': 2 },
  demo: { model: 0, server: 1 },
  cli: { '': 0, process: 1, command: 2, 'main.ts': 3 },
};

const forbiddenNames = [
  'index.ts',
  'utils.ts',
  'util.ts',
  'helpers.ts',
  'helper.ts',
  'common.ts',
  'types.ts',
  'misc.ts',
];

const files = projectFiles();
const sources = files.filter((path) => path.endsWith('.ts') && !path.includes('/generated/')).map(readSource);
const inSrc = sources.filter(({ path }) => path.startsWith('src/'));

function folderOf(path: string): string {
  return path.split('/')[1]!;
}

/** Returns a file's key in its folder's ranks: its sub-folder, or its own name if listed there. */
function subfolderOf(path: string): string {
  const [, folder, first, rest] = path.split('/');
  if (rest !== undefined) return first!;
  return first! in (rankBySubfolder[folder!] ?? {}) ? first! : '';
}

/** Returns the classes of a file and how many lines each takes. */
function classesOf({ code }: SourceFile): { name: string; lines: number }[] {
  return [...code.matchAll(/\bclass (\w+)[^{]*\{/g)].map((match) => {
    let at = match.index + match[0].length;
    for (let depth = 1; depth > 0 && at < code.length; at++) {
      if (code[at] === '{') depth++;
      else if (code[at] === '}') depth--;
    }
    return { name: match[1]!, lines: lineAt(code, at) - lineAt(code, match.index) + 1 };
  });
}

/** Returns `path:line` for each line of more than 100 columns that is nothing but a comment. */
function wideComments({ path, text, code }: SourceFile): string[] {
  const codeLines = code.split('\n');
  return text.split('\n').flatMap((line, index) => {
    const isComment = codeLines[index]!.trim() === '' && /^\s*(?:\/\/|\/\*|\*)/.test(line);
    return isComment && line.length > 100 ? [`${path}:${index + 1}`] : [];
  });
}

/** Returns `path:line` of each match in the code. */
function linesOf(checked: readonly SourceFile[], pattern: RegExp): string[] {
  return checked.flatMap(({ path, code }) =>
    [...code.matchAll(new RegExp(pattern, 'g'))].map((match) => `${path}:${lineAt(code, match.index)}`),
  );
}

function except(folders: readonly string[]): SourceFile[] {
  return inSrc.filter(({ path }) => !folders.includes(folderOf(path)));
}

describe('the layout of src', () => {
  it('has a rank for every folder', () => {
    expect(inSrc.length).toBeGreaterThan(10);
    expect(inSrc.filter(({ path }) => !(folderOf(path) in rankByFolder)).map(({ path }) => path)).toEqual([]);
  });

  it('lets a folder import only folders of lower rank', () => {
    const wrong: string[] = [];
    for (const source of inSrc) {
      for (const name of importsOf(source)) {
        const target = resolveImport(source.path, name);
        if (target === null || target === 'package.json' || target === 'shard-map.json') continue;
        const isInside = target.startsWith('src/') && folderOf(target) === folderOf(source.path);
        const isBelow =
          target.startsWith('src/') && rankByFolder[folderOf(target)]! < rankByFolder[folderOf(source.path)]!;
        if (!isInside && !isBelow) wrong.push(`${source.path} imports ${target}`);
      }
    }
    expect(wrong).toEqual([]);
  });

  it('lets a sub-folder import only itself and those of lower rank', () => {
    const wrong: string[] = [];
    for (const source of inSrc.filter(({ path }) => folderOf(path) in rankBySubfolder)) {
      for (const target of importsOf(source).map((name) => resolveImport(source.path, name))) {
        if (target === null || !target.startsWith('src/') || folderOf(target) !== folderOf(source.path)) continue;
        const from = subfolderOf(source.path);
        const to = subfolderOf(target);
        const ranks = rankBySubfolder[folderOf(source.path)]!;
        const isUp = from !== to && !(ranks[to]! < ranks[from]!);
        if (isUp) wrong.push(`${source.path} imports ${target}`);
      }
    }
    expect(wrong).toEqual([]);
  });

  it('has no cycle of imports', () => {
    const importsByPath = new Map(
      inSrc.map((source) => [source.path, importsOf(source).map((name) => resolveImport(source.path, name))]),
    );
    const done = new Set<string>();
    const cycles: string[] = [];
    const walk = (path: string, way: readonly string[]): void => {
      if (way.includes(path)) cycles.push([...way.slice(way.indexOf(path)), path].join(' -> '));
      if (done.has(path) || way.includes(path)) return;
      for (const target of importsByPath.get(path) ?? []) if (target !== null) walk(target, [...way, path]);
      done.add(path);
    };
    for (const path of importsByPath.keys()) walk(path, []);
    expect(cycles).toEqual([]);
  });

  it('has no folder or file that the design does not name', () => {
    const top = new Set(files.map((path) => path.split('/')[0]!));
    const known = [
      'src',
      'test',
      'bench',
      'ops',
      'package.json',
      'package-lock.json',
      'tsconfig.json',
      'shard-map.json',
    ];
    const texts = ['README.md', 'ARCHITECTURE.md', 'CHANGELOG.md', 'LICENSE', 'biome.json', 'vitest.config.ts'];
    expect([...top].filter((name) => !name.startsWith('.') && ![...known, ...texts].includes(name))).toEqual([]);
  });
});

describe('names', () => {
  it('of files are nouns or verbs in kebab-case, and no attics', () => {
    const wrong = sources.filter(({ path }) => {
      const name = basename(path);
      return forbiddenNames.includes(name) || !/^[a-z0-9]+(?:-[a-z0-9]+)*(?:\.[a-z]+)*\.ts$/.test(name);
    });
    expect(wrong.map(({ path }) => path)).toEqual([]);
  });

  it('of types do not end in a role', () => {
    const roles = /\b(?:class|type|interface) [A-Z]\w*(?:Manager|Helper|Utils?|Service|Engine|Base|Data|Info)\b/;
    // The generated names are those of the protocol.
    expect(linesOf(except(['proto/generated']), roles)).toEqual([]);
  });
});

describe('forbidden in src', () => {
  it('export * and export default', () => {
    expect(
      linesOf(
        sources.filter(({ path }) => !path.endsWith('.config.ts')),
        /\bexport\s+(?:\*|default\b)/,
      ),
    ).toEqual([]);
  });

  it('as any', () => {
    expect(linesOf(sources, /\bas any\b/)).toEqual([]);
  });

  it('the environment outside config', () => {
    expect(linesOf(except(['config']), /\bprocess\s*(?:\.|\[)\s*(?:env\b|'\s*'\])/)).toEqual([]);
  });

  it('lmdb outside storage', () => {
    const wrong = except(['storage']).filter((source) => importsOf(source).some((name) => /^lmdb(?:\/|$)/.test(name)));
    expect(wrong.map(({ path }) => path)).toEqual([]);
  });

  it('clock and random outside base', () => {
    const pattern = /\bDate\.now\b|\bnew Date\(\s*\)|\bMath\.random\b|\bperformance\.now\b|\bprocess\.hrtime\b/;
    expect(linesOf(except(['base']), pattern)).toEqual([]);
  });

  it('packages that are for development, and test or bench code', () => {
    const { dependencies } = JSON.parse(readFileSync(join(projectRoot, 'package.json'), 'utf8')) as {
      dependencies: Record<string, string>;
    };
    const wrong = inSrc.flatMap((source) =>
      importsOf(source)
        .filter((name) => !name.startsWith('.') && !name.startsWith('node:'))
        .filter(
          (name) =>
            !(
              name
                .split('/')
                .slice(0, name.startsWith('@') ? 2 : 1)
                .join('/') in dependencies
            ),
        )
        .map((name) => `${source.path} imports ${name}`),
    );
    expect(wrong).toEqual([]);
  });
});

describe('size', () => {
  it('of a source file is at most 400 lines', () => {
    const long = sources.filter(({ path, text }) => !path.startsWith('test/') && text.split('\n').length > 401);
    expect(long.map(({ path }) => path)).toEqual([]);
  });

  it('of a class is at most 300 lines', () => {
    const long = inSrc.flatMap((source) =>
      classesOf(source)
        .filter(({ lines }) => lines > 300)
        .map(({ name, lines }) => `${source.path}: ${name} has ${lines} lines`),
    );
    expect(inSrc.flatMap(classesOf).length).toBeGreaterThan(20);
    expect(long).toEqual([]);
  });

  it('of a comment is at most 100 columns', () => {
    expect(sources.flatMap(wideComments)).toEqual([]);
  });
});

describe('docstrings', () => {
  it('precede every exported function and class, or head the file named after it', () => {
    const wrong = inSrc.flatMap(({ path, text, code }) => {
      const exports = [...code.matchAll(/^export (?:async |abstract )*(?:function\*?|class) (\w+)/gm)];
      const undocumented = exports.filter((match) => {
        const before = text.slice(0, match.index).trimEnd();
        const ownLine = text.slice(before.lastIndexOf('\n') + 1, before.length);
        if (before.endsWith('*/')) return !before.slice(before.lastIndexOf('/*')).startsWith('/**');
        // The header of a file documents what the file is named after.
        if (text.startsWith('/**') && match[1]!.toLowerCase() === basename(path, '.ts').replaceAll('-', ''))
          return false;
        // Overloads share the docstring of the first.
        return !ownLine.startsWith(`export function ${match[1]}(`);
      });
      return undocumented.map((match) => `${path}:${lineAt(code, match.index)} ${match[1]}`);
    });
    expect(wrong).toEqual([]);
  });
});

describe('head comments', () => {
  it('open every test file', () => {
    const tests = sources.filter(({ path }) => path.startsWith('test/') && path.endsWith('.test.ts'));
    expect(tests.length).toBeGreaterThan(50);
    expect(tests.filter(({ text }) => !text.startsWith('/**')).map(({ path }) => path)).toEqual([]);
  });
});

describe('no trace of the machine that it was written on:', () => {
  const texts = files
    .filter((path) => !/\.(?:png|ico|car|bin|cbor|hdr|gz)$/.test(path))
    .map((path) => ({ path, text: readFileSync(join(projectRoot, path), 'utf8') }));

  function holding(pattern: RegExp, exempt: readonly string[] = []): string[] {
    return texts.filter(({ path, text }) => !exempt.includes(path) && pattern.test(text)).map(({ path }) => path);
  }

  it('absolute paths of a home or a work folder', () => {
    expect(holding(/(?:^|[\s"'`(=:])\/(?:root|home\/[a-z]|work|Users\/[a-z])[\w-]*\//m, ['test/tidy.test.ts'])).toEqual(
      [],
    );
  });

  it('registry hosts in lock files', () => {
    const locks = texts.filter(({ path }) => /(?:package-lock\.json|\.npmrc)$/.test(path));
    expect(locks.length).toBeGreaterThan(0);
    expect(locks.filter(({ text }) => /"resolved"|registry\s*=/.test(text)).map(({ path }) => path)).toEqual([]);
  });
});
