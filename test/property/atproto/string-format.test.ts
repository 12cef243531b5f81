/** The fast paths before @atproto/syntax agree with it on any text. */
import {
  isAtUriString,
  isValidAtIdentifier,
  isValidDatetime,
  isValidDid,
  isValidHandle,
  isValidNsid,
  isValidRecordKey,
  isValidTid,
  isValidUri,
  parseLanguageString,
} from '@atproto/syntax';
import * as fc from 'fast-check';
import { CID } from 'multiformats/cid';
import { describe, expect, it } from 'vitest';
import { checkByFormat, type StringFormat } from '../../../src/atproto/string-format.ts';

/** Runs a synchronous property; the message of a failure has its seed. */
const assertHolds: <Values>(property: fc.IProperty<Values>, parameters?: fc.Parameters<Values>) => void = fc.assert;

function isCanonicalCid(text: string): boolean {
  try {
    return text.length <= 128 && CID.parse(text).toString() === text;
  } catch {
    return false;
  }
}

const libraryByFormat: Readonly<Record<StringFormat, (text: string) => boolean>> = {
  'at-identifier': isValidAtIdentifier,
  'at-uri': (text) => isAtUriString(text, { strict: true }),
  cid: isCanonicalCid,
  datetime: isValidDatetime,
  did: isValidDid,
  handle: isValidHandle,
  language: (text) => parseLanguageString(text) !== null,
  nsid: isValidNsid,
  'record-key': isValidRecordKey,
  tid: isValidTid,
  uri: isValidUri,
};

const did = 'did:plc:ewvi7nxzyoun6zhxrhs64oiz';
const seeds = [
  did,
  'did:web:example.com',
  'alice.test',
  'app.bsky.feed.post',
  '3kbd6l2y3gk2z',
  `at://${did}/app.bsky.feed.post/3kbd6l2y3gk2z`,
  `at://${did}/app.bsky.feed.post/self#/a`,
  '2024-05-06T07:08:09.123Z',
  '2024-02-29T23:59:59.999Z',
  '1985-04-12T23:20:50.5+05:30',
  'en',
  'pt-BR',
  'bafyreie5737gdxlw5i64vzichcalba3z2v5n6icifvx5xytvske7mr3hpm',
  'bafkreibjfgx2gprinfvicegelk5kosd6y2frmqpqzwqkg7usac74l3t2v4',
  'QmbWqxBEKC3P8tqsKc98xmWNzrzDtRLMiMPL8wBuTGsMnR',
  'https://example.com/a?b',
];

/** Nearly valid texts: a few characters changed, removed, doubled or added. */
const texts = fc
  .tuple(
    fc.constantFrom(...seeds),
    fc.array(
      fc.tuple(
        fc.nat(80),
        fc.constantFrom('set', 'cut', 'insert', 'double'),
        fc.oneof(fc.constantFrom(...'aZ029.:-_~/#%?= é'), fc.string({ minLength: 1, maxLength: 1 })),
      ),
      { maxLength: 3 },
    ),
  )
  .map(([seed, changes]) => {
    let text = seed;
    for (const [at, kind, letter] of changes) {
      const index = at % (text.length + 1);
      if (kind === 'double') text = text.slice(0, index) + text.slice(Math.max(0, index - 3));
      else if (kind === 'cut') text = text.slice(0, index) + text.slice(index + 1);
      else text = text.slice(0, index) + letter + text.slice(kind === 'set' ? index + 1 : index);
    }
    return text;
  });

describe('the string formats', () => {
  it.each(Object.keys(libraryByFormat) as StringFormat[])('%s: agree with the library', (format) => {
    let acceptedCount = 0;
    assertHolds(
      fc.property(texts, (text) => {
        const isValid = libraryByFormat[format](text);
        if (isValid) acceptedCount++;
        expect([text, checkByFormat[format](text)]).toEqual([text, isValid]);
      }),
      { numRuns: 3000 },
    );
    expect(acceptedCount).toBeGreaterThan(50);
  });
});
