/** Web pages cannot use operators' endpoints: which requests are refused without a token. */
import { describe, expect, it } from 'vitest';
import { guardOperators } from '../../../src/http/page-guard.ts';

type Headers = Readonly<Record<string, string>>;

const local = { host: '127.0.0.1:7402', 'content-type': 'application/json' };

function codeOf(verb: 'get' | 'post', headers: Headers, hasToken = false): string | null {
  try {
    guardOperators(verb, (name) => headers[name] ?? '', hasToken);
    return null;
  } catch (thrown) {
    return (thrown as { code: string }).code;
  }
}

describe("operators' endpoints without a token", () => {
  it.each([
    ['curl', local],
    ['a charset', { ...local, 'content-type': 'Application/JSON; charset=utf-8' }],
    ['a name of loopback', { ...local, host: 'localhost:7402' }],
    ['IPv6', { ...local, host: '[::1]:7402' }],
    ['a page of our own', { ...local, origin: 'http://127.0.0.1:7402', 'sec-fetch-site': 'same-origin' }],
    ['an address bar', { ...local, 'sec-fetch-site': 'none' }],
  ])('answer a POST of %s', (_name, headers) => {
    expect(codeOf('post', headers)).toBeNull();
  });

  it.each([
    ['of another origin', { ...local, origin: 'https://example.com' }, 'Unauthenticated'],
    ['of an opaque origin', { ...local, origin: 'null' }, 'Unauthenticated'],
    ['of another port', { ...local, origin: 'http://127.0.0.1:8080' }, 'Unauthenticated'],
    ['of another site without an origin', { ...local, 'sec-fetch-site': 'cross-site' }, 'Unauthenticated'],
    ['to a foreign name that points here', { ...local, host: 'evil.example:7402' }, 'Unauthenticated'],
    ['without a host', { 'content-type': 'application/json' }, 'Unauthenticated'],
    ['of a form', { ...local, 'content-type': 'text/plain' }, 'InvalidArgument'],
    ['without a type', { host: '127.0.0.1:7402' }, 'InvalidArgument'],
  ])('refuse a POST %s', (_name, headers, expected) => {
    expect(codeOf('post', headers)).toBe(expected);
  });

  it('refuse a GET from a page of another site, and answer one that no page sent', () => {
    expect(codeOf('get', { host: 'a' })).toBeNull();
    expect(codeOf('get', { ...local, 'sec-fetch-site': 'same-site' })).toBe('Unauthenticated');
    expect(codeOf('get', { ...local, origin: 'https://example.com' })).toBe('Unauthenticated');
  });
});

describe("operators' endpoints with a token", () => {
  it('accept any host and origin, but only JSON', () => {
    expect(codeOf('post', { ...local, host: 'ingest.example', origin: 'https://example.com' }, true)).toBeNull();
    expect(codeOf('post', { host: 'ingest.example' }, true)).toBe('InvalidArgument');
  });
});
