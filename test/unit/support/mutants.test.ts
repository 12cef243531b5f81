/** The planted errors of `npm run fuzz:mutants` and `oracle:mutants` have their places. */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { mutants } from '../../fuzz/mutant-table.ts';
import { fuzzTargets } from '../../fuzz/target-table.ts';
import { projectRoot } from '../../support/source-scan.ts';

type Replaced = { readonly topic: string; readonly file: string; readonly text: string };

/** The oracle's, which are of a package with types of its own. */
const oracleTable = join(projectRoot, 'test', 'conformance', 'social', 'mutant-table.ts');
const oracle = (await import(oracleTable)) as { readonly mutants: readonly Replaced[] };

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

describe('each mutant of the oracle', () => {
  it.each(oracle.mutants)('replaces a text that its file has once: $topic', ({ file, text }) => {
    expect(readFileSync(join(projectRoot, file), 'utf8').split(text).length).toBe(2);
  });
});
