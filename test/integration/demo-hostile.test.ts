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
  const rates = { recordsPerSecond: 10, hostilePerSecond: 30 };
  network = await startDemoNetwork({ dataDir: folder, seed: 3, actors: 20, initialRecords: 50, ...rates });
  socket = new WebSocket(`${network.url.replace('http', 'ws')}/xrpc/com.atproto.sync.subscribeRepos?cursor=0`);
  socket.on('message', (message: Buffer) => messages.push(decodeFirehoseMessage(message)));
  await until(() => messages.length > 300, 50_000);
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

/** More than any repo of the demo has. */
const wholeBytesMax = 16 * 2 ** 20;

async function answerOf(host: string, did: string): Promise<string> {
  let bytes = 0;
  try {
    const response = await fetch(`${host}/xrpc/com.atproto.sync.getRepo?did=${did}`, {
      signal: AbortSignal.timeout(2_000),
    });
    for await (const part of response.body!) {
      bytes += part.length;
      if (bytes > wholeBytesMax) return 'no end';
    }
    return 'whole';
  } catch (error) {
    return (error as Error).name === 'TimeoutError' ? 'silent' : 'cut';
  }
}

test('has hosts that cut the connection, keep silent, and have no end', async () => {
  const authors = messages.flatMap((read) => (read.ok && read.value.kind === 'commit' ? [read.value.did] : []));
  const strangers = new Set(authors.filter((did) => network.world.actorOfDid(did) === undefined));
  const outcomes = new Set<string>();
  for (const did of strangers) {
    if (outcomes.size === 4) break;
    const document = await fetch(`${network.url}/${did}`).then((response) => response.text());
    const host = /"serviceEndpoint":"([^"]*)"/.exec(document)?.[1];
    if (host !== undefined) outcomes.add(await answerOf(host, did));
  }
  expect([...outcomes].sort()).toEqual(['cut', 'no end', 'silent', 'whole']);
});
