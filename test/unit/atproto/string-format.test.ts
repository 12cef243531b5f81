/** Each format accepts and refuses the same texts as the official validators. */
import { describe, expect, it } from 'vitest';
import { checkByFormat, type StringFormat } from '../../../src/atproto/string-format.ts';

const did = 'did:plc:ewvi7nxzyoun6zhxrhs64oiz';
const tid = '3kbd6l2y3gk2z';

/** What the official validators of @atproto/bsky 0.0.280 accept and refuse in strict mode. */
const cases: Readonly<
  Record<StringFormat, { readonly accepted: readonly string[]; readonly refused: readonly string[] }>
> = {
  did: {
    accepted: [
      did,
      'did:web:example.com',
      'did:web:localhost%3A1234',
      'did:a:b',
      'did:method:val:two',
      'did:plc:a_b-c.d',
    ],
    refused: [
      '',
      'did:',
      'did:a:',
      'did:A:b',
      'did:plc:a%',
      `did:web:${'a'.repeat(2050)}`,
      'did:plc:é',
      ' did:a:b',
      `${did}/`,
    ],
  },
  handle: {
    accepted: ['alice.test', 'a.b', 'xn--ls8h.test', 'A-b.c-d.com', '1a.2b.c3', `${'a'.repeat(63)}.com`],
    refused: [
      '',
      'alice',
      'alice.1test',
      '-a.test',
      'a-.test',
      'a..test',
      `${'a'.repeat(64)}.com`,
      `${'a.'.repeat(126)}aa`,
    ],
  },
  'at-identifier': { accepted: [did, 'alice.test'], refused: ['', 'did:', 'alice', 'did.'] },
  nsid: {
    accepted: ['app.bsky.feed.post', 'a.b.c', 'com.example.fooBar', 'a.1.c', 'com.ex-ample.x'],
    refused: [
      '',
      'a.b',
      '1.b.c',
      'a.b.1c',
      'com.-x.y',
      'com.example.foo-bar',
      `a.${'b'.repeat(64)}.c`,
      `${'a.'.repeat(200)}b`,
    ],
  },
  'record-key': {
    accepted: ['self', tid, 'a~b:c_d-e.f', '...', 'x'.repeat(512)],
    refused: ['', '.', '..', 'a b', '%20', 'a/b', 'é', 'x'.repeat(513)],
  },
  tid: {
    accepted: [tid, '2222222222222', 'jzzzzzzzzzzzz'],
    refused: ['', 'zzzzzzzzzzzzz', 'kzzzzzzzzzzzz', '3kbd6l2y3gk2', '3kbd6l2y3gk21', '3KBD6L2Y3GK2Z'],
  },
  'at-uri': {
    accepted: [
      `at://${did}/app.bsky.feed.post/${tid}`,
      `at://${did}/app.bsky.feed.post`,
      `at://${did}`,
      'at://alice.test/app.bsky.feed.post/self',
      `at://${did}/app.bsky.feed.post/${tid}#/frag/%20x`,
    ],
    refused: [
      '',
      'at://',
      `at://${did}/`,
      `at://${did}/app.bsky.feed.post/`,
      `at://${did}/app.bsky.feed.post/${tid}/`,
      `at://${did}/app.bsky.feed.post/${tid}/more`,
      `at://${did}/app.bsky.feed.post/${tid}?q=1`,
      `at://${did}/app.bsky.feed.post/${tid}#frag`,
      `at://${did}/app.bsky.feed.post/${tid}#/%ff`,
      `at://${did}/notannsid/${tid}`,
      `at://${did}/app.bsky.feed.post/..`,
      `AT://${did}/app.bsky.feed.post/${tid}`,
      `at://${did}/app.bsky.feed.post/${tid} `,
      'at://alice/app.bsky.feed.post/self',
      `at://alice.test/app.bsky.feed.post/${'x'.repeat(8200)}`,
    ],
  },
  datetime: {
    accepted: [
      '2024-05-06T07:08:09.123Z',
      '2024-05-06T07:08:09Z',
      '1985-04-12T23:20:50.123456789Z',
      '2024-02-29T00:00:00.000Z',
      '2024-05-06T07:08:09+05:30',
      '0000-01-01T00:00:00Z',
      '2024-05-31T23:59:59.999Z',
    ],
    refused: [
      '',
      '2024-05-06',
      '2024-05-06T07:08:09',
      '2024-05-06T24:00:00.000Z',
      '2024-13-06T07:08:09.123Z',
      '2024-00-06T07:08:09.123Z',
      '2024-05-00T07:08:09.123Z',
      '2024-05-32T07:08:09.123Z',
      '2024-12-31T23:59:60Z',
      '2024-05-06T07:08:09.123-00:00',
      '0000-01-01T00:00:00+01:00',
      '9999-12-31T23:59:59-01:00',
      '2024-05-06t07:08:09z',
      '2024-05-06T07:08:09.Z',
      `2024-05-06T07:08:09.${'1'.repeat(60)}Z`,
    ],
  },
  language: {
    accepted: [
      'en',
      'jaa',
      'pt-BR',
      'zh-Hans-CN',
      'de-DE-1996',
      'en-GB-oed',
      'i-klingon',
      'x-private',
      'en-u-ca-gregory',
      'zh-cmn-Hans-CN',
      'en-x-a',
      'sl-rozaj-biske',
    ],
    refused: ['', 'EN', 'abcd', 'a', 'en-', 'en-x-', 'de-1996-1996', 'en-a-bb-a-cc', 'en-a', 'en_US', 'no-bok-x'],
  },
  cid: {
    accepted: [
      'bafyreie5737gdxlw5i64vzichcalba3z2v5n6icifvx5xytvske7mr3hpm',
      'bafkreibjfgx2gprinfvicegelk5kosd6y2frmqpqzwqkg7usac74l3t2v4',
      'bafybeigdyrzt5sfp7udm7hu76uh7y26nf3efuylqabf3oclgtqy55fbzdi',
      'QmbWqxBEKC3P8tqsKc98xmWNzrzDtRLMiMPL8wBuTGsMnR',
      'bafkqaaa',
    ],
    refused: [
      '',
      'b',
      'bafyreie5737gdxlw5i64vzichcalba3z2v5n6icifvx5xytvske7mr3hp',
      'zdj7WWeQ43G6JJvLWQWZpyHuAMq6uYWRjkBXFad11vE2LHhQ7',
      'QmbWqxBEKC3P8tqsKc98xmWNzrzDtRLMiMPL8wBuTGsMn0',
      'QmbWqxBEKC3P8tqsKc98xmWNzrzDtRLMiMPL8wBuTGsMn',
      'BAFKQAAA',
      `b${'a'.repeat(128)}`,
    ],
  },
  uri: {
    accepted: ['https://example.com/a?b', 'mailto:a@b', 'a:b', 'dns:a', 'https://é'],
    refused: ['', 'x', 'a:', 'a:/', 'a://', 'http://a b', ' a:b', '://a'],
  },
};

describe.each(Object.keys(cases) as StringFormat[])('the format %s', (format) => {
  it.each(cases[format].accepted)('accepts %s', (text) => {
    expect(checkByFormat[format](text)).toBe(true);
  });

  it.each(cases[format].refused)('refuses %s', (text) => {
    expect(checkByFormat[format](text)).toBe(false);
  });
});
