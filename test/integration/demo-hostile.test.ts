/** A hostile demo network: strangers in its stream and at its hosts, beside sound actors. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { WebSocket } from 'ws';
import { decodeFirehoseMessage, type FirehoseDecoded } from '../../src/atproto/firehose-event.ts';
import { type RunningDemoNetwork, startDemoNetwork } from '../../src/demo/server/demo-network.ts';
import { until } from '../support/until.ts';

let folder = '';
let network: RunningDemoNetwork;
const messages: FirehoseDecoded[] = [];
let socket: WebSocket;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'skyshard-hostile-'));
  const rates = { recordsPerSecond: 50, hostilePerSecond: 200 };
  network = await startDemoNetwork({ dataDir: folder, seed: 3, actors: 20, initialRecords: 50, ...rates });
  socket = new WebSocket(`${network.url.replace('http', 'ws')}/xrpc/com.atproto.sync.subscribeRepos?cursor=0`);
  socket.on('message', (message: Buffer) => messages.push(decodeFirehoseMessage(message)));
  await until(() => messages.length > 600, 50_000);
});

afterAll(async () => {
  socket.terminate();
  await network.close();
  rmSync(folder, { recursive: true });
});

test('sends sound messages of its actors and others of strangers, with ascending seqs', () => {
  const seqs = messages.flatMap((read) => (read.ok ? (read.value.seq ?? []) : (read.seq ?? [])));
  expect(seqs).toEqual(seqs.toSorted((a, b) => a - b));
  const dids = messages.flatMap((read) => (read.ok && 'did' in read.value ? [read.value.did] : []));
  expect(dids.some((did) => network.world.actorOfDid(did) !== undefined)).toBe(true);
  expect(dids.some((did) => network.world.actorOfDid(did) === undefined)).toBe(true);
  expect(messages.some((read) => !read.ok)).toBe(true);
});

test('speaks for actors who did not sign', () => {
  const forged = messages.filter(({ ok, ...read }) => {
    if (!ok || !('value' in read) || read.value.kind !== 'commit') return false;
    const actor = network.world.actorOfDid(read.value.did);
    return actor !== undefined && read.value.ops.some(({ value }) => JSON.stringify(value).includes('hostile'));
  });
  expect(forged.length).toBeGreaterThan(0);
});

test('has hosts that send garbage, cut the connection, and have no end', async () => {
  const strangers = new Set(
    messages.flatMap((read) => (read.ok && read.value.kind === 'commit' ? [read.value.did] : [])),
  );
  const outcomes = new Set<string>();
  for (const did of strangers) {
    if (network.world.actorOfDid(did) !== undefined || outcomes.size === 3) continue;
    const document = await fetch(`${network.url}/${did}`).then((response) => response.text());
    const host = /"serviceEndpoint":"([^"]*)"/.exec(document)?.[1];
    if (host === undefined) continue;
    const answer = await fetch(`${host}/xrpc/com.atproto.sync.getRepo?did=${did}`, {
      signal: AbortSignal.timeout(500),
    })
      .then((response) => response.arrayBuffer())
      .then(
        () => 'whole',
        (error: Error) => (error.name === 'TimeoutError' ? 'no end' : 'cut'),
      );
    outcomes.add(answer);
  }
  expect([...outcomes].sort()).toEqual(['cut', 'no end', 'whole']);
});
