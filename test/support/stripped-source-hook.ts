/**
 * Preloaded, without its own types, into the processes and threads of tests: loads the source from
 * the cache of `stripped-source.ts`, and by itself what the cache lacks. What begins with an entry
 * of the bundle of `bundled-source.ts` loads that.
 */
import { hash } from 'node:crypto';
import { readFileSync, statSync } from 'node:fs';
import { registerHooks } from 'node:module';
import { fileURLToPath } from 'node:url';
import type { BundleManifest } from './bundled-source.ts';

const cacheFolder = `${import.meta.dirname}/`;
const cacheUrl = new URL('./', import.meta.url).href;
const rootUrl = new URL('../../../', import.meta.url).href;
const rootFolder = fileURLToPath(rootUrl);

/** Returns the stripped text of a file; undefined if the cache has none, or an older one. */
function cachedText(path: string): string | undefined {
  try {
    const text = readFileSync(cacheFolder + path, 'utf8');
    return text.endsWith(`\n//${hash('sha1', readFileSync(rootFolder + path, 'utf8'))}`) ? text : undefined;
  } catch {
    return undefined;
  }
}

/** Returns the URL of an entry in the bundle; undefined if there is none, or of older source. */
function bundledEntry(path: string): string | undefined {
  try {
    const { folder, entries, inputs } = JSON.parse(readFileSync(`${cacheFolder}bundle.json`, 'utf8')) as BundleManifest;
    const name = entries[path];
    if (name === undefined) return undefined;
    for (const [input, bytes, modifiedMs] of inputs) {
      const { size, mtimeMs } = statSync(rootFolder + input);
      if (size !== bytes || mtimeMs !== modifiedMs) return undefined;
    }
    return `${cacheUrl}${folder}/${name}`;
  } catch {
    return undefined;
  }
}

/** Not by `new URL`, which takes ten times as long; there are thousands of imports. */
function besides(parent: string, specifier: string): string {
  let folder = parent.slice(0, parent.lastIndexOf('/'));
  let path = specifier.startsWith('./') ? specifier.slice(2) : specifier;
  for (; path.startsWith('../'); path = path.slice(3)) folder = folder.slice(0, folder.lastIndexOf('/'));
  return `${folder}/${path}`;
}

registerHooks({
  resolve(specifier, context, next) {
    if (context.parentURL === undefined && specifier.startsWith(rootUrl)) {
      const url = bundledEntry(specifier.slice(rootUrl.length));
      if (url !== undefined) return { url, format: 'module', shortCircuit: true };
    }
    const isOurs = specifier.startsWith('.') && specifier.endsWith('.ts');
    const parent = context.parentURL ?? '';
    if (!isOurs || !parent.startsWith(rootUrl)) return next(specifier, context);
    return { url: besides(parent, specifier), format: 'module', shortCircuit: true };
  },
  load(url, context, next) {
    if (!url.startsWith(rootUrl) || !url.endsWith('.ts')) return next(url, context);
    const source = cachedText(url.slice(rootUrl.length));
    if (source === undefined) return next(url, { ...context, format: 'module-typescript' });
    return { format: 'module', source, shortCircuit: true };
  },
});
