/** Web pages cannot use a listener: which headers are refused, by kind of endpoint and of host. */
import { describe, expect, it } from 'vitest';
import { PageGuard, type PageRules, requireJson } from '../../../src/http/page-guard.ts';

type Headers = Readonly<Record<string, string>>;

const loopback = { host: '127.0.0.1' };
const local = { host: '127.0.0.1:7402' };

function reader(headers: Headers): (name: string) => string {
  return (name) => headers[name] ?? '';
}

function isRefused(kind: 'callRefusal' | 'operatorRefusal', headers: Headers, rules: PageRules = loopback): boolean {
  return new PageGuard(rules)[kind](reader(headers))?.code === 'PermissionDenied';
}

describe('calls of bsky.Service and /wire', () => {
  it.each([
    ['of a foreign page', 'https://evil.example'],
    ['of an opaque origin', 'null'],
    ['even of a page of our own', 'http://127.0.0.1:7402'],
  ])('are refused with an origin %s', (_name, origin) => {
    expect(isRefused('callRefusal', { ...local, origin })).toBe(true);
    expect(isRefused('callRefusal', { host: 'router.example', origin }, { host: '10.0.0.1' })).toBe(true);
  });
});

describe("operators' endpoints", () => {
  it.each([
    ['curl', local],
    ['a page of our own', { ...local, origin: 'http://127.0.0.1:7402', 'sec-fetch-site': 'same-origin' }],
    ['an address bar', { ...local, 'sec-fetch-site': 'none' }],
  ])('answer %s', (_name, headers) => {
    expect(isRefused('operatorRefusal', headers)).toBe(false);
  });

  it.each([
    ['of another origin', { ...local, origin: 'https://example.com' }],
    ['of an opaque origin', { ...local, origin: 'null' }],
    ['of another port', { ...local, origin: 'http://127.0.0.1:8080' }],
    ['of another site without an origin', { ...local, 'sec-fetch-site': 'cross-site' }],
    ['of another port without an origin', { ...local, 'sec-fetch-site': 'same-site' }],
    ['of a foreign name that points here', { host: 'evil.example:7402', origin: 'http://evil.example:7402' }],
  ])('refuse a page %s', (_name, headers) => {
    expect(isRefused('operatorRefusal', headers)).toBe(true);
  });

  it('take only JSON, by its type', () => {
    for (const type of ['application/json', 'Application/JSON; charset=utf-8']) {
      expect(() => requireJson(reader({ 'content-type': type }))).not.toThrow();
    }
    expect(() => requireJson(reader({ 'content-type': 'text/plain' }))).toThrow('application/json');
    expect(() => requireJson(reader({}))).toThrow('application/json');
  });
});

describe.each(['callRefusal', 'operatorRefusal'] as const)('the host of a request (%s)', (kind) => {
  it.each(['127.0.0.1:7402', '127.9.9.9', 'localhost:7402', 'LOCALHOST', '[::1]:7402'])(
    'may be the loopback name %s, on any listener',
    (host) => {
      expect(isRefused(kind, { host })).toBe(false);
      expect(isRefused(kind, { host }, { host: '10.0.0.1', allowedHosts: ['router.example'] })).toBe(false);
    },
  );

  it.each(['evil.example:7402', 'evil.example', '127.0.0.1.evil.example', '10.0.0.1', ''])(
    'is refused on loopback if it is "%s"',
    (host) => {
      expect(isRefused(kind, { host })).toBe(true);
    },
  );

  it('may be a name that allowedHosts holds', () => {
    const rules = { host: '127.0.0.1', allowedHosts: ['router.example'] };
    expect(isRefused(kind, { host: 'router.example:443' }, rules)).toBe(false);
    expect(isRefused(kind, { host: 'evil.example' }, rules)).toBe(true);
  });

  it('may be any name beyond loopback, unless allowedHosts narrows it', () => {
    const narrow = { host: '10.0.0.1', allowedHosts: ['router.example'] };
    expect(isRefused(kind, { host: 'any.example' }, { host: '10.0.0.1' })).toBe(false);
    expect(isRefused(kind, { host: 'any.example' }, narrow)).toBe(true);
    for (const host of ['Router.Example', '10.0.0.1:7400']) expect(isRefused(kind, { host }, narrow)).toBe(false);
  });
});
