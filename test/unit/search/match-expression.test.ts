/** Expressions of FTS5 walk no further than the terms that bound them. */
import { expect, it } from 'vitest';
import { type Clause, matchOf, namedExpressions } from '../../../src/search/match-expression.ts';

const word = (text: string): Clause => [text.split(' ')];

it('each phrase is looked for near all terms that bound a walk', () => {
  const excluded: Clause = [['x', 'y'], ['z']];
  const match = matchOf([word('a b'), [['c', 'd'], ['e']], word('f')], excluded, ['=w1', 'rare']);
  const near = (phrase: string): string => `NEAR("${phrase}" "=w1" "rare", 10000)`;
  const both = `"=w1" AND "rare" AND ${near('a b')} AND (${near('c d')} OR "e")`;
  expect(match).toBe(`(((${both}) NOT "") AND "f") NOT (${near('x y')} OR "z")`);
});

it('few posts need no bound', () => {
  expect(matchOf([word('a b'), word('c')], [], [])).toBe('"a b" AND "c"');
});

it('a word that was begun is looked up by the longest beginning that has an index', () => {
  const begun = (text: string) => {
    const { name, isWhole } = namedExpressions(text)!;
    return { match: name.match(null), isWhole };
  };
  expect(begun('abcde')).toEqual({ match: '"abcde" *', isWhole: true });
  expect(begun('ann abcdef')).toEqual({ match: '"ann" AND "abcde" *', isWhole: false });
  expect(begun('abcdefghi')).toEqual({ match: '"abcdefg" *', isWhole: false });
  expect(begun('abcdefghijklmnop')).toEqual({ match: '"abcdefghij" *', isWhole: false });
  // In characters, as FTS5 counts them.
  expect(begun('ёёёёёё')).toEqual({ match: '"еееее" *', isWhole: false });
});
