/** The mutants of `npm run fuzz:mutants` name texts and tests that are there. */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { mutants } from '../../fuzz/mutant-table.ts';
import { fuzzTargets } from '../../fuzz/target-table.ts';
import { projectRoot } from '../../support/source-scan.ts';

it('no bound is removed twice', () => {
  const sites = mutants.map(({ file, text }) => `${file}: ${text}`);
  expect(sites.filter((site, index) => sites.indexOf(site) !== index)).toEqual([]);
});

describe('each mutant', () => {
  it.each(mutants)('replaces a text that its file has once: $bound', ({ file, text, replacement, caughtBy }) => {
    expect(readFileSync(join(projectRoot, file), 'utf8').split(text).length).toBe(2);
    expect(replacement).not.toBe(text);
    if ('tests' in caughtBy) {
      expect(caughtBy.tests.filter((path) => !existsSync(join(projectRoot, path)))).toEqual([]);
    } else expect(fuzzTargets.map(({ name }) => name)).toContain(caughtBy.target);
  });
});
