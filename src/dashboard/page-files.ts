/**
 * The files of the page, as one program of its own: built when the first browser asks, by a process
 * that ends, so that no bundler is loaded where requests are answered. The single executable brings
 * them with it.
 */
import { execFile } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { gzipSync } from 'node:zlib';
import { DataPlaneError } from '../base/data-plane-error.ts';

export type PageFile = { readonly type: string; readonly plain: Buffer; readonly zipped: Buffer };

const typeByName: Readonly<Record<string, string>> = {
  'index.html': 'text/html; charset=utf-8',
  'page.js': 'text/javascript; charset=utf-8',
  'page.css': 'text/css; charset=utf-8',
};

const buildMsMax = 60_000;
const outputBytesMax = 4 * 1024 * 1024;

/** What `ops/build-binary.ts` puts beside the program. */
const packedPath = join(import.meta.dirname, 'dashboard.json');

async function builtText(): Promise<string> {
  if (existsSync(packedPath)) return readFileSync(packedPath, 'utf8');
  const script = join(import.meta.dirname, 'build-page.ts');
  const { stdout } = await promisify(execFile)(process.execPath, [...process.execArgv, script], {
    timeout: buildMsMax,
    maxBuffer: outputBytesMax,
  });
  return stdout;
}

let files: Promise<ReadonlyMap<string, PageFile>> | null = null;

async function build(): Promise<ReadonlyMap<string, PageFile>> {
  try {
    const textByName = JSON.parse(await builtText()) as Record<string, string>;
    return new Map(
      Object.entries(textByName).map(([name, text]) => {
        const plain = Buffer.from(text);
        return [name, { type: typeByName[name] ?? 'text/plain', plain, zipped: gzipSync(plain, { level: 9 }) }];
      }),
    );
  } catch (cause) {
    files = null;
    throw new DataPlaneError('Unavailable', `the page cannot be built: ${(cause as Error).message.slice(0, 400)}`, {
      cause,
      hint: 'Run `npm ci` in the folder of skyshard.',
    });
  }
}

/** Returns the files of the page by name. Errors: DataPlaneError `Unavailable`. */
export function pageFiles(): Promise<ReadonlyMap<string, PageFile>> {
  files ??= build();
  return files;
}
