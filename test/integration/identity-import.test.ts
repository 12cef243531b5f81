/** An export of the directory becomes identities; their handles count once they are verified. */
import { appendFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { ImportProgress } from '../../src/ingest/identity-import.ts';
import { IngestHarness } from '../support/ingest-harness.ts';
import { MemoryLog } from '../support/memory-log.ts';
import { didDocument } from '../support/scripted-network.ts';
import { until } from '../support/until.ts';
import { frameOf } from '../unit/atproto/signed-repo.ts';

const key = 'did:key:zQ3shunBKsXixLxKtC5qeSG9E4J5RkGN57im31pcTzbNQnm5w';
const otherKey = 'did:key:zQ3shXjHeiBuRCKmM36cuYnm7YEMzhGnCmCyW92sRJ9pribSF';
const pds = 'https://pds.example';
const didOf = (letter: string): string => `did:plc:${letter.repeat(24)}`;

let harness: IngestHarness;
let file: string;
beforeEach(async () => {
  harness = await IngestHarness.create();
  file = join(harness.folder, 'export.jsonl');
});
afterEach(() => harness.close());

function operation(handle: string, fields: object = {}): object {
  return {
    type: 'plc_operation',
    rotationKeys: [key],
    verificationMethods: { atproto: key },
    alsoKnownAs: [`at://${handle}`],
    services: { atproto_pds: { type: 'AtprotoPersonalDataServer', endpoint: pds } },
    prev: null,
    sig: 'x',
    ...fields,
  };
}

function lineOf(did: string, op: object, second: number, fields: object = {}): string {
  const createdAt = new Date(Date.UTC(2024, 0, 1, 0, 0, second)).toISOString();
  return `${JSON.stringify({ did, operation: op, cid: 'bafy', nullified: false, createdAt, ...fields })}\n`;
}

async function imported(): Promise<ImportProgress> {
  expect(await harness.post('/v1/identity/import', { path: file })).toMatchObject({ status: 200 });
  return ended();
}

function ended(): Promise<ImportProgress> {
  return until(async () => {
    const progress = (await harness.get('/v1/identity/import')).body as unknown as ImportProgress;
    return progress.isRunning ? null : progress;
  });
}

const identityOf = (did: string) => harness.log.of('identity', did).at(-1);

describe('an import', () => {
  it.each([
    ['a text\nof lines\n', 'none of its 2 lines is an operation (2 not-json)'],
    ['one line without an end', 'it has no whole line'],
    ['', 'it has no whole line'],
  ])('of what is no export says what is wrong: %j', async (text, expected) => {
    writeFileSync(file, text);
    await harness.start();
    const progress = await imported();
    expect(progress.problem).toBe(`the file is no export of the directory: ${expected}`);
  });

  it('is stopped for good, also while no node takes anything; another file can be read then', async () => {
    writeFileSync(file, lineOf(didOf('a'), operation('a.example'), 1));
    harness.log.isHeld = true;
    await harness.start();
    await harness.post('/v1/identity/import', { path: file });
    expect(await harness.post('/v1/identity/import/stop', {})).toMatchObject({
      status: 200,
      body: { isRunning: false, imported: 0, problem: 'it was stopped' },
    });
    harness.log.acknowledgeAll();
    await harness.stop();
    await harness.start();
    expect(await harness.get('/v1/identity/import')).toMatchObject({ status: 404 });
    expect(await imported()).toMatchObject({ lines: 1, problem: null });
  });
});

describe('an export', () => {
  it('is read in every form the directory has had; the newest operation of a DID wins', async () => {
    const genesis = { type: 'create', signingKey: key, recoveryKey: key, handle: 'b.example', service: 'pds.example' };
    writeFileSync(
      file,
      lineOf(didOf('a'), operation('old.example'), 1) +
        lineOf(didOf('b'), genesis, 2) +
        lineOf(didOf('a'), operation('New.example', { verificationMethods: { atproto: otherKey } }), 3) +
        lineOf(didOf('c'), operation('c.example'), 4) +
        lineOf(didOf('c'), { type: 'plc_tombstone', prev: 'bafy', sig: 'x' }, 5),
    );
    await harness.start();
    expect(await imported()).toMatchObject({ lines: 5, imported: 2, gone: 1, skipped: {}, problem: null });
    expect(harness.log.of('identity')).toHaveLength(2);
    const eventMs = Date.UTC(2024, 0, 1, 0, 0, 3);
    expect(identityOf(didOf('a'))).toMatchObject({ handle: null, verifiedAtMs: 0, eventMs });
    expect(JSON.parse(identityOf(didOf('a'))!.keysJson)).toEqual({
      atproto: { Type: 'Multikey', PublicKeyMultibase: otherKey.slice('did:key:'.length) },
    });
    expect(JSON.parse(identityOf(didOf('b'))!.servicesJson)).toEqual({
      atproto_pds: { Type: 'AtprotoPersonalDataServer', URL: pds },
    });
  });

  it('has each bad line counted by its reason, and is read on after it', async () => {
    const good = lineOf(didOf('a'), operation('a.example'), 1);
    const ahead = { createdAt: new Date(Date.now() + 3_600_000).toISOString() };
    writeFileSync(
      file,
      [
        'no json\n',
        '[]\n',
        '\n',
        lineOf('did:plc:short', operation('x.example'), 1),
        lineOf('did:web:a.example', operation('x.example'), 1),
        lineOf(didOf('b'), { type: 'plc_surprise' }, 1),
        lineOf(didOf('b'), operation('x.example', { services: 7 }), 1),
        lineOf(didOf('b'), operation('x.example'), 1, { nullified: true }),
        lineOf(didOf('b'), operation('x.example'), 1, ahead),
        lineOf(didOf('b'), operation('x.example', { filler: 'x'.repeat(70_000) }), 1),
        lineOf(didOf('b'), operation('x.example', { filler: 'x'.repeat(3_000_000) }), 1),
        good,
      ].join(''),
    );
    await harness.start();
    expect(await imported()).toMatchObject({
      lines: 11,
      imported: 1,
      skipped: {
        'not-json': 1,
        malformed: 2,
        'did-bad': 2,
        'operation-unknown': 1,
        nullified: 1,
        'time-ahead': 1,
        'too-long': 2,
      },
    });
  });

  it('goes on after a restart, and where it ended when it has grown', async () => {
    const letters = 'abcdefgh'.split('');
    writeFileSync(
      file,
      letters.map((letter, second) => lineOf(didOf(letter), operation('x.example'), second)).join(''),
    );
    harness.log.isHeld = true;
    await harness.start();
    await harness.post('/v1/identity/import', { path: file });
    await until(() => harness.log.waitingCount === letters.length);
    // The process ends before the batch is acknowledged: nothing of it counts as read.
    await harness.stop();
    harness.log = new MemoryLog();
    await harness.start();
    expect(await ended()).toMatchObject({ imported: letters.length });
    expect(harness.log.of('identity')).toHaveLength(letters.length);
    appendFileSync(file, lineOf(didOf('i'), operation('i.example'), 60));
    // The last line is still being written.
    appendFileSync(file, lineOf(didOf('j'), operation('j.example'), 61).slice(0, 100));
    expect(await imported()).toMatchObject({ lines: letters.length + 1, imported: letters.length + 1 });
    expect(harness.log.of('identity')).toHaveLength(letters.length + 1);
  });

  it('of another file begins at its start; one that is not there, or no file, is refused', async () => {
    await harness.start();
    expect(await harness.post('/v1/identity/import', { path: file })).toMatchObject({ status: 404 });
    expect(await harness.post('/v1/identity/import', { path: 'export.jsonl' })).toMatchObject({ status: 400 });
    for (const path of [harness.folder, '/dev/zero']) {
      expect(await harness.post('/v1/identity/import', { path })).toMatchObject({ status: 400 });
    }
    writeFileSync(file, lineOf(didOf('a'), operation('a.example'), 1));
    await imported();
    writeFileSync(file, lineOf(didOf('b'), operation('b.example'), 1));
    expect(await imported()).toMatchObject({ lines: 1, imported: 1 });
  });

  it('changes nothing of what was resolved or imported since', async () => {
    harness.network.register(didOf('a'), 'a.example');
    await harness.start();
    const time = '2024-05-06T07:08:10.000Z';
    harness.network.publish(1, frameOf({ op: 1, t: '#identity' }, { seq: 1, did: didOf('a'), time }));
    await harness.settle();
    expect(identityOf(didOf('a'))).toMatchObject({ handle: 'a.example' });
    const [newer, older] = [
      lineOf(didOf('b'), operation('b.example'), 5),
      lineOf(didOf('b'), operation('c.example'), 4),
    ];
    writeFileSync(file, lineOf(didOf('a'), operation('old.example'), 9) + newer + older);
    expect(await imported()).toMatchObject({ imported: 1, known: 1, skipped: { older: 1 } });
    writeFileSync(file, lineOf(didOf('b'), operation('d.example'), 3));
    expect(await imported()).toMatchObject({ imported: 0, known: 1 });
    expect(identityOf(didOf('a'))).toMatchObject({ handle: 'a.example' });
  });
});

describe('the handle of an imported identity', () => {
  it('is verified in the background, in both directions, across restarts', async () => {
    const letters = 'abcdefghijklmnop'.split('');
    for (const letter of letters) {
      harness.network.documents.set(didOf(letter), didDocument(didOf(letter), `${letter}.example`, pds));
      // One handle belongs to somebody else.
      harness.network.didByHandle.set(`${letter}.example`, letter === 'p' ? didOf('a') : didOf(letter));
    }
    writeFileSync(
      file,
      letters.map((letter, second) => lineOf(didOf(letter), operation(`${letter}.example`), second)).join(''),
    );
    await harness.start();
    await imported();
    expect(harness.log.of('identity').every(({ handle }) => handle === null)).toBe(true);
    await harness.stop();
    harness.log = new MemoryLog();
    await harness.start({ handleChecksPerSecond: 1000 });
    await until(() => harness.log.of('identity').length === letters.length);
    expect(identityOf(didOf('a'))).toMatchObject({ handle: 'a.example', keysJson: '' });
    expect(identityOf(didOf('a'))!.verifiedAtMs).toBeGreaterThan(0);
    expect(identityOf(didOf('p'))).toMatchObject({ handle: null });
    // Each is checked once, and no document was asked for.
    await harness.stop();
    harness.log = new MemoryLog();
    await harness.start({ handleChecksPerSecond: 1000 });
    expect(await imported()).toMatchObject({ imported: letters.length });
    expect(harness.log.of('identity')).toEqual([]);
    expect(harness.network.requestCount('/did')).toBe(0);
  });

  it('that cannot be checked stays unverified, and nothing is said of it', async () => {
    harness.network.responders.set('/xrpc/com.atproto.identity.resolveHandle', () => ({ status: 502, body: '' }));
    writeFileSync(file, lineOf(didOf('a'), operation('a.example'), 1));
    await harness.start({ handleChecksPerSecond: 1000 });
    await imported();
    await until(() => harness.network.requestCount('/xrpc/com.atproto.identity') > 0);
    expect(harness.log.of('identity')).toHaveLength(1);
  });
});
