/** What of a source is proven depends on its lag, and on nothing that one host can choose. */
import { describe, expect, it } from 'vitest';
import { SourceTrust, type VerifyMode } from '../../../src/ingest/source-trust.ts';
import { speechOf } from '../../../src/ingest/speaker.ts';

const didOf = (index: number): string => `did:plc:${String(index).padStart(24, 'a')}`;

function trustOf(mode: VerifyMode, salt = 1): SourceTrust {
  return new SourceTrust({ name: 'https://relay.test', pds: null, mode, lagMsMax: 1000, salt });
}

function sampleOf(trust: SourceTrust): string[] {
  return Array.from({ length: 4000 }, (_unused, index) => didOf(index)).filter((did) => trust.verifies(did));
}

describe('a sample', () => {
  it('is about one account in sixteen, always the same ones, and others with another salt', () => {
    const sample = sampleOf(trustOf('sample'));
    expect(sample.length).toBeGreaterThan(150);
    expect(sample.length).toBeLessThan(350);
    expect(sampleOf(trustOf('sample'))).toEqual(sample);
    expect(sampleOf(trustOf('sample', 2))).not.toEqual(sample);
  });
});

describe('a lag', () => {
  it('makes all fall to a sample, until it is half as much', () => {
    const trust = trustOf('all');
    trust.noteLag(5000, 10_000);
    expect(trust.modeNow).toBe('sample');
    trust.noteLag(700, 11_000);
    expect(trust.modeNow).toBe('sample');
    trust.noteLag(400, 12_000);
    expect(trust.modeNow).toBe('all');
  });

  it('is the least of a second, so old times of some hosts do not count', () => {
    const trust = trustOf('all');
    trust.noteLag(0, 10_000);
    for (let ms = 0; ms < 1000; ms += 10) trust.noteLag(ms === 500 ? 20 : 1e9, 10_000 + ms);
    trust.noteLag(1e9, 11_000);
    expect(trust.modeNow).toBe('all');
  });

  it('changes nothing of a source that is proven by sample, or not at all', () => {
    for (const mode of ['sample', 'off'] as const) {
      const trust = trustOf(mode);
      trust.noteLag(5000, 10_000);
      expect(trust.modeNow).toBe(mode);
    }
  });
});

describe('a speaker', () => {
  it('is a relay for everybody, and a PDS for those whose document names it', () => {
    const pds = 'https://pds.test';
    const fact = { pds, signingKey: null };
    expect(speechOf({ pds: null }, null)).toBe('allowed');
    expect(speechOf({ pds }, fact)).toBe('allowed');
    expect(speechOf({ pds }, { ...fact, pds: 'https://other.test' })).toBe('speaker-other-host');
    expect(speechOf({ pds }, { ...fact, pds: null })).toBe('speaker-other-host');
    expect(speechOf({ pds }, null)).toBe('speaker-unknown');
  });
});
