/** The client that services of one's own may copy, against a running node, and its page in ops/. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { NodeError, RecordReader } from '../../ops/batched-read-client.ts';
import { RemoteLog } from '../../src/log/remote-log.ts';
import { wireSubprotocol } from '../../src/wire/frame.ts';
import { recordBatchItemsMax } from '../../src/wire/record-batch.ts';
import { serverLimitDefaults } from '../../src/wire/server-connection.ts';
import { unixOfferHeader } from '../../src/wire/unix-offer.ts';
import { type LoneNode, startLoneNode } from '../support/lone-node.ts';
import { jsonOfOp, recordOp } from '../support/record-op.ts';
import { projectRoot } from '../support/source-scan.ts';

const clusterToken = 'the token of a test cluster';
const dids = ['did:plc:aaaaaaaaaaaaaaaaaaaaaaaa', 'did:web:author.example', 'did:plc:bbbbbbbbbbbbbbbbbbbbbbbb'];
const createdAt = '2026-01-01T00:00:00.000Z';
const jsonByUri = new Map<string, string>();
const missing = `at://${dids[0]}/app.bsky.feed.post/3k2aaaaaaaa33`;

let node: LoneNode;
let url: string;
let reader: RecordReader;

beforeAll(async () => {
  node = await startLoneNode({ slots: 4, applyThreads: 1, clusterToken });
  url = `ws://127.0.0.1:${node.map.nodes.get('n0')!.port}/wire`;
  await using log = new RemoteLog({ caller: node.client, map: () => node.map, lingerMs: 1 });
  for (const did of dids) {
    const ops = [
      {
        collection: 'app.bsky.feed.post',
        rkey: '3k2aaaaaaaa22',
        record: { text: `ü by ${did} ${'long '.repeat(200)}` },
      },
      { collection: 'app.bsky.actor.profile', rkey: 'self', record: { displayName: did } },
    ].map(({ collection, rkey, record }) =>
      recordOp({ collection, rkey }, { $type: collection, createdAt, ...record }),
    );
    for (const op of ops) jsonByUri.set(`at://${did}/${op.collection}/${op.rkey}`, jsonOfOp(op));
    await log.append(did, {
      kind: 'commit',
      did,
      rev: '3l2aaaaaaaa22',
      since: null,
      eventMs: Date.UTC(2026, 0, 2),
      ops,
    });
  }
  reader = await RecordReader.connect(url, clusterToken);
}, 60_000);

afterAll(async () => {
  reader.close();
  await node[Symbol.asyncDispose]();
});

const texts = (records: readonly (Buffer | null)[]): (string | null)[] =>
  records.map((json) => json?.toString() ?? null);

describe('the client of batched reads', () => {
  it('reads what is stored, in the order asked, and null for what is not', async () => {
    const uris = [...jsonByUri.keys()];
    const asked = [missing, ...uris.toReversed(), missing, uris[0]!];
    expect(texts(await reader.read(asked))).toEqual(asked.map((uri) => jsonByUri.get(uri) ?? null));
    expect(await reader.read([])).toEqual([]);
  });

  it('reads a batch that is longer than what is looked up at once', async () => {
    const uris = [...jsonByUri.keys(), missing, 'at://did:plc:unknownunknownunknownunk/app.bsky.feed.post/x'];
    const asked = Array.from({ length: 333 }, (_unused, index) => uris[(index * 5) % uris.length]!);
    const answers = texts(await reader.read(asked, 10_000));
    expect(answers).toEqual(asked.map((uri) => jsonByUri.get(uri) ?? null));
  });

  it('keeps many calls apart that are in flight', async () => {
    const uris = [...jsonByUri.keys()];
    const asked = Array.from({ length: 500 }, (_unused, index) => [uris[index % uris.length]!, missing]);
    const answers = await Promise.all(asked.map((batch) => reader.read(batch, 10_000)));
    expect(answers.map(texts)).toEqual(asked.map(([uri]) => [jsonByUri.get(uri!), null]));
  });

  it.each([
    ['ResourceExhausted', Array<string>(recordBatchItemsMax + 1).fill(missing)],
    ['ResourceExhausted', Array<string>(recordBatchItemsMax).fill(`at://${dids[0]}/app.bsky.feed.post/3k2aaaaaaaa22`)],
    ['InvalidArgument', ['at://handle.example/app.bsky.feed.post/3k2aaaaaaaa22 ']],
  ])('gives errors of the node by their code (%s), and goes on', async (code, uris) => {
    const refused = reader.read(uris, 10_000);
    await expect(refused).rejects.toBeInstanceOf(NodeError);
    await expect(refused).rejects.toMatchObject({ code });
    expect(await reader.read([missing])).toEqual([null]);
    expect(await reader.read(Array<string>(recordBatchItemsMax).fill(missing), 10_000)).toHaveLength(
      recordBatchItemsMax,
    );
  });

  it('needs the token of the cluster', async () => {
    await expect(RecordReader.connect(url, null)).rejects.toThrow('401');
    await expect(RecordReader.connect(url, 'another')).rejects.toThrow('401');
  });

  it('fails what waits when the connection ends', async () => {
    const other = await RecordReader.connect(url, clusterToken);
    const waiting = other.read([missing]);
    other.close();
    await waiting.catch(() => {});
    await expect(other.read([missing])).rejects.toThrow('closed');
  });
});

it('the page about batched reads names the versions and limits in force', () => {
  const page = readFileSync(join(projectRoot, 'ops', 'batched-reads.md'), 'utf8');
  const { connectionsMax, idleSMax } = serverLimitDefaults;
  expect(page).toContain(`\`${wireSubprotocol}\``);
  expect(page).toContain(`${recordBatchItemsMax.toLocaleString('en')} URIs`);
  expect(page).toContain(`${connectionsMax.toLocaleString('en')} connections`);
  expect(page).toContain(`silent for ${idleSMax} s`);
  expect(page).toContain(`\`${unixOfferHeader}:`);
});
