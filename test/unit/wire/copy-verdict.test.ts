/** What operators are told to do about copies of a slot that differ. */
import { describe, expect, it } from 'vitest';
import { copyVerdict } from '../../../src/wire/copy-verdict.ts';
import type { VerifiedCopy } from '../../../src/wire/slot-verify.ts';

/** Copies a, b, c by digest; '!' cannot be read, '?' was not compared. The first is the primary. */
function copiesOf(digests: string): VerifiedCopy[] {
  return [...digests].map((digest, index) => ({
    node: 'abc'[index]!,
    role: index === 0 ? 'primary' : 'replica',
    seq: 7,
    rows: 10,
    rowsDone: 10,
    digest: digest === '!' || digest === '?' ? null : digest,
    problem: digest === '?' ? 'it does not answer' : '',
    damage: digest === '!' ? 'a row ends early' : '',
  }));
}

describe('the verdict about copies', () => {
  it.each([
    ['111', 'equal', 'abc', '', []],
    ['11?', 'equal', 'ab', '', []],
    ['112', 'different', 'ab', 'c', ['skyshard replica rebuild c 3']],
    ['11!', 'different', 'ab', 'c', ['skyshard replica rebuild c 3']],
    ['1!?', 'different', 'a', 'b', ['skyshard replica rebuild b 3']],
    ['1??', 'unknown', 'a', '', [/run it again/]],
    ['!??', 'unknown', '', 'a', [/run it again/]],
    ['211', 'different', 'bc', 'a', [/^skyshard promote b --all-from a /, 'skyshard replica rebuild a 3']],
    [
      '12',
      'different',
      '',
      'ab',
      [/repo diff/, /^if it is: skyshard replica rebuild b 3$/, /^if it is not: .*rebuild a 3$/],
    ],
  ])('%s: %s', (digests, result, nodes, odd, todo) => {
    const verdict = copyVerdict(3, copiesOf(digests));
    expect(verdict).toMatchObject({ result, nodes: [...nodes], odd: [...odd] });
    expect(verdict.todo).toEqual(todo.map((line) => (typeof line === 'string' ? line : expect.stringMatching(line))));
  });
});
