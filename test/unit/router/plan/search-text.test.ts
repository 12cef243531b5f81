/** What the operators of a search box mean, and that everything else is words. */
import { describe, expect, it } from 'vitest';
import { readSearchText, searchTextLengthMax } from '../../../../src/router/plan/search-text.ts';
import { searchLimits } from '../../../../src/wire/search-messages.ts';

/** A query in short: clauses of `kind=value`, alternatives with `|`, what is excluded with `-`. */
function inShort(text: string): string[] {
  const { all, none, sinceMs, untilMs } = readSearchText(text, 'q');
  const clauses = all.map((clause) => clause.map(({ kind, value }) => `${kind}=${value}`).join('|'));
  const times = Object.entries({ sinceMs, untilMs }).flatMap(([name, timeMs]) =>
    timeMs === null ? [] : [`${name} ${new Date(timeMs).toISOString()}`],
  );
  return [...clauses, ...none.map(({ kind, value }) => `-${kind}=${value}`), ...times];
}

const did = 'did:plc:z72i7hdynmk6r22z27h6tvur';

describe('a text of a search box', () => {
  it.each<[string, string[]]>([
    ['one two', ['text=one', 'text=two']],
    ['"one two" three', ['text=one two', 'text=three']],
    ['“one two” «three four»', ['text=one two', 'text=three four']],
    ['cats -dogs -"big dogs"', ['text=cats', '-text=dogs', '-text=big dogs']],
    ['from:alice.test from:@Bob.test hi', ['author=alice.test|author=bob.test', 'text=hi']],
    [`author:${did} -from:bob.test`, [`author=${did}`, '-author=bob.test']],
    ['from:me', ['author=me']],
    [did, [`author=${did}`]],
    ['to:alice.test mentions:bob.test @carol.test', ['mention=alice.test', 'mention=bob.test', 'mention=carol.test']],
    ['#cats #Dogs tag:#birds -#mice', ['tag=cats', 'tag=Dogs', 'tag=birds', '-tag=mice']],
    ['domain:Example.COM domain:a.b', ['domain=example.com|domain=a.b']],
    ['https://example.com/a?b=c', ['url=https://example.com/a?b=c']],
    ['lang:pt lang:pt-BR', ['language=pt|language=pt-br']],
    [
      'since:2024-02-01 until:2024-03-01T10:00:00Z',
      ['sinceMs 2024-02-01T00:00:00.000Z', 'untilMs 2024-03-01T10:00:00.000Z'],
    ],
    ['since:2024-02-01 since:2024-01-01', ['sinceMs 2024-02-01T00:00:00.000Z']],
    ['FROM:alice.test', ['author=alice.test']],
    ['domain:"example.com"', ['domain=example.com']],
  ])('is read: %s', (text, expected) => {
    expect(inShort(text)).toEqual(expected);
  });

  it.each<[string, string[]]>([
    ['', []],
    [' \t\n ', []],
    ['""', []],
    ['"never closed', ['text=never closed']],
    ['closed"', ['text=closed']],
    ['-', ['text=-']],
    ['--x', ['-text=-x']],
    ['from: x', ['text=from:', 'text=x']],
    ['from:not_a_handle', ['text=from:not_a_handle']],
    ['since:yesterday until:99', ['text=since:yesterday', 'text=until:99']],
    ['-since:2024-01-01', ['-text=since:2024-01-01']],
    ['lang:1 domain:x', ['text=lang:1', 'text=domain:x']],
    ['@nobody # ##', ['text=@nobody', 'text=#', 'text=##']],
    ['foo:bar http:// https:x', ['text=foo:bar', 'text=http://', 'text=https:x']],
    ['a\0b\u0007c', ['text=a', 'text=b', 'text=c']],
    [
      'NEAR(a b, 3) {x}: ^y* AND OR',
      ['text=NEAR(a', 'text=b,', 'text=3)', 'text={x}:', 'text=^y*', 'text=AND', 'text=OR'],
    ],
    ["'; DROP TABLE doc; --", ["text=';", 'text=DROP', 'text=TABLE', 'text=doc;', '-text=-']],
  ])('is words where it is no operator: %s', (text, expected) => {
    expect(inShort(text)).toEqual(expected);
  });

  it('is refused past its limits, with what they are', () => {
    expect(() => readSearchText('x'.repeat(searchTextLengthMax + 1), 'q')).toThrow(/q: longer than 2048/);
    expect(readSearchText('x'.repeat(searchTextLengthMax), 'q').all.length).toBe(1);
    const words = (count: number): string => 'a '.repeat(count);
    expect(readSearchText(words(searchLimits.clausesMax), 'q').all.length).toBe(searchLimits.clausesMax);
    for (const part of ['a ', '-a ', '#a ', 'from:me '])
      expect(() => readSearchText(part.repeat(searchLimits.clausesMax + 1), 'q')).toThrow(/at most/);
  });

  it('is read in a time that grows with its length only', () => {
    for (const part of ['-', '"', 'a:', 'from:', '“', 'did:', '((((', '@', '#', 'https://']) {
      const text = part.repeat(Math.floor(searchTextLengthMax / part.length));
      try {
        readSearchText(text, 'q');
      } catch (thrown) {
        expect(String(thrown)).toMatch(/at most/);
      }
    }
  });
});
