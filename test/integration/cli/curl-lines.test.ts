/** The `curl` lines of ops/operating.md, sent to a running cluster. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { listOf } from '../../../src/cli/service-call.ts';
import { type CurlLine, curlLines } from '../../support/curl-lines.ts';
import { DemoCluster } from '../../support/demo-cluster.ts';

let demo: DemoCluster;
let did: string;
let rkey: string;

beforeAll(async () => {
  demo = await DemoCluster.start(50);
  did = await demo.didWithPosts();
  const { items } = await demo.call('GetAuthorFeed', { actorDid: did, limit: 1 });
  rkey = String(listOf({ items }, 'items')[0]!['uri']).split('/').at(-1)!;
  writeFileSync(join(demo.folder, 'plc.jsonl'), '');
}, 120_000);

afterAll(() => demo.stop(), 60_000);

/** Puts what exists here into the gaps of the document. */
function filled(text: string): string {
  return text
    .replaceAll('did:plc:…', did)
    .replaceAll('3k…', rkey)
    .replaceAll('https://…', demo.cluster.run.demo!.url)
    .replaceAll('/tmp/plc.jsonl', join(demo.folder, 'plc.jsonl'))
    .replace('cursor=…', 'cursor=mutes.');
}

async function send({ listener, verb, path, query, body }: CurlLine): Promise<{ status: number; text: string }> {
  const { url } = demo.cluster.run[listener];
  const init = body === null ? {} : { body: filled(body), headers: { 'content-type': 'application/json' } };
  const response = await fetch(`${url}${path}${filled(query)}`, { method: verb, ...init });
  return { status: response.status, text: await response.text() };
}

it('every curl line of ops/operating.md is understood', async () => {
  const refused: Record<string, string> = {};
  for (const line of curlLines('ops/operating.md')) {
    const { status, text } = await send(line);
    if (status !== 200) refused[`${line.verb} ${line.path}`] = (JSON.parse(text) as { message: string }).message;
  }
  expect(refused).toEqual({
    'POST /v1/quarantine/show': 'slot 0 keeps no entry 7.0 in quarantine',
    'POST /v1/quarantine': 'slot 0 keeps no entry 7.0 in quarantine',
    'POST /v1/repair': 'slot 0 is not incomplete',
  });
}, 120_000);
