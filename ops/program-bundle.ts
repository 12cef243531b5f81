/**
 * The program as few files of JavaScript, which start in a third of the time of its source: for the
 * single executable, and for the processes that tests start.
 */
import { rmSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { type Plugin, rolldown } from 'rolldown';

const root = join(import.meta.dirname, '..');

/** Packages that hold addons, or load code by a path known only at run time: not bundled. */
export const wholePackages = ['lmdb', 'uWebSockets.js'];

/** Collects the files of worker threads by their URLs in the source, as entries of the bundle. */
function workerEntries(found: Map<string, string>): Plugin {
  return {
    name: 'worker-entries',
    transform(code, id) {
      return code.replace(
        /new URL\((['"])(\.{1,2}\/[\w./-]+)\.ts\1,\s*import\.meta\.url\)/g,
        (_all, _quote, path: string) => {
          const source = join(dirname(id), `${path}.ts`);
          if (source.endsWith(join('cli', 'main.ts'))) return `new URL('./main.js', import.meta.url)`;
          const name = basename(path);
          found.set(name, source);
          return `new URL('./${name}.js', import.meta.url)`;
        },
      );
    },
  };
}

/** An entry is `<name>.js`; `inputs` are the files that went in. */
export type Bundle = { readonly entries: ReadonlyMap<string, string>; readonly inputs: readonly string[] };

/**
 * Bundles the program, as `main.js` with its threads, and further entries (paths by name) into a
 * folder, which it empties; again with the threads that it found, until no new ones turn up.
 */
export async function bundleProgram(
  folder: string,
  further: ReadonlyMap<string, string> = new Map(),
  plugins: readonly Plugin[] = [],
): Promise<Bundle> {
  const entries = new Map([['main', join(root, 'src', 'cli', 'main.ts')], ...further]);
  for (;;) {
    const before = entries.size;
    rmSync(folder, { recursive: true, force: true });
    const bundle = await rolldown({
      cwd: root,
      input: Object.fromEntries(entries),
      platform: 'node',
      // A dependency evaluates its own text, which holds nothing of ours.
      checks: { eval: false },
      external: (name) => wholePackages.some((whole) => name === whole || name.startsWith(`${whole}/`)),
      plugins: [workerEntries(entries), ...plugins],
    });
    const { output } = await bundle.write({
      dir: folder,
      format: 'esm',
      entryFileNames: '[name].js',
      chunkFileNames: 'part-[hash].js',
    });
    await bundle.close();
    if (entries.size > before) continue;
    return { entries, inputs: output.flatMap((file) => (file.type === 'chunk' ? file.moduleIds : [])) };
  }
}
