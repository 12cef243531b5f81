/** Builds the page, and prints its files as one JSON object: their texts by name. */
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { rolldown } from 'rolldown';

const folder = join(import.meta.dirname, 'page');
const require = createRequire(import.meta.url);

async function script(): Promise<string> {
  const bundle = await rolldown({ input: join(folder, 'main.ts'), platform: 'browser', logLevel: 'silent' });
  const { output } = await bundle.generate({ format: 'esm', minify: true });
  await bundle.close();
  return output[0].code;
}

const files = {
  'index.html': readFileSync(join(folder, 'index.html'), 'utf8'),
  'page.css': `${readFileSync(require.resolve('uplot/dist/uPlot.min.css'), 'utf8')}\n${readFileSync(join(folder, 'page.css'), 'utf8')}`,
  'page.js': await script(),
};
process.stdout.write(JSON.stringify(files));
